"""The questions that a relay asks a node, and their answers, parsed."""

from dataclasses import dataclass
from typing import Any, Final

from host_proxy.errors import RelayFault
from host_proxy.relay.port import Operation
from host_proxy.relay.rpc import JsonRpc, RpcRefusal, parse_quantity

_MAX_PRIORITY_FEE_UNKNOWN: Final = 1_000_000_000  # where a node does not name one: 1 gwei


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block, and what it costs to be in the next one."""

    number: int
    base_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class Mined:
    """A receipt: the block it is in, whether the transaction was carried out, and all of it as the node wrote it."""

    block: int
    succeeded: bool
    receipt: dict[str, Any]


class Node:
    """A node of one chain."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc

    async def chain_id(self) -> int:
        """Which chain it is."""
        return parse_quantity(await self._rpc.call("eth_chainId"))

    async def head(self) -> Head:
        """The newest block; `relay-no-base-fee` for a chain without one."""
        block, tip = await self._rpc.batch(
            [("eth_getBlockByNumber", ["latest", False]), ("eth_maxPriorityFeePerGas", [])]
        )
        if not isinstance(block, dict) or "number" not in block:
            raise RelayFault("relay-answer", "no block")
        if "baseFeePerGas" not in block:
            raise RelayFault("relay-no-base-fee")
        priority_fee = _MAX_PRIORITY_FEE_UNKNOWN if isinstance(tip, RpcRefusal) else parse_quantity(tip)
        return Head(parse_quantity(block["number"]), parse_quantity(block["baseFeePerGas"]), priority_fee)

    async def has_code(self, account: str) -> bool:
        """Whether there is a contract at an address."""
        code = await self._rpc.call("eth_getCode", account, "latest")
        if not isinstance(code, str):
            raise RelayFault("relay-answer", "code")
        return len(code) > len("0x")

    async def next_nonce(self, account: str) -> int:
        """The account's next nonce after everything that the node knows of."""
        return parse_quantity(await self._rpc.call("eth_getTransactionCount", account, "pending"))

    async def spent(self, account: str, nonce: int, block: int) -> bool:
        """Whether a transaction with this nonce is in the chain up to a block; False while the node cannot say."""
        if block < 0:
            return False
        answers = await self._rpc.batch([("eth_getTransactionCount", [account, at]) for at in ("latest", hex(block))])
        return all(not isinstance(answer, RpcRefusal) and parse_quantity(answer) > nonce for answer in answers)

    async def estimate(self, account: str, operation: Operation) -> int:
        """The gas that an operation takes now; `relay-would-revert` when it would fail."""
        call = {"from": account, "to": operation.to, "data": operation.data, "value": "0x0"}
        try:
            return parse_quantity(await self._rpc.call("eth_estimateGas", call))
        except RpcRefusal as refusal:
            raise RelayFault("relay-would-revert", refusal.reason) from None

    async def broadcast(self, raw: list[str]) -> list[RpcRefusal | None]:
        """Send transactions. A refusal may mean that the node has one already: the texts differ, so none decides."""
        answers = await self._rpc.batch([("eth_sendRawTransaction", [each]) for each in raw])
        return [answer if isinstance(answer, RpcRefusal) else None for answer in answers]

    async def receipts(self, hashes: list[str]) -> list[Mined | None]:
        """The receipt of each transaction that is in the chain."""
        if not hashes:
            return []
        answers = await self._rpc.batch([("eth_getTransactionReceipt", [each]) for each in hashes])
        return [_mined(answer, hash_) for answer, hash_ in zip(answers, hashes, strict=True)]

    async def known(self, hash_: str) -> bool:
        """Whether the node has a transaction, in its pool or in the chain."""
        return isinstance(await self._rpc.call("eth_getTransactionByHash", hash_), dict)


def _mined(answer: Any, hash_: str) -> Mined | None:
    if answer is None or isinstance(answer, RpcRefusal):
        return None
    if not isinstance(answer, dict) or answer.get("transactionHash") != hash_ or "status" not in answer:
        raise RelayFault("relay-answer", "receipt")
    return Mined(parse_quantity(answer.get("blockNumber")), parse_quantity(answer["status"]) == 1, answer)
