"""The CONNECT proxy: who may be reached, by which address, and how tunnels are bounded (VS-06)."""

import asyncio
import contextlib
import io
import ipaddress
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_proxy import egress, egress_policy
from host_proxy.config import Destination
from host_proxy.egress import EgressProxy, TunnelLimits
from host_proxy.egress_policy import EgressPolicy, Endpoint, SystemResolver
from host_proxy.errors import EgressRefused
from host_proxy.logging import Log
from host_proxy.metrics import Metrics
from protocol import limits
from protocol.addresses import KMS_PORT_BASE, HybridAddress
from tests.host_proxy.conftest import FixedResolver, eventually

KMS = "kms.eu-west-1.amazonaws.com"
LOOPBACK = Destination(host=KMS, networks=("127.0.0.1/32",))


def endpoints(*addresses: str, port: int = 443) -> list[Endpoint]:
    return [Endpoint(ipaddress.ip_address(address), port) for address in addresses]


async def allowed(addresses: list[str], *networks: str) -> list[str] | str:
    policy = EgressPolicy(
        [Destination(host=KMS, networks=networks)], FixedResolver({(KMS, 443): endpoints(*addresses)})
    )
    try:
        return [str(endpoint.address) for endpoint in await policy.endpoints(KMS, 443)]
    except EgressRefused as refusal:
        return refusal.code


