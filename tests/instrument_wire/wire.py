"""The whole way of a request for the tests of the wire: HTTP, the host proxy, frames, and a booted enclave.

Only the eight ports of the enclave are stand-ins, and an identity provider that speaks TLS on loopback.
"""

import io
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from host_proxy.app import Host, HostPorts, compose, metrics_for
from host_proxy.config import Enclave, HostConfig
from host_proxy.logging import Log
from host_proxy.store import SqliteStore
from host_proxy.supervisor import Unmanaged
from protocol.errors import TABLE
from protocol.frames import Request, Response
from simulator.authorization import RegisteredClient
from simulator.identity_provider import IdentityProvider
from tests.appliance import AUDIENCE, ISSUER, SCOPE, Client, World, _tls_authority
from tests.enclave_login.login_support import LoopbackEgress
from tests.host_proxy.conftest import UNLIMITED, FixedCredentials, FixedResolver, eventually
from tests.host_proxy.guest import Guest

INSTRUMENT = "/rpc/IdentityInstrument"
_BY_CODE = {row.code: row for row in TABLE}


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP; a refusal has exactly the body of the wire format."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def code(self) -> int:
        value = self.json
        row = _BY_CODE[value["code"]]
        assert list(value) == [name for name in ("error", "code", "msg", "cause", "status") if name in value]
        assert (value["error"], value["msg"], value["status"]) == (row.name, row.message, self.status)
        assert self.headers["content-type"] == "application/json"
        return row.code

    @property
    def cause(self) -> str:
        cause: str = self.json.get("cause", "")
        return cause


class Wire:
    """One appliance, and calls to it over HTTP."""

    def __init__(self, world: World, provider: IdentityProvider, http: httpx.AsyncClient) -> None:
        self.world = world
        self.provider = provider
        self.http = http

    @property
    def url(self) -> str:
        return str(self.http.base_url).rstrip("/")

    def client(self, *, ethereum: bool = True) -> Client:
        """A device; the original's scenarios use secp256k1."""
        return Client(self.world, ethereum=ethereum)

    async def request(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> Answer:
        sent = {"content-type": "application/json"} if headers is None else headers
        response = await self.http.request(method, path, content=body, headers=sent)
        return Answer(response.status_code, response.headers, response.content)

    async def call(self, client: Client, method: str, params: Any, **headers: str) -> Answer:
        """A signed call of the Identity Instrument."""
        sent = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.request(f"{INSTRUMENT}/{method}", json.dumps(client.envelope(params)).encode(), sent)


@asynccontextmanager
async def running(folder: Path, *, scope: str | None = None, **changes: Any) -> AsyncIterator[Wire]:
    """A running appliance; `scope` is the host's, `changes` those of the measured configuration."""
    world = World(folder, **changes)
    provider = IdentityProvider(
        ISSUER,
        [RegisteredClient(AUDIENCE, ("http://localhost:8080/callback",))],
        now_s=lambda: world.clock.wall_ms() // 1000,
    )
    context = _tls_authority().issue("idp.example.test").server_context()
    async with await provider.serve("127.0.0.1", 0, context) as served:
        world.egress = LoopbackEgress({("idp.example.test", 443): served.port})
        await world.boot()
        try:
            async with over_http(world, scope) as http:
                yield Wire(world, provider, http)
        finally:
            await world.stop()


@asynccontextmanager
async def over_http(world: World, scope: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A host proxy in front of a booted enclave, and a client of it."""

    async def answer(_: int, request: Request) -> Response:
        return await world.enclave.answer(request)

    with tempfile.TemporaryDirectory(prefix="ch") as name:
        guest = await Guest(Path(name) / "vm", answer=answer).start()
        try:
            async with _host(Path(name), guest, scope) as http:
                yield http
        finally:
            await guest.stop()


@asynccontextmanager
async def _host(folder: Path, guest: Guest, scope: str | None) -> AsyncIterator[httpx.AsyncClient]:
    config = HostConfig(
        version=1,
        enclave=Enclave(address=f"unix:{guest.path}:5000"),
        store=str(folder / "store.db"),
        listen="127.0.0.1:0",
        metrics_listen="127.0.0.1:0",
        scope=scope,
        rates=UNLIMITED,
        grace_s=1,
    )
    ports = HostPorts(Unmanaged(), FixedResolver(), FixedCredentials(), SqliteStore(folder / "store.db"))
    host = compose(config, ports, log=Log(io.StringIO(), strict=True), metrics=metrics_for(config))
    await host.start()
    try:
        await eventually(partial(_serves, host))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{host.port}", trust_env=False, timeout=30) as http:
            yield http
    finally:
        await host.stop()


async def _serves(host: Host) -> bool:
    return (await host.health()).serving


__all__ = ["INSTRUMENT", "SCOPE", "Answer", "Wire", "over_http", "running"]
