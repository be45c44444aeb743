"""The asking end of a frame connection inside the enclave: many calls at once, answers in any order."""

import asyncio
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

import msgspec

from enclave.frame_writer import FrameWriter
from protocol import limits
from protocol.errors import ProtocolError
from protocol.frames import FrameConnection, Request, Response

_SWEEP_S: Final = 0.1
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class _Waiting(msgspec.Struct, eq=False):
    """A call under way. Times are the loop's."""

    answer: asyncio.Future[Response]
    expires_at: float


class FrameLink(asyncio.Protocol):
    """One connection. What the other end asks is not answered."""

    def __init__(self) -> None:
        self._frames = FrameConnection()
        self._waiting: dict[int, _Waiting] = {}
        self._next_id = 0
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._writer: FrameWriter | None = None
        self.closed = False

    async def call(
        self, method: str, body: bytes, headers: Mapping[str, str] = _NONE, deadline_s: float = math.inf
    ) -> Response:
        """The other end's answer. `ConnectionError` when the link is lost, or too many calls wait; `TimeoutError` after
        `deadline_s`, or a moment later.
        """
        if self.closed or self._writer is None or len(self._waiting) >= limits.MAX_IN_FLIGHT:
            raise ConnectionError
        self._next_id += 1
        request_id = self._next_id
        waiting = _Waiting(self._loop.create_future(), self._loop.time() + deadline_s)
        self._waiting[request_id] = waiting
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        try:
            self._writer.send(Request(request_id, method, headers, body))
            return await waiting.answer
        finally:
            del self._waiting[request_id]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writer = FrameWriter(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._frames.receive(data)
        except ProtocolError:
            self.fail()
            return
        for message in messages:
            if isinstance(message, Request):
                self.asked(message)
                continue
            waiting = self._waiting.get(message.id)  # an answer that nobody waits for (late or made up) is dropped
            if waiting is not None and not waiting.answer.done():
                waiting.answer.set_result(message)

    def asked(self, request: Request) -> None:
        """What to do with a request of the other end."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the signature is asyncio's
        self.fail()

    def fail(self) -> None:
        """End the connection, and every call that waits."""
        self.closed = True
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(ConnectionError())
        if self._transport is not None:
            self._transport.close()

    def _sweep(self) -> None:
        """One timer for all calls: a timer for each would cost more than the rest of the bookkeeping."""
        now = self._loop.time()
        for waiting in self._waiting.values():
            if waiting.expires_at <= now and not waiting.answer.done():
                waiting.answer.set_exception(TimeoutError())
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep) if self._waiting else None
