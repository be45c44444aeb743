"""One end of one frame connection on an event loop: bytes to messages and back, with the deadlines of VS-03.

Trust side: host; the peer is the enclave, or whoever reached the port in its name. `protocol.frames` judges the
bytes, this class owns the socket: a frame that began must end within `FRAME_DEADLINE_S`, and a peer that takes no
answers for as long is cut off. A failed connection is never used again.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Final, cast

from host_proxy.gathered import GatheredWrites
from protocol import limits
from protocol.errors import ProtocolError
from protocol.frames import FrameConnection, Request, Response, encode

_WRITE_BUFFER_BYTES: Final = 4 * limits.MAX_FRAME_BYTES


class FrameProtocol(asyncio.Protocol, ABC):
    """Subclasses implement `message_received` and `ended`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._frames = FrameConnection()
        self._transport: asyncio.Transport | None = None
        self._writes: GatheredWrites | None = None
        self._frame_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._code = "link-closed"
        self.writable = True
        self.received_at = self._loop.time()

    @abstractmethod
    def message_received(self, message: Request | Response) -> None:
        """One whole message of the peer."""

    @abstractmethod
    def ended(self, code: str) -> None:
        """The connection is gone; called once."""

    def send(self, message: Request | Response) -> None:
        """Queues one frame; `ProtocolError` when the message breaks a limit of frames."""
        frame = encode(message)
        if self._writes is not None:
            self._writes.write(frame)

    def fail(self, code: str) -> None:
        """Cuts the connection off; `code` is what `ended` will be told."""
        self._code = code
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        """Takes no further messages for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Takes messages again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._writes = GatheredWrites(self._transport, self._loop)

    def data_received(self, data: bytes) -> None:
        self.received_at = self._loop.time()
        try:
            messages = self._frames.receive(data)
        except ProtocolError as error:
            self.fail(error.code)
            return
        for message in messages:
            self.message_received(message)
        self._watch_partial_frame(fresh=bool(messages))

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = self._writes = None
        self.writable = False
        for timer in (self._frame_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self.ended(self._code)

    def pause_writing(self) -> None:
        self.writable = False
        self._write_timer = self._loop.call_later(limits.FRAME_DEADLINE_S, self.fail, "link-write-deadline")

    def resume_writing(self) -> None:
        self.writable = True
        if self._write_timer is not None:
            self._write_timer.cancel()

    def _watch_partial_frame(self, *, fresh: bool) -> None:
        if self._frame_timer is not None:
            if self._frames.partial and not fresh:
                return  # the same frame still drips in; its clock runs on
            self._frame_timer.cancel()
            self._frame_timer = None
        if self._frames.partial:
            self._frame_timer = self._loop.call_later(limits.FRAME_DEADLINE_S, self.fail, "link-frame-deadline")
