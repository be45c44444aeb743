"""The simulated module as a device: it lives outside the guest and is reached through one unix socket.

Trust side: simulator; `NsmSocket` is composed into the guest in the place of `enclave.nsm.device`. The guest cannot
reach into the module's memory, so measurements and signing keys are out of its hands as on hardware.

    request   u32 length, CBOR                 (at most 0x1000 bytes)
    reply     u32 length, CBOR                 (at most 0x3000 bytes; length 0: the module failed)
"""

import asyncio
import contextlib
import socket
import struct
from pathlib import Path
from threading import Lock
from typing import Final

from enclave.errors import NsmError
from enclave.ports import Nsm
from protocol import limits
from simulator.vsock import listen

_LENGTH: Final = struct.Struct(">I")
_DEADLINE_S: Final = 10.0  # the kernel's own is 120 s; nothing here takes a second


async def serve(nsm: Nsm, path: Path) -> asyncio.Server:
    """Serve `nsm` on the unix socket `path` (mode 0600, made anew) until the server is closed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while request := await _read_request(reader):
                writer.write(_reply(nsm, request))
                await writer.drain()

    return await asyncio.start_unix_server(connected, sock=listen(path))


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    """One request; empty when the length breaks the limit, which ends the connection."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length) if length <= limits.MAX_NSM_REQUEST_BYTES else b""


def _reply(nsm: Nsm, request: bytes) -> bytes:
    try:
        reply = nsm.call(request)
    except NsmError:
        reply = b""
    return _LENGTH.pack(len(reply)) + reply


class NsmSocket:
    """Port `Nsm` over the socket. Calls block and queue, as the device's mutex makes them."""

    def __init__(self, path: Path) -> None:
        """Connect to `path`; `NsmError("nsm-open")`."""
        self._turn = Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_DEADLINE_S)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise NsmError("nsm-open") from None

    def close(self) -> None:
        self._socket.close()

    def call(self, request: bytes) -> bytes:
        """The module's reply; `NsmError` with the codes of `enclave.nsm.device`."""
        if not 0 < len(request) <= limits.MAX_NSM_REQUEST_BYTES:
            raise NsmError("nsm-request-too-large" if request else "nsm-request-empty")
        with self._turn:
            try:
                self._socket.sendall(_LENGTH.pack(len(request)) + request)
                (length,) = _LENGTH.unpack(self._receive(_LENGTH.size))
                if length > limits.MAX_NSM_RESPONSE_BYTES:
                    raise NsmError("nsm-response-truncated")
                reply = self._receive(length)
            except TimeoutError:
                self._socket.close()  # a late reply must not answer the next request
                raise NsmError("nsm-timeout") from None
            except OSError:
                raise NsmError("nsm-device") from None
        if not reply:
            raise NsmError("nsm-device")
        return reply

    def _receive(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            chunk = self._socket.recv(size - len(received))
            if not chunk:
                raise NsmError("nsm-device")
            received += chunk
        return bytes(received)
