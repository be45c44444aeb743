"""Runs an ASGI application on a loopback port, with TLS or without, beside others in one process."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Self

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process that runs all the stand-ins, not to one of them."""
        yield


class AsgiServer:
    """A started listener. Use as an async context manager, or call `close`."""

    def __init__(self, server: _Server, listener: socket.socket, task: "asyncio.Task[None]") -> None:
        self._server = server
        self._listener = listener
        self._task = task
        self.port: int = listener.getsockname()[1]
        """The TCP port that is listened on."""

    async def close(self) -> None:
        """Stop listening and cut what is still connected."""
        self._server.should_exit = True
        self._server.force_exit = True
        await self._task
        self._listener.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def serve(app: ASGIApp, host: str, port: int, ssl_context: ssl.SSLContext | None) -> AsgiServer:
    """A listening server; port 0 takes a free one."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_context_factory=None if ssl_context is None else (lambda *_: ssl_context),
    )
    server = _Server(config)
    listener = socket.create_server((host, port))  # listens from here on: early connections wait in its backlog
    return AsgiServer(server, listener, asyncio.create_task(server.serve(sockets=[listener])))
