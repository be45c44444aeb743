"""The sending half of a frame connection: what is sent in one turn of the loop leaves in one system call.

Under load that is a dozen answers at once, for the enclave and for the host that reads them.
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

    def send(self, message: Request | Response) -> None:
        """Queue one frame; `ProtocolError` for a message that breaks a limit of frames."""
        self._waiting.append(frames.encode(message))
        if len(self._waiting) == 1:
            self._loop.call_soon(self._flush)

    def answer(self, response: Response) -> None:
        """Queue `response`, or INTERNAL_ERROR where it is more than a frame holds: without one, somebody would wait."""
        try:
            self.send(response)
        except ProtocolError:
            body = encode_json(errors.error_body(errors.INTERNAL_ERROR))
            self.send(Response(response.id, errors.INTERNAL_ERROR.status, {"content-type": "application/json"}, body))

    def _flush(self) -> None:
        self._transport.write(b"".join(self._waiting))
        self._waiting.clear()
