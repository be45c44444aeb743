"""A tiny guest for the host's tests: frame workers behind the hybrid handshake, connections to the parent's ports."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from protocol.frames import FrameConnection, Request, Response, encode

Answer = Callable[[int, Request], Awaitable[Response | None]]

HEALTHY = {
    "serving": True,
    "phase": "serving",
    "reason": "",
    "clock": "trusted",
    "failures": 0,
    "holders": {"available": 3, "threshold": 2, "may_fail": 1, "failing": {}},
}


async def echo(worker: int, request: Request) -> Response:
    """Says what arrived: method, headers, body, worker."""
    if request.method == "GET /health":
        return json_response(request, 200, HEALTHY)
    seen = {
        "worker": worker,
        "method": request.method,
        "headers": dict(request.headers),
        "body": request.body.decode("latin-1"),
    }
    return json_response(request, 200, seen)


def json_response(request: Request, status: int, value: object) -> Response:
    return Response(request.id, status, {"content-type": "application/json"}, json.dumps(value).encode())


class Guest:
    """Listens on `path` as a vsock device would; `answer` may be swapped at any time, None means silence."""

    def __init__(self, path: Path, *, answer: Answer = echo, workers: int = 1) -> None:
        self.path = path
        self.answer = answer
        self.ports = range(5000, 5000 + workers)
        self.requests: list[tuple[int, Request]] = []
        self.connections: set[GuestConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> "Guest":
        self.path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: GuestConnection(self), str(self.path))
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        self.path.unlink(missing_ok=True)

    def drop_connections(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()

    async def dial(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """What the guest does to reach a port of its parent."""
        return await asyncio.open_unix_connection(f"{self.path}_{port}")


class GuestConnection(asyncio.Protocol):
    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.worker: int | None = None
        self.hello = b""
        self.frames = FrameConnection()
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.guest.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.guest.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.worker is None:
            self.hello += data
            line, newline, data = self.hello.partition(b"\n")
            if not newline:
                return
            port = int(line.removeprefix(b"CONNECT "))
            if port not in self.guest.ports:
                self.transport.abort()
                return
            self.worker = port - 5000
            self.transport.write(b"OK 1073741824\n")
        for message in self.frames.receive(data):
            assert isinstance(message, Request)
            if message.method != "GET /health":
                self.guest.requests.append((self.worker, message))
            task = asyncio.ensure_future(self.respond(self.worker, message))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def respond(self, worker: int, request: Request) -> None:
        response = await self.guest.answer(worker, request)
        if response is not None:
            self.transport.write(encode(response))
