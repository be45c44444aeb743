"""Writes on their way to the parent's store: those of one turn of the loop leave in one frame, each with an outcome.

Under load a dozen nonces wait for the disk at a time; a frame for each costs enclave and host more than the write does.
A write that comes alone leaves at once; one turn that brings several makes the next one gather them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from enclave.errors import StoreConflict, StoreError
from protocol import limits, services
from protocol.errors import ProtocolError
from protocol.frames import Response
from protocol.services import Write

_SMALL_BYTES: Final = limits.MAX_FRAME_BYTES // (2 * limits.MAX_PUTS_PER_CALL)
"""Values of a put that may share a frame."""


class _Put(NamedTuple):
    writes: Sequence[Write]
    outcome: asyncio.Future[int]


class PutBatches:
    """`send` carries the body of a `store.put` to the parent and gives its answer; `StoreError`."""

    def __init__(self, send: Callable[[bytes], Awaitable[Response]]) -> None:
        self._send = send
        self._waiting: list[_Put] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._in_turn = False
        self._gathers = False

    async def put(self, writes: Sequence[Write]) -> None:
        """All of `writes`, durable on return. `StoreConflict`: none is written. `StoreError`: that is unknown."""
        if (self._in_turn or self._gathers) and sum([len(write.value) for write in writes]) <= _SMALL_BYTES:
            outcome = await self._wait_with_others(writes)
        else:
            self._begin_turn()
            [outcome] = await self._outcomes([writes])
        if outcome == services.CONFLICT:
            raise StoreConflict
        if outcome != services.DURABLE:
            raise StoreError("store-refused")

    def _begin_turn(self) -> None:
        if not self._in_turn:
            self._in_turn = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _wait_with_others(self, writes: Sequence[Write]) -> asyncio.Future[int]:
        put = _Put(writes, asyncio.get_running_loop().create_future())
        self._waiting.append(put)
        self._begin_turn()
        if len(self._waiting) == limits.MAX_PUTS_PER_CALL:
            self._send_waiting()
        return put.outcome

    def _end_turn(self) -> None:
        self._in_turn, self._gathers = False, len(self._waiting) + (not self._gathers) > 1
        if self._waiting:
            self._send_waiting()

    def _send_waiting(self) -> None:
        task = asyncio.get_running_loop().create_task(self._send_batch(self._waiting))
        self._waiting = []
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_batch(self, batch: list[_Put]) -> None:
        ends: Sequence[int | Exception]
        try:
            ends = await self._outcomes([put.writes for put in batch])
        except Exception as error:  # noqa: BLE001  everybody who waits learns of it
            ends = [error] * len(batch)
        for put, end in zip(batch, ends, strict=True):
            if put.outcome.done():  # whoever asked has given up
                continue
            if isinstance(end, Exception):
                put.outcome.set_exception(end)
            else:
                put.outcome.set_result(end)

    async def _outcomes(self, puts: Sequence[Sequence[Write]]) -> list[int]:
        response = await self._send(services.encode_puts(puts))
        if response.status != services.DURABLE:
            raise StoreError("store-refused")
        try:
            return services.decode_outcomes(response.body, count=len(puts))
        except ProtocolError:
            raise StoreError("store-malformed") from None
