"""What the tests of outside calls share: an egress to loopback ports, and a server that says what a test tells it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from enclave.errors import EgressError
from simulator.tls import ServerCertificate, TlsAuthority, issue_self_signed

HOST = "idp.example.test"

WRONG_CERTIFICATES: dict[str, Callable[[TlsAuthority, str], ServerCertificate]] = {
    "expired": lambda authority, name: authority.issue_expired(name),
    "self-signed": lambda _, name: issue_self_signed(name),
    "other-authority": lambda _, name: TlsAuthority.create().issue(name),
    "other-name": lambda authority, _: authority.issue("other.example.test"),
}


class LoopbackEgress:
    """`enclave.ports.Egress`: listed destinations lead to ports of this machine."""

    def __init__(self, ports: Mapping[tuple[str, int], int]) -> None:
        self.ports = dict(ports)
        self.connections = 0

    async def connect(self, host: str, port: int) -> socket.socket:
        if (host, port) not in self.ports:
            raise EgressError("egress-not-listed")
        self.connections += 1
        connection = socket.socket()
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.ports[host, port]))
        except OSError:
            connection.close()
            raise EgressError("egress-unreachable") from None
        return connection


class ScriptedServer:
    """Answers each request target with the raw bytes in `answers`; None hangs, and so does a target that is missing."""

    def __init__(self, answers: Mapping[str, bytes | None] | None = None) -> None:
        self.answers: dict[str, bytes | None] = dict(answers or {})
        self.requests: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def targets(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request)
            await self.gate.wait()
            answer = self.answers.get(request.split(b" ")[1].decode())
            if answer is None:
                await asyncio.sleep(3600)
            writer.write(answer or b"")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            return
        writer.transport.abort()

    @contextlib.asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None) -> AsyncIterator["ScriptedServer"]:
        server = await asyncio.start_server(self.serve_connection, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def response(body: bytes, *, status: int = 200, content_type: str = "application/json", extra: str = "") -> bytes:
    """A complete HTTP answer."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


class ManualClock:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms

    def advance_s(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


def replaced(mapping: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with changed members; None leaves one out."""
    return {name: value for name, value in (dict(mapping) | changes).items() if value is not None}
