r"""The guest's side of hybrid vsock: unix sockets in place of AF_VSOCK (design section 9).

Trust side: simulator, composed into the guest in the place of `enclave.vsock`. The host connects to PATH, sends
`CONNECT <port>\n` and reads `OK <n>\n`; connections that the guest starts go to `PATH_<port>`. The vsock device of the
emulator speaks the same, so the host does not know which of the two it talks to.
"""

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from enclave.errors import EgressError
from protocol import limits

ProtocolFactory = Callable[[], asyncio.Protocol]

_HELLO: Final = re.compile(rb"CONNECT (0|[1-9][0-9]{0,9})\Z")
_MAX_HELLO_BYTES: Final = len(b"CONNECT 4294967294\n")
_PEER: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid


def dial(path: Path) -> Callable[[int], Awaitable[socket.socket]]:
    """What `enclave.vsock.Parent.dial` is on hardware: port in, connected non-blocking socket out; `EgressError`."""

    async def dial_parent(port: int) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(limits.CONNECT_DEADLINE_S):
                await asyncio.get_running_loop().sock_connect(sock, f"{path}_{port}")
        except TimeoutError:
            sock.close()
            raise EgressError("egress-parent-timeout") from None
        except OSError:
            sock.close()
            raise EgressError("egress-parent-unreachable") from None
        except BaseException:
            sock.close()
            raise
        return sock

    return dial_parent


async def serve(
    path: Path,
    ports: Mapping[int, ProtocolFactory],
    others: Mapping[int, socket.socket] | None = None,
    *,
    deadline_s: float = limits.CONNECT_DEADLINE_S,
) -> asyncio.Server:
    """Listen on `path` (mode 0600, made anew) for the host; each connection gets a protocol of the port it names.

    Connections to the ports of `others` are passed to the processes at the other ends (`serve_passed`). A connection
    that is slow, names another port or says anything else is closed without an answer.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: _Handshake(ports, others or {}, deadline_s), sock=listen(path))


def serve_passed(passing: socket.socket, factory: ProtocolFactory) -> None:
    """Serve the connections to this process's port that the process which listens passes over."""
    loop = asyncio.get_running_loop()
    passing.setblocking(False)
    attaching: set[asyncio.Task[Any]] = set()

    def receive() -> None:
        with contextlib.suppress(BlockingIOError):
            data, descriptors, _, _ = socket.recv_fds(passing, 1, 1)
            if not data:
                loop.remove_reader(passing)
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                task = loop.create_task(loop.connect_accepted_socket(factory, connection))
                attaching.add(task)
                task.add_done_callback(attaching.discard)

    loop.add_reader(passing, receive)


def listen(path: Path) -> socket.socket:
    """A non-blocking unix socket bound to `path` (mode 0600); one that a dead process left there is replaced."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.bind(str(path))
    path.chmod(0o600)
    return sock


class _Handshake(asyncio.Protocol):
    """Reads the host's first line, then hands the transport to the protocol of that port."""

    def __init__(
        self, ports: Mapping[int, ProtocolFactory], others: Mapping[int, socket.socket], deadline_s: float
    ) -> None:
        self._ports = ports
        self._others = others
        self._deadline_s = deadline_s
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = asyncio.get_running_loop().call_later(self._deadline_s, self._transport.abort)
        if not peer_is_parent(transport.get_extra_info("socket")):
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        line, newline, early = bytes(self._received).partition(b"\n")
        if newline and len(line) < _MAX_HELLO_BYTES:
            self._hand_over(line, early)
        elif len(self._received) >= _MAX_HELLO_BYTES:
            self._transport.abort()

    def _hand_over(self, line: bytes, early: bytes) -> None:
        hello = _HELLO.match(line)
        if hello is not None and int(hello[1]) in self._others and not early:
            self._transport.write(b"OK %s\n" % hello[1])
            connection = self._transport.get_extra_info("socket")
            socket.send_fds(self._others[int(hello[1])], [b"+"], [connection.fileno()])
            self._transport.abort()  # our end of it; the other process has its own
            return
        factory = self._ports.get(int(hello[1])) if hello else None
        if hello is None or factory is None:
            self._transport.abort()
            return
        self._deadline.cancel()
        self._transport.write(b"OK %s\n" % hello[1])
        protocol = factory()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if early and not self._transport.is_closing():
            protocol.data_received(early)


def peer_is_parent(sock: socket.socket) -> bool:
    """Whether the other end runs as the same user: stands in for the check of the peer's CID (VS-01)."""
    _, uid, _ = _PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return bool(uid == os.getuid())
