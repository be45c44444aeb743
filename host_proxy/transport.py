"""Sockets to and from one enclave; the only host module that knows which of the two transports carries them.

Trust side: host. Both transports end as a connected stream socket labelled AF_UNIX, which every event loop takes
(uvloop refuses AF_VSOCK; dependencies.md section 4). Connections of the guest are accepted from the launched CID alone,
or on the hybrid transport from a process of our own user or root (VS-01). A CID is never an identity.
Formats: vsock(7); the hybrid handshake `CONNECT <port>\n` -> `OK <n>\n` of design section 9.
"""

import asyncio
import contextlib
import errno
import os
import re
import socket
import stat
import struct
from collections.abc import Callable
from typing import Any, Final, TypeVar

from host_proxy.errors import TransportError
from protocol import limits
from protocol.addresses import Address, HybridAddress, VsockAddress

ProtocolFactory = Callable[[], asyncio.Protocol]
_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)

_ROOT: Final = 0
_CID_ANY: Final = 2**32 - 1
_BACKLOG: Final = 128
_ACCEPTS_PER_WAKE: Final = 32
_ACCEPT_PAUSE_S: Final = 0.5
_HANDSHAKE_REPLY: Final = re.compile(rb"OK [0-9]{1,10}\n\Z")
_PEER_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


async def connect(address: Address, *, deadline_s: float = limits.CONNECT_DEADLINE_S) -> socket.socket:
    """A connected non-blocking stream socket to a port of the guest.

    `TransportError`: `transport-deadline`, `transport-unreachable`, `transport-handshake`, `transport-unsupported`.
    """
    sock = _stream_socket(address)
    try:
        async with asyncio.timeout(deadline_s):
            match address:
                case VsockAddress(cid=cid, port=port):
                    await _connect(sock, (cid, port))
                    return _labelled_unix(sock)
                case HybridAddress(path=path, hello=hello):
                    await _connect(sock, path)
                    await _shake_hands(sock, hello)
                    return sock
    except TimeoutError:
        sock.close()
        raise TransportError("transport-deadline") from None
    except OSError:
        sock.close()
        raise TransportError("transport-unreachable") from None
    except BaseException:  # cancelled as well: the socket has no other owner yet
        sock.close()
        raise


async def open_connection(address: Address, factory: Callable[[], _Protocol]) -> _Protocol:
    """The protocol that `factory` made, attached to a new connection to `address`; errors as `connect`."""
    sock = await connect(address)
    _, protocol = await asyncio.get_running_loop().create_unix_connection(factory, sock=sock)
    return protocol


class Listener:
    """Connections that the guest starts to one port of its parent."""

    def __init__(self, guest: Address, port: int, factory: ProtocolFactory) -> None:
        self._guest = guest
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._attaching: set[asyncio.Task[Any]] = set()
        self._path = HybridAddress(guest.path, port).guest_path if isinstance(guest, HybridAddress) else None
        self._sock = _stream_socket(guest)
        try:
            self._sock.setblocking(False)
            self._bind(port)
            self._sock.listen(_BACKLOG)
        except OSError as error:
            self._sock.close()
            in_use = error.errno == errno.EADDRINUSE
            raise TransportError("transport-address-in-use" if in_use else "transport-listen") from None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Stops accepting. Connections already made live on."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def _bind(self, port: int) -> None:
        if self._path is None:
            self._sock.bind((_CID_ANY, port))
            return
        _remove_stale_socket(self._path)
        self._sock.bind(self._path)
        os.chmod(self._path, 0o600)  # before listen(), so nobody else ever gets in

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_WAKE):
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError:  # out of descriptors or memory: let the connections that exist finish first
                self._pause()
                return
            if not self._is_guest(sock, peer):
                sock.close()
                continue
            task = self._loop.create_task(self._attach(sock))
            self._attaching.add(task)
            task.add_done_callback(self._attaching.discard)

    async def _attach(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the peer left between accept and here
            await self._loop.connect_accepted_socket(self._factory, _labelled_unix(sock))

    def _pause(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._loop.call_later(_ACCEPT_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def _is_guest(self, sock: socket.socket, peer: Any) -> bool:
        if isinstance(self._guest, VsockAddress):
            return bool(peer[0] == self._guest.cid)
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        return _PEER_CREDENTIALS.unpack(credentials)[1] in (_ROOT, os.geteuid())


def _stream_socket(address: Address) -> socket.socket:
    family = getattr(socket, "AF_VSOCK", None) if isinstance(address, VsockAddress) else socket.AF_UNIX
    if family is None:  # some Python builds lack it
        raise TransportError("transport-unsupported")
    try:
        return socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        raise TransportError("transport-unsupported") from None


def _labelled_unix(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    if sock.family == socket.AF_UNIX:
        return sock
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=sock.detach())


async def _connect(sock: socket.socket, target: Any) -> None:
    # Not loop.sock_connect: uvloop resolves addresses itself and knows no AF_VSOCK.
    sock.setblocking(False)
    code = sock.connect_ex(target)
    if code == errno.EINPROGRESS:
        loop = asyncio.get_running_loop()
        writable = loop.create_future()
        loop.add_writer(sock.fileno(), _resolve, writable)
        try:
            await writable
        finally:
            loop.remove_writer(sock.fileno())
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _shake_hands(sock: socket.socket, hello: bytes) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, hello)
    reply = b""
    # One byte at a time: whatever follows the newline belongs to the guest.
    while not reply.endswith(b"\n"):
        byte = await loop.sock_recv(sock, 1)
        reply += byte
        if not byte or len(reply) > limits.MAX_HANDSHAKE_BYTES:
            raise TransportError("transport-handshake")
    if not _HANDSHAKE_REPLY.match(reply):
        raise TransportError("transport-handshake")


def _remove_stale_socket(path: str) -> None:
    """Removes what a killed process left; a socket that still answers, or any other file, stays."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EADDRINUSE, "not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, "in use")
    os.unlink(path)
