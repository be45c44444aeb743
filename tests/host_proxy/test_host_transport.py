"""Connections to and from the guest: the handshake, its bounds, and who may connect (VS-01, VS-03)."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from host_proxy import transport
from host_proxy.errors import TransportError
from host_proxy.transport import Listener, connect, open_connection
from protocol import limits
from protocol.addresses import HybridAddress, VsockAddress

Serve = Callable[..., Awaitable[HybridAddress]]
needs_vsock = pytest.mark.skipif(not hasattr(socket, "AF_VSOCK"), reason="this Python has no AF_VSOCK")


@pytest.fixture
async def serve(folder: Path) -> AsyncIterator[Serve]:
    """A guest's end that answers the handshake with fixed pieces."""
    servers = []

    async def start(*pieces: bytes, heard: list[bytes] | None = None) -> HybridAddress:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = await reader.readline()
            if heard is not None:
                heard.append(line)
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            await reader.read()
            writer.close()

        servers.append(await asyncio.start_unix_server(handle, str(folder / "vm")))
        return HybridAddress(str(folder / "vm"), 5001)

    yield start
    for server in servers:
        server.close()


async def test_handshake_names_the_port_and_leaves_what_follows_to_the_guest(serve: Serve) -> None:
    heard: list[bytes] = []
    sock = await connect(await serve(b"OK 5001\nafter", heard=heard))
    assert heard == [b"CONNECT 5001\n"]
    assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"after"
    sock.close()


async def test_handshake_reply_may_come_in_pieces(serve: Serve) -> None:
    (await connect(await serve(b"O", b"K", b" ", b"1", b"\n"))).close()


LONGEST = b"OK " + b"1" * 10 + b"\n"


@pytest.mark.parametrize(
    "reply",
    [b"\n", b"OK\n", b"OK \n", b"OK x\n", b"ok 1\n", b" OK 1\n", b"OK 1 \n", b"OK 1\r\n", b"OK -1\n",
     b"OK 11111111111\n", b"ERROR\n", b"x" * limits.MAX_HANDSHAKE_BYTES + b"\n", b"x" * 100_000],
)  # fmt: skip
async def test_any_other_reply_is_refused_within_its_bound(serve: Serve, reply: bytes) -> None:
    with pytest.raises(TransportError) as caught:
        await connect(await serve(reply))
    assert caught.value.code == "transport-handshake"


async def test_longest_reply_passes(serve: Serve) -> None:
    assert len(LONGEST) <= limits.MAX_HANDSHAKE_BYTES
    (await connect(await serve(LONGEST))).close()


async def test_silent_guest_meets_the_deadline(serve: Serve) -> None:
    with pytest.raises(TransportError) as caught:
        await connect(await serve(b"OK 1"), deadline_s=0.1)
    assert caught.value.code == "transport-deadline"
    assert limits.CONNECT_DEADLINE_S == 3, "the default"


async def test_absent_guest_is_unreachable(folder: Path) -> None:
    with pytest.raises(TransportError) as caught:
        await connect(HybridAddress(str(folder / "nobody"), 5000))
    assert caught.value.code == "transport-unreachable"


async def test_guest_that_hangs_up_during_the_handshake_is_refused(folder: Path) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(hang_up, str(folder / "vm"))
    with pytest.raises(TransportError):
        await connect(HybridAddress(str(folder / "vm"), 5000))
    server.close()


@needs_vsock
async def test_unanswered_vsock_connect_is_one_error_within_the_deadline() -> None:
    with pytest.raises(TransportError) as caught:
        await connect(VsockAddress(4242, 5000), deadline_s=3)
    assert caught.value.code in ("transport-unreachable", "transport-deadline", "transport-unsupported")


async def test_python_without_vsock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_VSOCK", raising=False)
    with pytest.raises(TransportError) as caught:
        await connect(VsockAddress(16, 5000))
    assert caught.value.code == "transport-unsupported"


# --- listening ---


