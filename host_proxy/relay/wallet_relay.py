"""Relays for the enclave: per chain, and in the form that fits, because a wallet that is not there is created first."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from host_proxy.errors import RelayFault
from host_proxy.relay.node import Node
from host_proxy.relay.port import Operation, Relay, Status
from protocol.relaying import ChainCall, Relayed, RelayFees, RelayStatus

UNKNOWN: Final = "relay-unknown"
WOULD_REVERT: Final = "relay-would-revert"
WALLET_BUSY: Final = "relay-wallet-busy"
_POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class ChainRelay:
    """A relay, and a node of the same chain that says whether a wallet is there."""

    relay: Relay
    node: Node


class WalletRelays:
    """By chain id; looks after all of them while it runs."""

    def __init__(self, relays: Mapping[int, ChainRelay], *, every_s: float = 2.0, patience_s: float = 8.0) -> None:
        self._relays = relays
        self._every_s = every_s
        self._patience_s = patience_s
        self._turns: WeakValueDictionary[tuple[int, bytes], asyncio.Lock] = WeakValueDictionary()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks after what is not final, from now on."""
        if self._relays:
            self._task = asyncio.get_running_loop().create_task(self._look_after())

    async def close(self) -> None:
        """Ends; what is not final is looked after by the next process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, relayed: Relayed) -> RelayStatus:
        """Take an operation, or say how far one is that was taken before; `relay-chain`, or the relay's faults."""
        chain = self._chain(relayed.chain_id)
        with contextlib.suppress(RelayFault):
            return await self.status(relayed.chain_id, relayed.id)
        deadline = asyncio.get_running_loop().time() + self._patience_s
        async with self._turn_of(relayed, deadline):
            there = await self._is_there(chain, _hex(relayed.wallet), deadline)
            calls = relayed.execute if there else (relayed.create_and_execute,)
            return _status(await self._first_that_works(chain, relayed, calls))

    @contextlib.asynccontextmanager
    async def _turn_of(self, relayed: Relayed, deadline: float) -> AsyncIterator[None]:
        """One operation of a wallet at a time; `relay-wallet-busy` where it takes too long, and nothing was taken."""
        lock = self._turns.setdefault((relayed.chain_id, relayed.wallet), asyncio.Lock())
        try:
            async with asyncio.timeout_at(deadline):
                await lock.acquire()
        except TimeoutError:
            raise RelayFault(WALLET_BUSY) from None
        try:
            yield
        finally:
            lock.release()

    @staticmethod
    async def _is_there(chain: ChainRelay, wallet: str, deadline: float) -> bool:
        """Whether the wallet is on the chain.

        While an operation that creates it is on its way, nobody knows whether the next one has to: that one waits.
        """
        try:
            async with asyncio.timeout_at(deadline):
                if await chain.node.has_code(wallet):
                    return True
                while await chain.relay.is_busy_for(wallet):  # noqa: ASYNC110  a chain has no event to wait for
                    await asyncio.sleep(_POLL_S)
                return await chain.node.has_code(wallet)  # asked last: what was on its way has arrived
        except TimeoutError:
            raise RelayFault(WALLET_BUSY) from None

    @staticmethod
    async def _first_that_works(chain: ChainRelay, relayed: Relayed, calls: Sequence[ChainCall]) -> Status:
        """The first form that the chain would carry out is taken; `relay-would-revert` if there is none."""
        *others, last = [
            Operation(_hex(relayed.id), _hex(call.to), _hex(call.data), _hex(relayed.wallet), relayed.quote)
            for call in calls
        ]
        for operation in others:
            try:
                [status] = await chain.relay.send([operation])
            except RelayFault as fault:
                if fault.code != WOULD_REVERT:
                    raise
            else:
                return status
        [status] = await chain.relay.send([last])
        return status

    async def fees(self, relayed: Relayed) -> RelayFees:
        """What the relay of the chain would take; the operation is not signed, and nothing is taken on."""
        chain, wallet = self._chain(relayed.chain_id), _hex(relayed.wallet)
        call = relayed.execute[0] if await chain.node.has_code(wallet) else relayed.create_and_execute
        operation = Operation(_hex(relayed.id), _hex(call.to), _hex(call.data), wallet)
        options, quote = await chain.relay.fee_options(operation)
        return RelayFees(json.dumps(options), quote)

    async def status(self, chain_id: int, id_: bytes) -> RelayStatus:
        """How far an operation is; `relay-unknown` for one that was never taken."""
        return _status(await self._chain(chain_id).relay.status(_hex(id_)))

    def _chain(self, chain_id: int) -> ChainRelay:
        chain = self._relays.get(chain_id)
        if chain is None:
            raise RelayFault("relay-chain")
        return chain

    async def _look_after(self) -> None:
        while True:
            for chain in self._relays.values():
                with contextlib.suppress(RelayFault):
                    await chain.relay.advance()
            await asyncio.sleep(self._every_s)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _status(status: Status) -> RelayStatus:
    receipt = None if status.receipt is None else json.dumps(status.receipt)
    return RelayStatus(status.state.value, status.tx_hash, status.succeeded, receipt)
