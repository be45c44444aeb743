"""Relays for the enclave: per chain, and in the form that fits, because a wallet that is not there is created first."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from host_proxy.errors import RelayFault
from host_proxy.relay.node import Node
from host_proxy.relay.port import Operation, Relay, Status
from protocol.relaying import Relayed, RelayStatus

UNKNOWN: Final = "relay-unknown"


@dataclass(frozen=True, slots=True)
class ChainRelay:
    """A relay, and a node of the same chain that says whether a wallet is there."""

    relay: Relay
    node: Node


class WalletRelays:
    """By chain id; looks after all of them while it runs."""

    def __init__(self, relays: Mapping[int, ChainRelay], *, every_s: float = 2.0) -> None:
        self._relays = relays
        self._every_s = every_s
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
        call = relayed.execute if await chain.node.has_code(_hex(relayed.wallet)) else relayed.create_and_execute
        operation = Operation(_hex(relayed.id), _hex(call.to), _hex(call.data), _hex(relayed.wallet))
        [status] = await chain.relay.send([operation])
        return _status(status)

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
