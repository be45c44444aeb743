"""A host that serves the reviewers' page and carries requests to a guard of the tests."""

import io
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from host_proxy.app import HostPorts, compose, metrics_for
from host_proxy.config import Enclave, HostConfig, ReviewPage
from host_proxy.logging import Log
from host_proxy.store import SqliteStore
from host_proxy.supervisor import Unmanaged
from protocol.frames import Request, Response
from tests.appliance import PCRS
from tests.guard_review.review_world import ReviewWorld
from tests.host_proxy.conftest import UNLIMITED, FixedCredentials, FixedResolver
from tests.host_proxy.guest import Guest


def pcrs(**changes: str) -> dict[Any, str]:
    return {str(index): digest.hex() for index, digest in PCRS.items()} | changes


@asynccontextmanager
async def serving(
    world: ReviewWorld, port: int, *, roots: tuple[bytes, ...], images: dict[Any, str]
) -> AsyncIterator[str]:
    """The origin of a host that serves the page and carries requests to the guard."""

    async def answer(_: int, request: Request) -> Response:
        return await world.enclave.answer(request)

    with tempfile.TemporaryDirectory(prefix="ch") as name:
        folder = Path(name)
        guest = await Guest(folder / "vm", answer=answer).start()
        config = HostConfig(
            version=1,
            enclave=Enclave(address=f"unix:{guest.path}:5000"),
            store=str(folder / "store.db"),
            listen=f"127.0.0.1:{port}",
            metrics_listen="127.0.0.1:0",
            review_page=ReviewPage(deployment="test-deployment", pcrs=images),
            rates=UNLIMITED,
            grace_s=1,
        )
        store = SqliteStore(folder / "store.db")
        ports = HostPorts(Unmanaged(), FixedResolver(), FixedCredentials(), store, page_roots=roots)
        host = compose(config, ports, log=Log(io.StringIO(), strict=True), metrics=metrics_for(config))
        await host.start()
        try:
            yield f"http://localhost:{port}"
        finally:
            await host.stop()
            await guest.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
