"""The transactions that carry operations: made from an operation, signed by somebody else, and compared afterwards.

The signer is asked over JSON-RPC (`eth_signTransaction`), as Web3Signer, Clef and nodes with accounts answer it. Its
answer is read back and refused unless it is exactly what was asked for: the nonce in it is what keeps an operation from
happening twice. The formats of the chain are loaded with the first transaction (ADR 53).
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

from host_proxy.errors import RelayFault
from host_proxy.relay.fees import Fees
from host_proxy.relay.rpc import JsonRpc

_RAW: Final = re.compile(r"0x02(?:[0-9a-f]{2})+\Z")


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A transaction of the gas account, of type 2. It carries no value."""

    chain_id: int
    nonce: int
    to: str
    data: str
    gas: int
    fees: Fees

    def as_json(self, account: str) -> dict[str, str]:
        """The parameters of `eth_signTransaction`."""
        return {
            "type": "0x2",
            "from": account,
            "chainId": hex(self.chain_id),
            "nonce": hex(self.nonce),
            "to": self.to,
            "value": "0x0",
            "data": self.data,
            "gas": hex(self.gas),
            "maxFeePerGas": hex(self.fees.max_fee),
            "maxPriorityFeePerGas": hex(self.fees.priority_fee),
        }


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction as it is sent, and its hash, by which its receipt is found. Only `verify_signed` makes one."""

    raw: str
    hash: str


class GasAccount(Protocol):
    """Whoever holds the key of the account that pays."""

    @property
    def address(self) -> str:
        """The account, as 0x and lower-case hex."""
        ...

    async def sign(self, transaction: Unsigned) -> Signed:
        """The transaction, signed; `RelayFault` otherwise. The same transaction may be signed any number of times."""
        ...


class RemoteSigner:
    """A gas account whose key is behind JSON-RPC."""

    def __init__(self, rpc: JsonRpc, address: str) -> None:
        self._rpc = rpc
        self._address = address

    @property
    def address(self) -> str:
        return self._address

    async def sign(self, transaction: Unsigned) -> Signed:
        answer = await self._rpc.call("eth_signTransaction", transaction.as_json(self._address))
        raw = answer.get("raw") if isinstance(answer, dict) else answer
        if not isinstance(raw, str):
            raise RelayFault("relay-signer")
        return verify_signed(transaction, self._address, raw.lower())


def verify_signed(transaction: Unsigned, account: str, raw: str) -> Signed:
    """The raw transaction, if it is this one and signed by `account`; `relay-signer` otherwise."""
    from evm import rlp
    from evm.errors import EvmError
    from evm.keccak import keccak256
    from evm.signature import Signature

    if not _RAW.match(raw):
        raise RelayFault("relay-signer")
    data = bytes.fromhex(raw[2:])
    try:
        fields: Any = rlp.decode(data[1:], max_depth=3)
        *body, y_parity, r, s = fields
        numbers = [int.from_bytes(part, "big") for part in (r, s, y_parity)]
        signer = Signature(*numbers).recover(keccak256(b"\x02" + rlp.encode(body)))
    except (EvmError, ValueError, TypeError):
        raise RelayFault("relay-signer") from None
    if body != _body(transaction) or "0x" + signer.hex() != account:
        raise RelayFault("relay-signer")
    return Signed(raw, "0x" + keccak256(data).hex())


def _body(transaction: Unsigned) -> list[Any]:
    """The fields that are signed, as RLP holds them: integers without leading zeros; no value, no access list."""
    from evm.rlp import int_bytes

    fees = transaction.fees
    numbers = (transaction.chain_id, transaction.nonce, fees.priority_fee, fees.max_fee, transaction.gas)
    call = [bytes.fromhex(transaction.to[2:]), b"", bytes.fromhex(transaction.data[2:])]
    return [*map(int_bytes, numbers), *call, []]
