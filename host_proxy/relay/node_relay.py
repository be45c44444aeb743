"""A relay through a plain node: an account pays gas, and looks after its transactions until they are final.

Order of every step: what is about to happen is in the journal first. So an end at any point leaves one of three things:
nothing was taken; an operation with a nonce, for which the next process signs with that nonce; or a signed transaction,
which it sends again. Of several with one nonce the chain takes one.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from host_proxy.errors import RelayFault
from host_proxy.relay.fees import FeeRules, Fees
from host_proxy.relay.journal import Attempt, Journal, Planned
from host_proxy.relay.node import Head, Mined, Node
from host_proxy.relay.port import Operation, State, Status
from host_proxy.relay.transactions import GasAccount, Unsigned
from protocol import limits


@dataclass(frozen=True, slots=True)
class Patience:
    """When an operation is final, and when it is paid more for."""

    confirmations: int = 12
    """Blocks on top of its own after which a block is taken not to be replaced."""
    bump_after_s: float = 45.0


class NodeRelay:
    """`Relay` for one chain and one gas account."""

    def __init__(
        self,
        node: Node,
        account: GasAccount,
        journal: Journal,
        *,
        chain_id: int,
        rules: FeeRules,
        patience: Patience | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._account = account
        self._journal = journal
        self._chain_id = chain_id
        self._rules = rules
        self._patience = patience or Patience()
        self._now_s = now_s
        self._lock = asyncio.Lock()

    async def check_chain(self) -> None:
        """Raises `relay-chain` when the node is one of another chain."""
        if await self._node.chain_id() != self._chain_id:
            raise RelayFault("relay-chain")

    async def send(self, operations: list[Operation]) -> list[Status]:
        async with self._lock:
            new = self._unknown(operations)
            if new:
                gas = [self._rules.gas(await self._node.estimate(self._account.address, each)) for each in new]
                head = await self._node.head()
                self._rules.first(head.base_fee, head.priority_fee)
                chain_nonce = await self._node.next_nonce(self._account.address)
                self._journal.plan(list(zip(new, gas, strict=True)), chain_nonce)
                with contextlib.suppress(RelayFault):  # they are taken: `advance` goes on where this ended
                    await self._sign_and_send([self._planned(each.id) for each in new], head)
        return [
            self._pending(operation.id) if operation in new else await self.status(operation.id)
            for operation in operations
        ]

    async def status(self, operation_id: str) -> Status:
        planned = self._planned(operation_id)
        if planned.receipt is not None:
            return _status(State.FINAL, planned.receipt)
        mined = await self._mined(self._journal.attempts(operation_id))
        return self._pending(operation_id) if mined is None else _status(State.MINED, mined.receipt)

    async def fee_options(self, operation: Operation) -> tuple[list[dict[str, object]], str | None]:  # noqa: ARG002
        return [], None  # the operator's account pays

    async def is_busy_for(self, wallet: str) -> bool:
        waiting = [planned.operation for planned in self._journal.unsettled() if planned.operation.wallet == wallet]
        for operation in waiting:
            if await self._mined(self._journal.attempts(operation.id)) is None:
                return True
        return False

    async def advance(self) -> None:
        async with self._lock:
            unsettled = self._journal.unsettled()
            if not unsettled:
                return
            head = await self._node.head()
            waiting = [planned for planned in unsettled if not await self._settled(planned, head)]
            await self._send_again(waiting)
            await self._sign_and_send([each for each in waiting if self._wants_attempt(each)], head)

    def _unknown(self, operations: list[Operation]) -> list[Operation]:
        """Those that are not in the journal; `relay-id-taken` for another one under a name that is."""
        new: dict[str, Operation] = {}
        for operation in operations:
            known = self._journal.find(operation.id)
            taken = known.operation if known else new.get(operation.id, operation)
            if taken != operation:
                raise RelayFault("relay-id-taken")
            if known is None:
                new[operation.id] = operation
        if new and len(self._journal.unsettled()) + len(new) > limits.MAX_RELAY_OPEN:
            raise RelayFault("relay-busy")
        return list(new.values())

    def _pending(self, operation_id: str) -> Status:
        attempts = self._journal.attempts(operation_id)
        return Status(State.PENDING, attempts[-1].hash if attempts else None)

    def _planned(self, operation_id: str) -> Planned:
        planned = self._journal.find(operation_id)
        if planned is None:
            raise RelayFault("relay-unknown")
        return planned

    async def _settled(self, planned: Planned, head: Head) -> bool:
        """Whether nothing is left to do for an operation by now, which is then in the journal."""
        deep = head.number - self._patience.confirmations
        mined = await self._mined(self._journal.attempts(planned.operation.id))
        if mined is not None:
            if mined.block <= deep:
                self._journal.settle(planned.operation.id, mined.receipt)
            return True
        if await self._node.spent(self._account.address, planned.nonce, deep):
            self._journal.forget(planned.operation.id)  # somebody else used the account; no attempt can follow
            return True
        return False

    async def _mined(self, attempts: list[Attempt]) -> Mined | None:
        found = await self._node.receipts([attempt.hash for attempt in attempts])
        return next((mined for mined in found if mined is not None), None)

    def _wants_attempt(self, planned: Planned) -> bool:
        """Whether to sign: for the first time, or for more money, when the last attempt has waited long enough."""
        attempts = self._journal.attempts(planned.operation.id)
        return not attempts or self._now_s() - attempts[-1].signed_at_s >= self._patience.bump_after_s

    def _fees(self, planned: Planned, head: Head) -> Fees | None:
        attempts = self._journal.attempts(planned.operation.id)
        if not attempts:
            return self._rules.first(head.base_fee, head.priority_fee)
        return self._rules.next(attempts[-1].fees, head.base_fee, head.priority_fee)

    async def _sign_and_send(self, planned: list[Planned], head: Head) -> None:
        raw = []
        for each in planned:
            fees = self._fees(each, head)
            if fees is None:
                continue
            operation = each.operation
            unsigned = Unsigned(self._chain_id, each.nonce, operation.to, operation.data, each.gas, fees)
            signed = await self._account.sign(unsigned)
            self._journal.record_attempt(operation.id, signed, fees, self._now_s())
            raw.append(signed.raw)
        if raw:
            await self._node.broadcast(raw)

    async def _send_again(self, planned: list[Planned]) -> None:
        """What the node has lost, or never got, is sent once more."""
        latest = [attempts[-1] for each in planned if (attempts := self._journal.attempts(each.operation.id))]
        missing = [attempt.raw for attempt in latest if not await self._node.known(attempt.hash)]
        if missing:
            await self._node.broadcast(missing)


def _status(state: State, receipt: dict[str, object]) -> Status:
    return Status(state, str(receipt["transactionHash"]), receipt.get("status") == "0x1", receipt)
