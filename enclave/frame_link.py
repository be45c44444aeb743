"""The asking end of a frame connection inside the enclave: many calls at once, answers in any order."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from enclave.frame_writer import FrameWriter
from protocol import limits
from protocol.errors import ProtocolError
from protocol.frames import FrameConnection, Request, Response


class FrameLink(asyncio.Protocol):
    """One connection. What the other end asks is not answered."""

    def __init__(self) -> None:
        self._frames = FrameConnection()
        self._waiting: dict[int, asyncio.Future[Response]] = {}
        self._next_id = 0
        self._transport: asyncio.Transport | None = None
        self._writer: FrameWriter | None = None
        self.closed = False

    async def call(self, method: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """The other end's answer. `ConnectionError` when the link is lost, or too many calls wait."""
        if self.closed or self._writer is None or len(self._waiting) >= limits.MAX_IN_FLIGHT:
            raise ConnectionError
        self._next_id += 1
        request_id = self._next_id
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        try:
            self._writer.send(Request(request_id, method, headers or {}, body))
            return await future
        finally:
            self._waiting.pop(request_id, None)

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
            future = self._waiting.get(message.id)  # an answer that nobody waits for (late or made up) is dropped
            if future is not None and not future.done():
                future.set_result(message)

    def asked(self, request: Request) -> None:
        """What to do with a request of the other end."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the signature is asyncio's
        self.fail()

    def fail(self) -> None:
        """End the connection, and every call that waits."""
        self.closed = True
        for future in self._waiting.values():
            with suppress(asyncio.InvalidStateError):
                future.set_exception(ConnectionError())
        if self._transport is not None:
            self._transport.close()
