"""The way out: an HTTP CONNECT tunnel through the parent, for destinations of the measured list only (VS-06).

Trust side: enclave. The tunnel is worth nothing by itself; `enclave.net.tls` decides who is at its other end.
Format: RFC 9110 section 9.3.6 and RFC 9112.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from enclave.errors import EgressError
from protocol import limits
from protocol.addresses import EGRESS_PORT

_HEAD_END: Final = b"\r\n\r\n"
_REPLY: Final = re.compile(
    rb"HTTP/1\.[01] ([0-9]{3})(?: [\t\x20-\x7e\x80-\xff]*)?"
    rb"(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*)*"
)


class ConnectEgress:
    """`enclave.ports.Egress` over `dial`, which gives a connected non-blocking socket to a port of the parent."""

    def __init__(
        self, dial: Callable[[int], Awaitable[socket.socket]], destinations: frozenset[tuple[str, int]]
    ) -> None:
        self._dial = dial
        self._destinations = frozenset((host.lower(), port) for host, port in destinations)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A tunnel to `host:port`.

        `EgressError`: `egress-not-listed`, `egress-unreachable` (parent), `egress-refused` (the parent's answer to
        CONNECT), `egress-reply` (malformed or too large), `egress-deadline`.
        """
        if (host.lower(), port) not in self._destinations:
            raise EgressError("egress-not-listed")
        try:
            async with asyncio.timeout(limits.CONNECT_DEADLINE_S):
                return await self._tunnel(f"{host}:{port}".encode("ascii"))
        except TimeoutError:
            raise EgressError("egress-deadline") from None
        except OSError:
            raise EgressError("egress-unreachable") from None

    async def _tunnel(self, authority: bytes) -> socket.socket:
        connection = await self._dial(EGRESS_PORT)
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (authority, authority))
            _check_reply(await _read_head(connection))
        except BaseException:  # cancelled as well: the socket has no other owner yet
            connection.close()
            raise
        return connection


async def _read_head(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    reply = b""
    while _HEAD_END not in reply:
        if len(reply) >= limits.MAX_CONNECT_REPLY_BYTES:
            raise EgressError("egress-reply")
        data = await loop.sock_recv(connection, limits.MAX_CONNECT_REPLY_BYTES - len(reply))
        if not data:
            raise EgressError("egress-reply")
        reply += data
    return reply


def _check_reply(reply: bytes) -> None:
    head, _, rest = reply.partition(_HEAD_END)
    match = _REPLY.fullmatch(head)
    if match is None:
        raise EgressError("egress-reply")
    if match[1] != b"200":
        raise EgressError("egress-refused")
    if rest:  # in TLS the client speaks first, so whatever comes this early is not from the server
        raise EgressError("egress-reply")
