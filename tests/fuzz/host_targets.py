"""Targets for what the host reads: clients, configuration, tools, and the enclave's calls."""

import asyncio
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from host_proxy.client_address import ClientAddresses
from host_proxy.config import load_config
from host_proxy.egress import EgressProxy
from host_proxy.egress_policy import EgressPolicy
from host_proxy.errors import ConfigError, EgressRefused, LaunchError
from host_proxy.health import _worker_health
from host_proxy.http import Receive, Scope, Send
from host_proxy.http_edge import Door, EdgeProtocol
from host_proxy.logging import Log
from host_proxy.looking import Looks
from host_proxy.metrics import Metrics
from host_proxy.nitro_cli import _decode, _Described
from host_proxy.routing import routing_key
from host_proxy.services import Services
from protocol import services
from protocol.errors import ProtocolError
from protocol.frames import Request, Response
from protocol.services import Credentials, RecordKey, StoredRecord, Write
from tests.fuzz.appliance_targets import Sink
from tests.fuzz.loop import run
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import KEY, encoded, text

HOST_CONFIG = {
    "version": 1,
    "enclave": {
        "address": "vsock://16:5000",
        "workers": 2,
        "launch": {"image": "x.eif", "memory_mib": 512, "cpu_count": 2},
    },
    "store": "store.db",
    "listen": "[::1]:8080",
    "scope": "@1",
    "destinations": [{"host": "kms.eu-west-1.amazonaws.com", "networks": ["10.0.0.0/8"]}],
    "holders": [{"name": "alpha", "profile": "a"}],
    "trusted_proxies": ["10.1.0.0/16"],
}
HOST_TOML = b"""
version = 1
store = "store.db"
[enclave]
address = "unix:/run/vm.sock:5000"
[[destinations]]
host = "a.test"
"""
WORKER = {"serving": True, "phase": "serving", "holders": {"available": 3, "threshold": 2, "may_fail": 1}}
PLAIN_HTTP = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}GET /y HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED_HTTP = (
    b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2;e\r\n{}\r\n0\r\n\r\n"
)
CONNECT = b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n"


# --- configuration and tools ---


class _File:
    """Stands for a path whose content is known."""

    def __init__(self, suffix: str, data: bytes) -> None:
        self.suffix, self._data = suffix, data

    def read_bytes(self) -> bytes:
        return self._data


def _config(data: bytes) -> object:
    suffix = ".json" if data.lstrip()[:1] == b"{" else ".toml"
    return load_config(cast(Path, _File(suffix, data))).enclave.worker_addresses()


def _nitro_cli(data: bytes) -> object:
    return _decode(data, list[_Described])


def _client_address(data: bytes) -> object:
    peer, _, forwarded = text(data).partition("\n")
    return _addresses().of(peer, forwarded)


@cache
def _addresses() -> ClientAddresses:
    import ipaddress

    return ClientAddresses([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


class _Link:
    def __init__(self, body: bytes) -> None:
        self._answer = Response(1, 200, {}, body)

    async def call(self, *_: object, **__: object) -> Response:
        return self._answer


def _health(data: bytes) -> object:
    return run(_worker_health(_Link(data)))  # type: ignore[arg-type]


# --- the enclave's calls ---


class _Store:
    async def get(self, keys: list[RecordKey]) -> list[StoredRecord | None]:
        return [None] * len(keys)

    async def put(self, writes: list[Write]) -> None:
        return None

    async def ids(self, _: services.Page) -> list[bytes]:
        return []


class _Credentials:
    async def credentials(self, holder: str) -> Credentials:
        return Credentials("AKIA", "secret", holder)


METHODS = (services.STORE_GET, services.STORE_PUT, services.CREDENTIALS, services.STORE_LIST, "else")


@cache
def _services() -> Services:
    return Services(
        store=_Store(),  # type: ignore[arg-type]
        credentials=_Credentials(),
        looks=Looks(),
        log=Log(io.StringIO(), strict=True),
        metrics=Metrics(),
    )


def _service(data: bytes) -> object:
    method = METHODS[(data[0] if data else 0) % len(METHODS)]
    if method == services.STORE_PUT:
        return run(_put(data[1:]))
    status, body = run(_services().answer(Request(1, method, {}, data[1:])))
    if status not in (200, 400, 404):
        raise AssertionError(status)
    return body


async def _put(body: bytes) -> object:
    try:
        ends = _services().put(body)
    except ProtocolError:
        return b""
    await asyncio.wait(ends)
    found = _services().outcomes(ends)
    if set(found) != {services.DURABLE}:
        raise AssertionError(found)
    return found


@cache
def _egress() -> EgressProxy:
    policy = EgressPolicy((), resolver=None)  # type: ignore[arg-type]
    return EgressProxy(policy, log=Log(io.StringIO(), strict=True), metrics=Metrics())


def _connect(data: bytes) -> object:
    async def read() -> object:
        reader = asyncio.StreamReader(limit=1024)
        reader.feed_data(data)
        reader.feed_eof()
        return await _egress()._read_request(reader)

    return run(read())


# --- clients ---


async def _app(_: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    while message["type"] == "http.request" and message["more_body"]:
        message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@cache
def _edge() -> Callable[[], EdgeProtocol]:
    config = uvicorn.Config(_app, interface="asgi3", lifespan="off", log_config=None, access_log=False)
    config.load()
    door = Door(ClientAddresses())
    return lambda: EdgeProtocol(config, ServerState(), door)


def _http(data: bytes) -> object:
    """Bytes of a client: whatever comes back is whole answers of HTTP."""

    async def feed() -> bytes:
        connection, sink = _edge()(), _Client()
        connection.connection_made(sink)
        for piece in (data[:11], data[11:]):
            connection.data_received(piece)
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        await asyncio.sleep(0)
        return sink.sent

    answer = run(feed())
    if answer and not answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 100 ")):
        raise AssertionError(answer)
    return answer


class _Client(Sink):
    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default


TARGETS = {
    "host_config": Target(_config, (ConfigError,), lambda: [encoded(HOST_CONFIG), HOST_TOML]),
    "nitro_cli": Target(_nitro_cli, (LaunchError,), lambda: [encoded([{"EnclaveID": "i", "State": "RUNNING"}])]),
    "client_address": Target(_client_address, (), lambda: [b"10.0.0.1\n1.2.3.4, ::ffff:10.0.0.2, fd00::1%eth0"]),
    "worker_health": Target(_health, (), lambda: [encoded(WORKER)]),
    "routing_key": Target(routing_key, (), lambda: [encoded({"authKey": {"address": "0xAB"}, "params": [1]})]),
    "service_call": Target(
        _service,
        (),
        lambda: [
            b"\x00" + services.encode_keys([KEY]),
            b"\x01" + services.encode_puts([[Write(KEY, 0, 1, b"value")]]),
            b"\x02alpha",
            b"\x03" + services.encode_page(services.Page("account", b"", 8)),
        ],
    ),
    "egress_request": Target(_connect, (EgressRefused,), lambda: [CONNECT]),
    "http_request": Target(_http, (), lambda: [PLAIN_HTTP, CHUNKED_HTTP]),
}
