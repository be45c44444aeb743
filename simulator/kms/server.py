"""The listener: TLS, HTTP/1.1, one handler for every regional host name. Small, bounded, and never silent by accident.

What is not HTTP gets an error in the form of AWS, too. Each connection has a deadline for a request to arrive whole.
"""

import asyncio
import ssl
from typing import Final, Self

import h11

from simulator.kms.errors import AwsError
from simulator.kms.requests import MAX_BODY_BYTES
from simulator.kms.service import HttpResponse, KmsService, error_response
from simulator.kms.sigv4 import HttpRequest

_MAX_HEAD_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024
_READ_DEADLINE_S: Final = 30.0


async def serve(service: KmsService, host: str, port: int, ssl_context: ssl.SSLContext | None) -> "KmsServer":
    """A listening server; port 0 takes a free one, which `KmsServer.port` tells."""
    server = KmsServer(service)
    await server.start(host, port, ssl_context)
    return server


class KmsServer:
    """A started listener. Use as an async context manager, or call `close`."""

    def __init__(self, service: KmsService) -> None:
        self._service = service
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        if self._server is None:
            raise RuntimeError("the server is not listening")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve_connection, host, port, ssl=ssl_context)

    async def close(self) -> None:
        """Stop listening and cut every connection, hung ones included."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await self._serve_requests(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the peer is gone or late, or the server is closing: cut below
        finally:
            writer.transport.abort()

    async def _serve_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        while _expects_request(http):
            try:
                async with asyncio.timeout(_READ_DEADLINE_S):
                    request = await _read_request(http, reader)
            except h11.RemoteProtocolError:
                response: HttpResponse | None = error_response(AwsError("SerializationException", "Not HTTP/1.1"))
            except AwsError as error:
                response = error_response(error)
            else:
                if request is None:
                    return
                response = await self._service.answer(request)
            if response is None:
                return
            await _write_response(http, writer, response)
        writer.close()  # flushes the last answer, which an abort would not
        await writer.wait_closed()


def _expects_request(http: h11.Connection) -> bool:
    """Whether the connection is open for one more request."""
    if http.our_state is h11.DONE and http.their_state is h11.DONE:
        http.start_next_cycle()
    return bool(http.our_state is h11.IDLE)


async def _read_request(http: h11.Connection, reader: asyncio.StreamReader) -> HttpRequest | None:
    """The next request; None at a clean end. `AwsError` when its body is too large."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match event := http.next_event():
            case h11.NEED_DATA:
                http.receive_data(await reader.read(_READ_BYTES))
            case h11.Request():
                head = event
            case h11.Data():
                body += event.data
                if len(body) > MAX_BODY_BYTES:
                    raise AwsError("RequestEntityTooLargeException", status=413)
            case h11.EndOfMessage() if head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                return HttpRequest(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, bytes(body))
            case _:
                return None


async def _write_response(http: h11.Connection, writer: asyncio.StreamWriter, response: HttpResponse) -> None:
    headers = [*response.headers.items(), ("content-length", str(len(response.body)))]
    if http.their_state is not h11.DONE:
        headers.append(("connection", "close"))  # the rest of the request is not read
    for event in (
        h11.Response(status_code=response.status, headers=headers),
        h11.Data(data=response.body),
        h11.EndOfMessage(),
    ):
        writer.write(http.send(event) or b"")
    await writer.drain()