# --- addresses ---

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2001:0:1::1",
]  # fmt: skip
METADATA = [
    "169.254.169.254", "169.254.170.2", "169.254.1.1", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
]  # fmt: skip
PUBLIC = ["52.94.1.1", "8.8.8.8", "2a05:d018::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE + METADATA)
async def test_name_that_resolves_to_no_public_address_is_refused(address: str) -> None:
    assert await allowed([address]) == "egress-address"


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_address_is_allowed(address: str) -> None:
    assert await allowed([address]) == [str(ipaddress.ip_address(address))]


@pytest.mark.parametrize("address", METADATA)
async def test_metadata_service_is_out_of_reach_even_when_listed(address: str) -> None:
    assert await allowed([address], "0.0.0.0/0", "::/0") == "egress-address"


async def test_listed_private_network_is_allowed_and_its_neighbour_is_not() -> None:
    assert await allowed(["10.0.3.7"], "10.0.3.0/24") == ["10.0.3.7"]
    assert await allowed(["10.0.4.7"], "10.0.3.0/24") == "egress-address"
    assert await allowed(["fd12::7"], "fd12::/64") == ["fd12::7"]
    assert await allowed(["::ffff:10.0.3.7"], "10.0.3.0/24") != "egress-address"
    assert await allowed(["::ffff:10.0.4.7"], "10.0.3.0/24") == "egress-address"


async def test_of_mixed_answers_only_the_public_ones_are_used() -> None:
    assert await allowed(["10.0.0.1", "52.94.1.1", "169.254.169.254", "127.0.0.1"]) == ["52.94.1.1"]


@pytest.mark.parametrize(
    ("host", "port"),
    [(KMS, 80), (KMS, 8443), ("evil.example", 443), ("kms.eu-west-1.amazonaws.com.evil.example", 443),
     ("amazonaws.com", 443), ("169.254.169.254", 80), ("52.94.1.1", 443), (KMS + ".", 443), (KMS.upper(), 443)],
)  # fmt: skip
async def test_what_is_not_listed_to_the_letter_is_not_even_resolved(host: str, port: int) -> None:
    class Untouched:
        async def resolve(self, _: str, __: int) -> list[Endpoint]:
            raise AssertionError

    with pytest.raises(EgressRefused) as caught:
        await EgressPolicy([Destination(host=KMS)], Untouched()).endpoints(host, port)
    assert (caught.value.code, caught.value.status) == ("egress-not-listed", 403)


async def test_name_that_does_not_resolve_is_an_error_of_its_own() -> None:
    with pytest.raises(EgressRefused) as caught:
        await EgressPolicy([Destination(host=KMS)], FixedResolver()).endpoints(KMS, 443)
    assert (caught.value.code, caught.value.status) == ("egress-unresolved", 502)


async def test_resolver_of_the_system_answers_with_addresses_and_the_same_port() -> None:
    found = await SystemResolver().resolve("127.0.0.1", 443)
    assert set(found) == set(endpoints("127.0.0.1"))


@settings(max_examples=200)
@given(st.integers(min_value=0, max_value=2**32 - 1), st.sampled_from(["4", "mapped", "6to4", "nat64"]))
def test_ipv4_address_is_judged_alike_in_every_disguise(number: int, disguise: str) -> None:
    plain = ipaddress.IPv4Address(number)
    worn = {
        "4": plain,
        "mapped": ipaddress.IPv6Address((0xFFFF << 32) | number),
        "6to4": ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        "nat64": ipaddress.IPv6Address((0x64FF9B << 96) | number),
    }[disguise]
    assert egress_policy._is_allowed(worn, ()) == egress_policy._is_allowed(plain, ())


# --- tunnels ---


class Upstream:
    """A TCP server with a swappable handler."""

    def __init__(self) -> None:
        self.connections = 0
        self.handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = self.echo

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            await self.handle(reader, writer)
        writer.close()

    @staticmethod
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Way:
    def __init__(self, path: Path, resolver: FixedResolver, upstream: Upstream, port: int, output: io.StringIO) -> None:
        self.path, self.resolver, self.upstream, self.port, self.output = path, resolver, upstream, port, output

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(f"{self.path}_8000")

    async def say(self, head: bytes) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """Status line and streams."""
        reader, writer = await self.dial()
        writer.write(head)
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
        return answer.partition(b"\r\n")[0], reader, writer

    async def tunnel(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        status, reader, writer = await self.say(connect())
        assert status == b"HTTP/1.1 200 Connection established"
        return reader, writer

    def events(self, name: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]


def connect(host: str = KMS, port: object = 443, *headers: str) -> bytes:
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


StartWay = Callable[..., Awaitable[Way]]


@pytest.fixture
async def start_way(folder: Path, log: Log, output: io.StringIO) -> AsyncIterator[StartWay]:
    started: list[tuple[EgressProxy, Upstream]] = []

    async def start(**bounds: float) -> Way:
        upstream = Upstream()
        port = await upstream.start()
        resolver = FixedResolver({(KMS, 443): endpoints("127.0.0.1", port=port)})
        proxy = EgressProxy(
            EgressPolicy([LOOPBACK], resolver),
            log=log,
            metrics=Metrics(destinations=[f"{KMS}:443"]),
            bounds=TunnelLimits(**bounds),  # type: ignore[arg-type]
            direct={KMS_PORT_BASE + 1: (KMS, 443), KMS_PORT_BASE + 2: ("unlisted.example", 443)},
        )
        proxy.start(HybridAddress(str(folder / "vm"), 5000))
        started.append((proxy, upstream))
        return Way(folder / "vm", resolver, upstream, port, output)

    yield start
    for proxy, upstream in started:
        await proxy.close()
        upstream.server.close()


async def test_tunnel_carries_bytes_both_ways_and_counts_them(start_way: StartWay) -> None:
    way = await start_way()
    reader, writer = await way.tunnel()
    for size in (1, 1000, 300_000):
        writer.write(bytes(size))
        assert await reader.readexactly(size) == bytes(size)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await eventually(lambda: bool(way.events("egress.closed")))
    (closed,) = way.events("egress.closed")
    assert (closed["destination"], closed["code"]) == (f"{KMS}:443", "egress-done")
    assert closed["sent_bytes"] == closed["received_bytes"] == 301_001


async def test_direct_port_leads_to_its_listed_destination_without_a_word(start_way: StartWay) -> None:
    way = await start_way()
    reader, writer = await asyncio.open_unix_connection(f"{way.path}_{KMS_PORT_BASE + 1}")
    writer.write(b"\x16\x03\x01 client hello")
    assert await reader.readexactly(16) == b"\x16\x03\x01 client hello"
    writer.close()
    await eventually(lambda: bool(way.events("egress.closed")))
    assert way.events("egress.closed")[0]["destination"] == f"{KMS}:443"


async def test_direct_port_to_an_unlisted_destination_is_cut(start_way: StartWay) -> None:
    way = await start_way()
    reader, _ = await asyncio.open_unix_connection(f"{way.path}_{KMS_PORT_BASE + 2}")
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    await eventually(lambda: bool(way.events("egress.refused")))
    assert way.events("egress.refused")[0]["code"] == "egress-not-listed"
    assert way.upstream.connections == 0


async def test_one_half_may_end_while_the_other_goes_on(start_way: StartWay) -> None:
    way = await start_way()

    async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        writer.write(b"answer to " + question)

    way.upstream.handle = answer_after_the_end
    reader, writer = await way.tunnel()
    writer.write(b"question")
    writer.write_eof()
    assert await reader.read() == b"answer to question"
    writer.close()


async def test_bytes_sent_with_the_request_reach_the_other_side(start_way: StartWay) -> None:
    way = await start_way()
    status, reader, writer = await way.say(connect() + b"early")
    assert status.startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(5) == b"early"
    writer.close()


MALFORMED = {
    "other method": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute form": b"CONNECT http://%b:443 HTTP/1.1\r\n\r\n" % KMS.encode(),
    "no port": b"CONNECT %b HTTP/1.1\r\n\r\n" % KMS.encode(),
    "port above the range": connect(port=65536),
    "port with a sign": connect(port="+443"),
    "port with zeros": connect(port="0443"),
    "upper case": connect(KMS.upper()),
    "user part": connect("user@" + KMS),
    "IPv6 literal": b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n",
    "other version": b"CONNECT %b:443 HTTP/1.0\r\n\r\n" % KMS.encode(),
    "bare LF": b"CONNECT %b:443 HTTP/1.1\nHost: x\r\n\r\n" % KMS.encode(),
    "LF in a header": connect(KMS, 443, "X: a\nCONNECT evil:443 HTTP/1.1"),
    "folded header": connect(KMS, 443, "X: a", " b"),
    "header without colon": connect(KMS, 443, "nonsense"),
    "NUL": connect(KMS, 443, "X: \x00"),
    "two spaces": b"CONNECT  %b:443 HTTP/1.1\r\n\r\n" % KMS.encode(),
    "noise": bytes(range(256)) + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_request_is_refused_without_a_connection(start_way: StartWay, name: str) -> None:
    way = await start_way()
    status, reader, writer = await way.say(MALFORMED[name])
    assert status == b"HTTP/1.1 400 Bad Request"
    assert await reader.read() == b""
    assert way.upstream.connections == 0
    writer.close()


async def test_head_at_the_cap_passes_and_one_byte_more_is_refused(start_way: StartWay) -> None:
    way = await start_way()

    def padded(size: int) -> bytes:
        fields, rest = [], size - len(connect())
        for length in (512, rest - 512):  # a line is `Xn: …` and its end
            fields.append("X: " + "y" * (length - 5))
        return connect(KMS, 443, *fields)

    assert len(padded(limits.MAX_CONNECT_HEAD_BYTES)) == limits.MAX_CONNECT_HEAD_BYTES
    status, _, writer = await way.say(padded(limits.MAX_CONNECT_HEAD_BYTES))
    assert status.startswith(b"HTTP/1.1 200")
    writer.close()
    status, _, writer = await way.say(padded(limits.MAX_CONNECT_HEAD_BYTES + 1))
    assert status.startswith(b"HTTP/1.1 400")
    writer.close()
    status, _, writer = await way.say(b"CONNECT " + b"x" * 100_000)
    assert status.startswith(b"HTTP/1.1 400")
    writer.close()


async def test_unlisted_destination_is_forbidden_and_named_in_the_log(start_way: StartWay) -> None:
    way = await start_way()
    status, _, writer = await way.say(connect("evil.example"))
    assert status == b"HTTP/1.1 403 Forbidden"
    assert way.events("egress.refused")[0]["code"] == "egress-not-listed"
    assert way.events("egress.refused")[0]["destination"] == "evil.example:443"
    writer.close()


async def test_answer_that_changes_to_a_private_address_is_refused_the_next_time(start_way: StartWay) -> None:
    """DNS rebinding: the listed loopback address is fine, its neighbour is not, whatever was true before."""
    way = await start_way()
    _, writer = await way.tunnel()
    writer.close()
    for address in ("127.0.0.2", "10.0.0.1", "169.254.169.254", "::1"):
        way.resolver.table[KMS, 443] = endpoints(address, port=way.port)
        status, _, writer = await way.say(connect())
        assert status == b"HTTP/1.1 403 Forbidden"
        writer.close()
    assert way.upstream.connections == 1


async def test_connection_goes_to_the_judged_address_and_the_name_is_asked_once(
    start_way: StartWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = await start_way()
    dialled = []
    original = asyncio.open_connection

    async def watched(host: str, port: int, **rest: int) -> object:
        dialled.append((host, port))
        return await original(host, port, **rest)

    monkeypatch.setattr(egress.asyncio, "open_connection", watched)
    _, writer = await way.tunnel()
    assert dialled == [("127.0.0.1", way.port)]
    writer.close()


async def test_second_address_is_tried_when_the_first_refuses(start_way: StartWay) -> None:
    way = await start_way()
    closed = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    dead_port = closed.sockets[0].getsockname()[1]
    closed.close()
    way.resolver.table[KMS, 443] = endpoints("127.0.0.1", port=dead_port) + endpoints("127.0.0.1", port=way.port)
    _, writer = await way.tunnel()
    writer.close()
    way.resolver.table[KMS, 443] = endpoints("127.0.0.1", port=dead_port)
    status, _, writer = await way.say(connect())
    assert status == b"HTTP/1.1 502 Bad Gateway"
    writer.close()


async def test_resolver_that_hangs_meets_the_deadline(start_way: StartWay, monkeypatch: pytest.MonkeyPatch) -> None:
    way = await start_way(open_s=0.1)

    async def hang(*_: object) -> list[Endpoint]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(way.resolver, "resolve", hang)
    status, _, writer = await way.say(connect())
    assert status == b"HTTP/1.1 504 Gateway Timeout"
    writer.close()


async def test_request_that_drips_is_closed(start_way: StartWay) -> None:
    way = await start_way(head_s=0.2)
    reader, writer = await way.dial()

    async def drip() -> None:
        for byte in connect():
            writer.write(bytes([byte]))
            await asyncio.sleep(0.03)

    dripping = asyncio.ensure_future(drip())
    async with asyncio.timeout(2):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    dripping.cancel()
    writer.close()


async def test_idle_tunnel_is_cut_and_a_moving_one_is_not(start_way: StartWay) -> None:
    way = await start_way(idle_s=0.3)
    idle, moving = await way.tunnel(), await way.tunnel()
    for _ in range(8):
        moving[1].write(b"x")
        assert await moving[0].readexactly(1) == b"x"
        await asyncio.sleep(0.06)
    await eventually(lambda: [event["code"] for event in way.events("egress.closed")] == ["egress-idle"])
    with contextlib.suppress(ConnectionError):
        assert await idle[0].read() == b""
    moving[1].write(b"y")
    assert await moving[0].readexactly(1) == b"y"
    for _, writer in (idle, moving):
        writer.close()


async def test_no_tunnel_outlives_its_life_time(start_way: StartWay) -> None:
    way = await start_way(lifetime_s=0.3)
    reader, writer = await way.tunnel()
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            writer.write(b"x")
            await reader.readexactly(1)
            await asyncio.sleep(0.02)
    await eventually(lambda: [event["code"] for event in way.events("egress.closed")] == ["egress-lifetime"])
    writer.close()


async def test_side_that_takes_nothing_is_cut_and_fills_no_memory(start_way: StartWay) -> None:
    way = await start_way(idle_s=0.3)
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536

    way.upstream.handle = flood
    reader, writer = await way.tunnel()
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await eventually(lambda: [event["code"] for event in way.events("egress.closed")] == ["egress-idle"])
    assert sent < 32 << 20, "no more than the kernel's buffers and ours"
    writer.close()


async def test_tunnels_beyond_the_cap_are_busy_and_the_others_work(start_way: StartWay) -> None:
    way = await start_way(tunnels=4)
    tunnels = [await way.tunnel() for _ in range(4)]
    for _ in range(40):
        status, _, writer = await way.say(connect())
        assert status == b"HTTP/1.1 503 Service Unavailable"
        writer.close()
    for reader, writer in tunnels:
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
    await eventually(lambda: len(way.events("egress.closed")) == 4)
    _, writer = await way.tunnel()
    writer.close()


async def test_reset_on_either_side_ends_the_tunnel(start_way: StartWay) -> None:
    way = await start_way()

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger = struct.pack("ii", 1, 0)  # close() then resets
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    way.upstream.handle = reset
    reader, writer = await way.tunnel()
    writer.write(b"x")
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    await eventually(lambda: [event["code"] for event in way.events("egress.closed")] == ["egress-reset"])
    writer.close()
    _, second = await way.tunnel()
    second.transport.abort()
    await eventually(lambda: len(way.events("egress.closed")) == 2)


def test_bounds_are_those_of_the_table() -> None:
    bounds = TunnelLimits()
    assert (bounds.tunnels, bounds.open_s, bounds.idle_s, bounds.lifetime_s) == (
        limits.MAX_EGRESS_CONNECTIONS,
        limits.CONNECT_DEADLINE_S,
        limits.EGRESS_IDLE_S,
        limits.EGRESS_LIFETIME_S,
    )
