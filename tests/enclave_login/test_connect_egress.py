"""The CONNECT tunnel: only listed destinations, and a parent that may answer anything (VS-06)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.errors import EgressError
from enclave.net.egress import ConnectEgress
from protocol import limits
from protocol.addresses import EGRESS_PORT

LISTED = frozenset([("Idp.Example.Test", 443)])
GOOD = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"


class Parent:
    """The other end of one dialled connection."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)

    async def dial(self, port: int) -> socket.socket:
        self.ports.append(port)
        return self.near

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.far, data)

    async def receive(self, size: int = 4096) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.far, size)


@asynccontextmanager
async def parent() -> AsyncIterator[Parent]:
    end = Parent()
    try:
        yield end
    finally:
        end.near.close()
        end.far.close()


async def code_for(reply: bytes) -> str:
    """What `connect` makes of a parent that answers `reply` and closes; empty for success."""
    async with parent() as end:
        await end.send(reply)
        end.far.shutdown(socket.SHUT_WR)
        try:
            await ConnectEgress(end.dial, LISTED).connect("idp.example.test", 443)
        except EgressError as error:
            assert end.near.fileno() == -1, "the socket is closed"
            return error.code
        return ""


@pytest.mark.parametrize(
    ("host", "port"),
    [("evil.test", 443), ("idp.example.test", 80), ("idp.example.test.", 443), ("169.254.169.254", 80)],
)
async def test_unlisted_destination_is_refused_before_anything_is_dialled(host: str, port: int) -> None:
    async with parent() as end:
        with pytest.raises(EgressError, match="egress-not-listed"):
            await ConnectEgress(end.dial, LISTED).connect(host, port)
        assert end.ports == []


async def test_listed_destination_gives_a_clean_tunnel() -> None:
    async with parent() as end:
        connecting = asyncio.create_task(ConnectEgress(end.dial, LISTED).connect("idp.example.test", 443))
        assert await end.receive() == b"CONNECT idp.example.test:443 HTTP/1.1\r\nHost: idp.example.test:443\r\n\r\n"
        for byte in GOOD:
            await end.send(bytes([byte]))
        connection = await connecting
        await end.send(b"first bytes of the server")
        assert await asyncio.get_running_loop().sock_recv(connection, 100) == b"first bytes of the server"
        assert end.ports == [EGRESS_PORT]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (GOOD, ""),
        (b"HTTP/1.0 200\r\n\r\n", ""),
        (b"HTTP/1.1 403 Forbidden\r\n\r\nnot listed", "egress-refused"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "egress-refused"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "egress-refused"),
        (GOOD + b"injected before the handshake", "egress-reply"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "egress-reply"),
        (b"HTTP/2 200 OK\r\n\r\n", "egress-reply"),
        (b"HTTP/1.1 200 OK\r\nbroken line\r\n\r\n", "egress-reply"),
        (b"HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\n\r\n", "egress-reply"),
        (b"HTTP/1.1 200 OK\n\n", "egress-reply"),
        (b"HTTP/1.1 200 OK\r\n", "egress-reply"),
        (b"SSH-2.0-x\r\n\r\n", "egress-reply"),
        (b"", "egress-reply"),
    ],
)
async def test_reply_of_the_parent(reply: bytes, code: str) -> None:
    assert await code_for(reply) == code


async def test_reply_at_the_cap_passes_and_one_byte_more_is_refused() -> None:
    frame = b"HTTP/1.1 200 OK\r\npad: %b\r\n\r\n"
    room = limits.MAX_CONNECT_REPLY_BYTES - len(frame % b"")
    assert await code_for(frame % (b"x" * room)) == ""
    assert await code_for(frame % (b"x" * (room + 1))) == "egress-reply"


async def test_silent_parent_meets_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECT_DEADLINE_S", 0.05)
    async with parent() as end:
        with pytest.raises(EgressError, match="egress-deadline"):
            await ConnectEgress(end.dial, LISTED).connect("idp.example.test", 443)
        assert end.near.fileno() == -1


async def test_dead_parent_is_one_error() -> None:
    async def dial(_: int) -> socket.socket:
        raise ConnectionRefusedError

    with pytest.raises(EgressError, match="egress-unreachable"):
        await ConnectEgress(dial, LISTED).connect("idp.example.test", 443)


@settings(max_examples=100)
@given(
    st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda tail: b"HTTP/1.1 200 " + tail + b"\r\n\r\n"))
)
def test_any_reply_gives_a_tunnel_or_one_error_family(reply: bytes) -> None:
    assert asyncio.run(code_for(reply)) in ("", "egress-reply", "egress-refused")
