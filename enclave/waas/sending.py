"""Transactions of embedded wallets: signed, handed to the host's relay, and what became of them, as clients read it.

Nothing is kept here. An operation is known by the digest that was signed, in the relay's journal and on the chain, so a
client may ask for it after any restart. Hash and receipt are the host's word, and say so to nobody who does not check.
"""

from typing import Any, Final

from enclave.errors import Refusal, RelayError
from enclave.ports import Relay
from evm.address import parse_address
from evm.errors import EvmError
from evm.fields import items, members
from evm.wallet.values import parse_decimal
from protocol import canonical_json, errors, limits
from protocol.errors import ProtocolError
from protocol.relaying import Relayed, RelayStatus

_FEES: Final = "relay-fees"
_MAX_OPTIONS: Final = 32
_TOKEN: Final = ("chainId", "name", "symbol", "type")
_TOKEN_MORE: Final = ("decimals", "logoURL", "contractAddress", "tokenID")
_STATES = {None: "QUEUED", True: "SUCCEEDED", False: "FAILED"}


class Sending:
    """Hands operations to the relay and tells what became of them."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def send(self, whole: Relayed, request: object) -> tuple[str, dict[str, Any]]:
        """Code and data of the answer to `sendTransaction`."""
        try:
            status = await self._relay.send(whole)
        except RelayError as error:
            if error.code == "relay-would-revert":
                return "transactionFailed", {"error": error.code, "request": request, "simulations": []}
            raise Refusal(errors.ENDPOINT_ERROR, error.code) from None
        return _answer(whole.id, status, request)

    async def fee_options(self, unsigned: Relayed) -> tuple[str, dict[str, Any]]:
        """Code and data of the answer to `feeOptions`; an empty list where the operator pays."""
        try:
            fees = await self._relay.fees(unsigned)
        except RelayError as error:
            raise Refusal(errors.ENDPOINT_ERROR, error.code) from None
        try:
            found = canonical_json.parse(fees.options.encode(), max_bytes=limits.MAX_FEE_OPTIONS_BYTES)
            options = [_option(each, unsigned.chain_id) for each in items(found, most=_MAX_OPTIONS, code=_FEES)]
        except (ProtocolError, UnicodeEncodeError, EvmError):
            raise Refusal(errors.ENDPOINT_ERROR, "relay-malformed") from None
        quote = {} if fees.quote is None else {"feeQuote": fees.quote}
        return "feeOptions", {"feeOptions": options} | quote

    async def receipt(self, chain_id: int, digest: bytes, request: object) -> tuple[str, dict[str, Any]]:
        """Code and data of the answer to `getTransactionReceipt`; without a hash while it is on its way."""
        try:
            status = await self._relay.status(chain_id, digest)
        except RelayError as error:
            raise Refusal(errors.ENDPOINT_ERROR, error.code) from None
        return _answer(digest, status, request)


def _option(value: object, chain_id: int) -> dict[str, Any]:
    """A fee as clients read it: what, to whom, how much. It becomes a transaction, which the user signs."""
    found = members(value, required=("token", "to", "value"), optional=("gasLimit",), code=_FEES)
    token = members(found["token"], required=_TOKEN, optional=_TOKEN_MORE, code=_FEES)
    parse_address(found["to"])
    parse_decimal(found["value"], _FEES)
    if token["chainId"] != chain_id:
        raise EvmError(_FEES)
    return {**found, "token": dict(token)}


def _answer(digest: bytes, status: RelayStatus, request: object) -> tuple[str, dict[str, Any]]:
    name, native = digest.hex(), _native(status)
    if status.succeeded is False:
        return "transactionFailed", {"error": "reverted", "request": request, "simulations": []}
    receipt = {
        "id": name,
        "status": _STATES[status.succeeded],
        "revertReason": None,
        "index": 0,
        "logs": [] if native is None else native.get("logs", []),
        "receipts": [],
        "txnReceipt": status.receipt or "",
    }
    mined = status.tx_hash if status.state != "pending" and status.tx_hash else ""
    data = {"request": request, "txHash": mined, "metaTxHash": name, "receipt": receipt}
    return "transactionReceipt", data | {"nativeReceipt": native, "simulations": []}


def _native(status: RelayStatus) -> dict[str, Any] | None:
    """The node's receipt, if the host gave one that fits; a client that wants more asks a node."""
    if status.receipt is None or len(status.receipt) > limits.MAX_UNDERSTOOD_BYTES // 4:
        return None
    try:
        found = canonical_json.parse(status.receipt.encode(), max_bytes=limits.MAX_UNDERSTOOD_BYTES)
    except (ProtocolError, UnicodeEncodeError):
        return None
    return found if isinstance(found, dict) else None