class Recorder(asyncio.Protocol):
    def __init__(self, made: "list[Recorder]") -> None:
        self.data = b""
        made.append(self)

    def data_received(self, data: bytes) -> None:
        self.data += data


class Listening:
    def __init__(self, folder: Path) -> None:
        self.guest = HybridAddress(str(folder / "vm"), 5000)
        self.path = folder / "vm_8001"
        self.made: list[Recorder] = []
        self.listener = Listener(self.guest, 8001, lambda: Recorder(self.made))


@pytest.fixture
async def listening(folder: Path) -> AsyncIterator[Listening]:
    found = Listening(folder)
    yield found
    found.listener.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_guest_connects_to_a_port_of_its_parent(listening: Listening) -> None:
    _, writer = await asyncio.open_unix_connection(str(listening.path))
    writer.write(b"hello")
    await until(lambda: bool(listening.made and listening.made[0].data == b"hello"))
    writer.close()


async def test_socket_is_for_its_owner_only_and_goes_with_the_listener(listening: Listening) -> None:
    assert listening.path.stat().st_mode & 0o777 == 0o600
    listening.listener.close()
    assert not listening.path.exists()


async def test_process_of_another_user_is_not_the_guest(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(transport, "_ROOT", 4243)  # the tests may run as root
    reader, writer = await asyncio.open_unix_connection(str(listening.path))
    assert await reader.read() == b""
    assert listening.made == []
    writer.close()


@needs_vsock
def test_vsock_peer_other_than_the_launched_cid_is_not_the_guest() -> None:
    listener = Listener.__new__(Listener)
    listener._guest = VsockAddress(16, 5000)
    with socket.socket(socket.AF_UNIX) as sock:
        assert listener._is_guest(sock, (16, 1024))
        assert not listener._is_guest(sock, (17, 1024))


@needs_vsock
async def test_vsock_listener_takes_the_port_once() -> None:
    try:
        first = Listener(VsockAddress(16, 5000), 8001, asyncio.Protocol)
    except TransportError as error:
        pytest.skip(f"this machine has no vsock: {error.code}")
    with pytest.raises(TransportError) as caught:
        Listener(VsockAddress(16, 5000), 8001, asyncio.Protocol)
    assert caught.value.code == "transport-address-in-use"
    first.close()


async def test_socket_of_a_dead_process_is_replaced_and_of_a_living_one_is_not(folder: Path) -> None:
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(folder / "vm_8001"))
    left_behind.close()
    living = Listening(folder)
    with pytest.raises(TransportError) as caught:
        Listening(folder)
    assert caught.value.code == "transport-address-in-use"
    (await asyncio.open_unix_connection(str(living.path)))[1].close()
    living.listener.close()


async def test_file_that_is_no_socket_is_left_alone(folder: Path) -> None:
    (folder / "vm_8001").write_text("precious")
    with pytest.raises(TransportError):
        Listening(folder)
    assert (folder / "vm_8001").read_text() == "precious"


async def test_listener_out_of_descriptors_pauses_and_goes_on(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted:
        def __init__(self, sock: socket.socket) -> None:
            self.sock, self.failures = sock, 1

        def accept(self) -> object:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "too many open files")
            return self.sock.accept()

        def __getattr__(self, name: str) -> object:
            return getattr(self.sock, name)

    monkeypatch.setattr(transport, "_ACCEPT_PAUSE_S", 0.05)
    listening.listener._sock = Exhausted(listening.listener._sock)  # type: ignore[assignment]
    _, writer = await asyncio.open_unix_connection(str(listening.path))
    await until(lambda: bool(listening.made))
    writer.close()


async def test_both_transports_end_as_a_socket_that_every_loop_takes(serve: Serve) -> None:
    """uvloop refuses AF_VSOCK; a vsock descriptor under the name of AF_UNIX is what both loops are given."""
    protocol = await open_connection(await serve(b"OK 1\n"), lambda: Recorder([]))
    assert isinstance(protocol, Recorder)
    pair = socket.socketpair()
    assert transport._labelled_unix(pair[0]).family == socket.AF_UNIX
    for sock in pair:
        sock.close()
