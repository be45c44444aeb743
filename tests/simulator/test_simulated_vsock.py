"""The guest's side of the hybrid-vsock handshake, against hosts that keep it and hosts that do not."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enclave.errors import EgressError
from protocol.addresses import HybridAddress
from simulator.vsock import dial, serve


class _Echo(asyncio.Protocol):
    """Answers everything, with its name in front of the first answer."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._name)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    ports = {5000: lambda: _Echo(b"a:"), 5001: lambda: _Echo(b"b:")}
    async with await serve(tmp_path / "vm.vsock", ports):
        yield tmp_path / "vm.vsock"


async def _exchange(path: Path, *chunks: bytes) -> bytes:
    """Everything the guest sends until it closes, after `chunks` and the end of ours."""
    reader, writer = await asyncio.open_unix_connection(path)
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(0)
    if writer.can_write_eof():
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_host_reaches_the_port_it_names(path: Path) -> None:
    assert await _exchange(path, HybridAddress(str(path), 5000).hello, b"hi") == b"OK 5000\na:hi"
    assert await _exchange(path, HybridAddress(str(path), 5001).hello, b"hi") == b"OK 5001\nb:hi"


async def test_bytes_that_come_with_the_first_line_are_not_lost(path: Path) -> None:
    assert await _exchange(path, b"CONNECT 5000\nearly\nbytes") == b"OK 5000\na:early\nbytes"


async def test_first_line_may_come_byte_by_byte(path: Path) -> None:
    hello = b"CONNECT 5000\nx"
    assert await _exchange(path, *(hello[i : i + 1] for i in range(len(hello)))) == b"OK 5000\na:x"


@pytest.mark.parametrize(
    "hello",
    [
        b"CONNECT 5002\n",
        b"CONNECT 05000\n",
        b"CONNECT +5000\n",
        b"CONNECT 5000 \n",
        b"CONNECT 5000\r\n",
        b"connect 5000\n",
        b"CONNECT \n",
        b"\n",
        b"GET / HTTP/1.1\n",
        b"CONNECT 50000000000000000000\n",
        b"C" * 1000,
        b"",
    ],
)
async def test_host_that_says_anything_else_is_closed_without_an_answer(path: Path, hello: bytes) -> None:
    assert await _exchange(path, hello) == b""


async def test_host_that_never_finishes_its_line_is_closed_at_the_deadline(tmp_path: Path) -> None:
    async with await serve(tmp_path / "vm.vsock", {5000: lambda: _Echo(b"")}, deadline_s=0.05):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "vm.vsock")
        writer.write(b"CONNECT 50")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_deadline_ends_with_the_handshake(tmp_path: Path) -> None:
    async with await serve(tmp_path / "vm.vsock", {5000: lambda: _Echo(b"")}, deadline_s=0.05):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "vm.vsock")
        writer.write(b"CONNECT 5000\n")
        assert await reader.readline() == b"OK 5000\n"
        await asyncio.sleep(0.1)
        writer.write(b"still here")
        assert await asyncio.wait_for(reader.read(100), 5) == b"still here"
        writer.close()


async def test_peer_of_another_user_is_closed_unread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert await _exchange(path, b"CONNECT 5000\n") == b""


async def test_socket_is_private_and_replaces_a_stale_one(tmp_path: Path) -> None:
    for _ in range(2):  # closing a server leaves the file, as a killed guest does
        async with await serve(tmp_path / "vm.vsock", {}):
            assert stat.S_IMODE((tmp_path / "vm.vsock").stat().st_mode) == 0o600


async def test_guest_reaches_the_parent_by_port(tmp_path: Path) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    guest = tmp_path / "vm.vsock"
    async with await asyncio.start_unix_server(connected, HybridAddress(str(guest), 8000).guest_path):
        sock = await dial(guest)(8000)
        assert not sock.getblocking()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b"hello")
        assert await loop.sock_recv(sock, 100) == b"hello"
        sock.close()


async def test_parent_that_does_not_listen_is_an_egress_error(tmp_path: Path) -> None:
    with pytest.raises(EgressError, match="egress-parent-unreachable"):
        await dial(tmp_path / "vm.vsock")(8000)


async def test_parent_that_never_accepts_is_given_up_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.limits.CONNECT_DEADLINE_S", 0.05)

    async def never(*_: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    with pytest.raises(EgressError, match="egress-parent-timeout"):
        await dial(tmp_path / "vm.vsock")(8000)
