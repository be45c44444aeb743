"""Fixtures of the host's tests: a short directory for sockets, a guest, and whole hosts in front of it."""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from host_proxy.app import Host, HostPorts, compose, metrics_for
from host_proxy.config import Enclave, HostConfig, Rates
from host_proxy.egress_policy import Endpoint
from host_proxy.errors import CredentialsFault
from host_proxy.logging import Log
from host_proxy.metrics import Metrics
from host_proxy.store import SqliteStore
from host_proxy.supervisor import Unmanaged
from protocol.services import Credentials
from tests.host_proxy.guest import Guest


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 5) -> None:
    """Returns once `condition` holds; fails the test when it does not in time."""
    async with asyncio.timeout(within_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


UNLIMITED = Rates(client_per_s=1e9, client_burst=1e9, auth_key_per_s=1e9, auth_key_burst=1e9)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose path leaves room in a socket's name."""
    with tempfile.TemporaryDirectory(prefix="ch") as name:
        yield Path(name)


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(output: io.StringIO) -> Log:
    """Strict: whatever is not on the list raises."""
    return Log(output, strict=True)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def guest(folder: Path) -> AsyncIterator[Guest]:
    guest = await Guest(folder / "vm").start()
    yield guest
    await guest.stop()


class FixedResolver:
    """Answers from a table; a missing name does not resolve."""

    def __init__(self, table: dict[tuple[str, int], list[Endpoint]] | None = None) -> None:
        self.table = table or {}

    async def resolve(self, host: str, port: int) -> list[Endpoint]:
        if (host, port) not in self.table:
            raise OSError
        return self.table[host, port]


class FixedCredentials:
    async def credentials(self, holder: str) -> Credentials:
        if holder != "a":
            raise CredentialsFault("credentials-unknown-holder")
        return Credentials("AKIA", "secret", None)


@dataclass
class Running:
    """A host under test with a client for its public port."""

    host: Host
    client: httpx.AsyncClient
    metrics: Metrics
    output: io.StringIO
    closers: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.host.port

    async def connected(self, workers: int = 1) -> None:
        """Waits until the links to all workers are up."""
        await eventually(lambda: self.host._pool.connected == workers)

    async def serving(self, *, expected: bool = True) -> None:
        """Waits until `/health` says so."""

        async def says_so() -> bool:
            return (await self.host.health()).serving is expected

        await eventually(says_so)


StartHost = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start_host(folder: Path, guest: Guest, output: io.StringIO) -> AsyncIterator[StartHost]:
    """Starts a host before `guest`; keyword arguments replace fields of the configuration."""
    started: list[Running] = []

    async def start(*, ports: dict[str, Any] | None = None, connect: bool = True, **fields: Any) -> Running:
        workers = len(guest.ports)
        defaults = {
            "enclave": Enclave(address=f"unix:{guest.path}:5000", workers=workers),
            "store": str(folder / "store.db"),
            "listen": "127.0.0.1:0",
            "metrics_listen": "127.0.0.1:0",
            "rates": UNLIMITED,
            "grace_s": 2,
        }
        config = HostConfig(version=1, **(defaults | fields))
        metrics = metrics_for(config)
        stands_on: dict[str, Any] = {
            "launcher": Unmanaged(),
            "resolver": FixedResolver(),
            "credentials": FixedCredentials(),
        } | (ports or {})
        if "store" not in stands_on:
            stands_on["store"] = SqliteStore(folder / "store.db", observe_commit=metrics.store_batch.observe)
        host = compose(config, HostPorts(**stands_on), log=Log(output, strict=True), metrics=metrics)
        await host.start()
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{host.port}", trust_env=False)
        running = Running(host, client, metrics, output)
        started.append(running)
        if connect:
            await running.connected(workers)
        return running

    yield start
    for running in started:
        await running.client.aclose()
        await running.host.stop()
