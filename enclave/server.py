"""The enclave's end of host connections: frames in and out, bounded in number, size and time (VS-02 to VS-04).

A connection that breaks the frame format or lets a frame drip is closed; one that asks for too much gets "busy"
answers. The transport below (vsock, or the simulator's sockets) is not known here.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Final, cast

from enclave.frame_writer import FrameWriter
from protocol import errors, limits
from protocol.errors import ProtocolError
from protocol.frames import FrameConnection, Request, Response

_WRITE_HIGH_WATER: Final = 1024 * limits.KIB
Answer = Callable[[Request], Awaitable[Response]]


class FrameServer:
    """Makes one protocol object for each accepted connection and keeps count of them."""

    def __init__(self, answer: Answer, accepts: Callable[[socket.socket], bool]) -> None:
        """`accepts` says of a connection's socket whether the parent is at its other end (VS-01)."""
        self._answer = answer
        self._accepts = accepts
        self._connections: set[_Connection] = set()

    def connection(self) -> asyncio.Protocol:
        """The factory for `loop.create_server`."""
        return _Connection(self._answer, self._accepts, self._connections)

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._connections):
            connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self, answer: Answer, accepts: Callable[[socket.socket], bool], peers: "set[_Connection]") -> None:
        self._answer = answer
        self._accepts = accepts
        self._peers = peers
        self._frames = FrameConnection()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._writer: FrameWriter | None = None
        self._loop = asyncio.get_running_loop()
        self._frame_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._peers) >= limits.MAX_CONNECTIONS or not self._accepts(transport.get_extra_info("socket")):
            self._transport.abort()
            return
        self._peers.add(self)
        self._writer = FrameWriter(self._transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER)
        self._heard_at = self._loop.time()
        self._check_idle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the signature is asyncio's
        self._peers.discard(self)
        for timer in (self._frame_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        # Requests in flight run to their end: what they have consumed is consumed, only the answer is lost.
        self._transport = self._writer = None

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        try:
            messages = self._frames.receive(data)
        except ProtocolError:
            self.close()
            return
        for message in messages:
            if not isinstance(message, Request):
                self.close()
                return
            self._start(message)
        self._watch_partial_frame(fresh=bool(messages))

    def pause_writing(self) -> None:
        # A host that does not read gets no further requests read.
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _start(self, request: Request) -> None:
        if len(self._tasks) >= limits.MAX_IN_FLIGHT:
            body = json.dumps(errors.error_body(errors.BUSY)).encode()
            if self._writer is not None:
                self._writer.send(Response(request.id, errors.BUSY.status, {"content-type": "application/json"}, body))
            return
        self._tasks.add(self._loop.create_task(self._run(request)))

    async def _run(self, request: Request) -> None:
        try:
            response = await self._answer(request)
        finally:
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task(self._loop)))
        if self._writer is not None:
            self._writer.answer(response)

    def _watch_partial_frame(self, *, fresh: bool) -> None:
        """A frame's time counts from its first byte, whatever drips after it."""
        if self._frame_timer is not None:
            if self._frames.partial and not fresh:
                return
            self._frame_timer.cancel()
            self._frame_timer = None
        if self._frames.partial:
            self._frame_timer = self._loop.call_later(limits.FRAME_DEADLINE_S, self.close)

    def _check_idle(self) -> None:
        """One timer that looks back, instead of one that each request moves."""
        left_s = self._heard_at + limits.IDLE_DEADLINE_S - self._loop.time()
        if left_s <= 0 and not self._tasks:
            self.close()
        else:
            self._idle_timer = self._loop.call_later(left_s if left_s > 0 else limits.IDLE_DEADLINE_S, self._check_idle)
