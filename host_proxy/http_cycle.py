"""One request and its answer: uvicorn's cycle, which here writes head and body at once.

Trust side: host. uvicorn checks each header that an application sends for what HTTP cannot carry. Ours sends its own
constants, and of the enclave's only what `http` has checked, so here they are joined: a tenth of the host's time.
"""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from host_proxy.cors import RawHeaders


def head(status: int, headers: RawHeaders) -> bytes:
    """The bytes of an answer up to its body."""
    return STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % pair for pair in headers]) + b"\r\n"


class Cycle(RequestResponseCycle):
    """For applications that send a whole body in one message, with its length in the head."""

    _head = b""

    async def send(self, message: Any) -> None:
        """The ASGI event, once the client takes what was written before."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self.response_started = True
            self.waiting_for_100_continue = False
            headers = [*self.default_headers, *cast(RawHeaders, message["headers"])]
            self.keep_alive = self.keep_alive and (b"connection", b"close") not in headers
            if not self.keep_alive and (b"connection", b"close") not in headers:
                headers.append((b"connection", b"close"))
            self._head = head(message["status"], headers)
            return
        self.transport.write(self._head if self.scope["method"] == "HEAD" else self._head + message["body"])
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
