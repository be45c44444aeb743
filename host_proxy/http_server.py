"""One listening HTTP socket: accepts, sweeps deadlines once a second, stops gracefully within a bound.

Trust side: host. uvicorn supplies the protocol and its cycle; its `Server` is a process with signal handlers, which a
host with several listeners on one loop cannot use.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from email.utils import formatdate
from typing import Any, Final, cast

import uvicorn
from uvicorn.server import ServerState

from host_proxy.config import HostPort, Tls
from host_proxy.errors import HostError
from host_proxy.http_door import Deadlines, Door
from host_proxy.http_edge import EdgeProtocol
from protocol import limits

_BACKLOG: Final = 1024
_SWEEP_S: Final = 1.0


class HttpServer:
    """Serves `app`, an ASGI application, on `listen`."""

    def __init__(
        self,
        app: Any,
        *,
        listen: HostPort,
        door: Door,
        tls: Tls | None = None,
        deadlines: Deadlines = Deadlines(),  # noqa: B008  frozen
        sweep_s: float = _SWEEP_S,
    ) -> None:
        self._config = uvicorn.Config(
            app,
            http=EdgeProtocol,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(limits.HTTP_IDLE_DEADLINE_S),
        )
        self._listen = listen
        self._door = door
        self._tls = tls
        self._deadlines = deadlines
        self._sweep_s = sweep_s
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Listens; `port` is the real one from here on. `HostError`: `http-listen`, `http-tls`."""
        self._config.load()
        sock = _bound(self._listen)
        self.port = sock.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: EdgeProtocol(self._config, self._state, self._door),
            sock=sock,
            backlog=_BACKLOG,
            ssl=None if self._tls is None else _tls_context(self._tls),
            ssl_handshake_timeout=None if self._tls is None else limits.HTTP_HEAD_DEADLINE_S,
        )
        self._sweeper = loop.create_task(self._sweep())

    async def stop(self, grace_s: float) -> int:
        """Stops accepting, lets requests finish for at most `grace_s`; the number of connections cut off after that."""
        if self._server is None:
            return 0
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._door.total:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._door.empty.wait(), grace_s)
        cut_off = [cast(EdgeProtocol, connection) for connection in self._state.connections]
        for connection in cut_off:
            connection.cut_off()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        if cut_off:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._door.empty.wait(), self._deadlines.linger_s)
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._state.connections):
            cast(EdgeProtocol, connection).transport.abort()
        return len(cut_off)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode("ascii"))]
            now = loop.time()
            for connection in list(self._state.connections):
                cast(EdgeProtocol, connection).check_deadlines(now, self._deadlines)
            await asyncio.sleep(self._sweep_s)


def _bound(listen: HostPort) -> socket.socket:
    try:
        return socket.create_server((listen.host, listen.port), family=_family(listen.host), backlog=_BACKLOG)
    except OSError:
        raise HostError("http-listen", str(listen)) from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _tls_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.private_key)
    except (OSError, ssl.SSLError):
        raise HostError("http-tls") from None
    return context
