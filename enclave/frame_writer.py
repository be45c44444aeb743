"""The sending half of a frame connection: under load, what is sent in one turn of the loop leaves in one system call.

Under load that is a dozen answers at once, for the enclave and for the host that reads them. A frame that comes alone
leaves at once; one turn that brings several makes the next one gather them.
"""

import asyncio

from enclave.rpc.envelope import encode_json
from protocol import errors, frames
from protocol.errors import ProtocolError
from protocol.frames import Request, Response


class FrameWriter:
    """Bound to one transport."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._in_turn = False
        self._gathers = False

    def send(self, message: Request | Response) -> None:
        """Send one frame, or queue it; `ProtocolError` for a message that breaks a limit of frames."""
        frame = frames.encode(message)
        if self._in_turn or self._gathers:
            self._waiting.append(frame)
        else:
            self._transport.write(frame)
        if not self._in_turn:
            self._in_turn = True
            self._loop.call_soon(self._end_turn)

    def answer(self, response: Response) -> None:
        """Queue `response`, or INTERNAL_ERROR where it is more than a frame holds: without one, somebody would wait."""
        try:
            self.send(response)
        except ProtocolError:
            body = encode_json(errors.error_body(errors.INTERNAL_ERROR))
            self.send(Response(response.id, errors.INTERNAL_ERROR.status, {"content-type": "application/json"}, body))

    def _end_turn(self) -> None:
        sent = len(self._waiting) + (not self._gathers)
        self._in_turn, self._gathers = False, sent > 1
        if self._waiting:
            self._transport.write(b"".join(self._waiting))
            self._waiting.clear()
