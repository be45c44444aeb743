"""Transactions of embedded wallets: signed, handed to the host's relay, and what became of them, as clients read it.

Nothing is kept here. An operation is known by the digest that was signed, in the relay's journal and on the chain, so a
client may ask for it after any restart. Hash and receipt are the host's word, and say so to nobody who does not check.
"""

from typing import Any

from enclave.errors import Refusal, RelayError
from enclave.ports import Relay
from protocol import canonical_json, errors, limits
from protocol.errors import ProtocolError
from protocol.relaying import Relayed, RelayStatus

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

    async def receipt(self, chain_id: int, digest: bytes, request: object) -> tuple[str, dict[str, Any]]:
        """Code and data of the answer to `getTransactionReceipt`; without a hash while it is on its way."""
        try:
            status = await self._relay.status(chain_id, digest)
        except RelayError as error:
            raise Refusal(errors.ENDPOINT_ERROR, error.code) from None
        return _answer(digest, status, request)


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
