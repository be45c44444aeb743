"""The way out for the enclave: an HTTP CONNECT proxy on `EGRESS_PORT` that moves bytes and understands none of them.

Trust side: host. TLS to every destination ends inside the enclave; what passes here is ciphertext. Every tunnel is
bounded: in number, in idle time, in life time, in the time it takes to open; each half closes on its own. Format: RFC
9110 section 9.3.6; a request is one line and headers that are read over, at most `MAX_CONNECT_HEAD_BYTES`.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from host_proxy.egress_policy import EgressPolicy, Endpoint
from host_proxy.errors import EgressRefused
from host_proxy.logging import Log
from host_proxy.metrics import Metrics
from host_proxy.transport import Listener
from protocol import limits
from protocol.addresses import EGRESS_PORT, Address

_CHUNK_BYTES: Final = 64 * limits.KIB
_HEAD: Final = re.compile(
    rb"CONNECT ([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?):([1-9][0-9]{0,4}) HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}:[\t\x20-\x7e]{0,512}\r\n){0,8}\r\n\Z"
)
_ATTEMPT_S: Final = 1.0
_OPEN: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(frozen=True, slots=True)
class TunnelLimits:
    """Bounds of the tunnels; the defaults are the table's, tests shorten them."""

    tunnels: int = limits.MAX_EGRESS_CONNECTIONS
    head_s: float = limits.FRAME_DEADLINE_S
    open_s: float = limits.CONNECT_DEADLINE_S
    idle_s: float = limits.EGRESS_IDLE_S
    lifetime_s: float = limits.EGRESS_LIFETIME_S


@dataclass(slots=True)
class _Tunnel:
    """One client of the proxy, from its first byte to its last. `direct` is where its port leads without asking."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    direct: tuple[str, int] | None = None
    destination: str = ""
    sent: int = 0
    received: int = 0


class EgressProxy:
    """The listener and its tunnels."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        log: Log,
        metrics: Metrics,
        bounds: TunnelLimits = TunnelLimits(),
        direct: Mapping[int, tuple[str, int]] = MappingProxyType({}),
    ) -> None:
        """`direct` maps further ports of the parent to listed destinations that they lead to without CONNECT."""
        self._policy = policy
        self._log = log
        self._metrics = metrics
        self._bounds = bounds
        self._direct = dict(direct)
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, guest: Address) -> None:
        """Listens for `guest`; `TransportError`."""
        self._listeners.append(Listener(guest, EGRESS_PORT, self._connection))
        for port, destination in self._direct.items():
            self._listeners.append(Listener(guest, port, partial(self._connection, destination)))

    async def close(self) -> None:
        """Stops listening and cuts all tunnels."""
        for listener in self._listeners:
            listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connection(self, direct: tuple[str, int] | None = None) -> asyncio.Protocol:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._serve(_Tunnel(reader, writer, direct)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=limits.MAX_CONNECT_HEAD_BYTES), accepted)

    async def _serve(self, tunnel: _Tunnel) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            upstream_reader, upstream = await self._open(tunnel)
        except EgressRefused as refusal:
            self._metrics.egress_refused.inc()
            self._log.event("egress.refused", destination=tunnel.destination, code=refusal.code)
            if tunnel.direct is None:
                await _answer_and_close(tunnel.writer, refusal.status)
            else:  # it speaks TLS: an answer in HTTP would only confuse it
                tunnel.writer.transport.abort()
            return
        except (asyncio.CancelledError, ConnectionError):
            tunnel.writer.transport.abort()
            return
        self._metrics.tunnel(tunnel.destination, +1)
        code = await self._carry(tunnel, upstream_reader, upstream)
        self._metrics.tunnel(tunnel.destination, -1)
        self._metrics.carried(tunnel.destination, sent=tunnel.sent, received=tunnel.received)
        self._log.event(
            "egress.closed",
            destination=tunnel.destination,
            sent_bytes=tunnel.sent,
            received_bytes=tunnel.received,
            duration_ms=round((loop.time() - started) * 1000),
            code=code,
        )

    async def _open(self, tunnel: _Tunnel) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Reads the request, judges it, connects, and says so."""
        if len(self._tasks) > self._bounds.tunnels:
            raise EgressRefused("egress-busy", HTTPStatus.SERVICE_UNAVAILABLE)
        host, port = tunnel.direct or await self._read_request(tunnel.reader)
        tunnel.destination = f"{host}:{port}"
        try:
            async with asyncio.timeout(self._bounds.open_s):
                return await _connect_first(await self._policy.endpoints(host, port))
        except TimeoutError:
            raise EgressRefused("egress-deadline", HTTPStatus.GATEWAY_TIMEOUT) from None

    async def _read_request(self, reader: asyncio.StreamReader) -> tuple[str, int]:
        try:
            async with asyncio.timeout(self._bounds.head_s):
                head = await reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            raise EgressRefused("egress-deadline", HTTPStatus.REQUEST_TIMEOUT) from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise EgressRefused("egress-malformed", HTTPStatus.BAD_REQUEST) from None
        match = _HEAD.match(head)
        if len(head) > limits.MAX_CONNECT_HEAD_BYTES or match is None or int(match[2]) > 65535:
            raise EgressRefused("egress-malformed", HTTPStatus.BAD_REQUEST)
        return match[1].decode("ascii"), int(match[2])

    async def _carry(
        self, tunnel: _Tunnel, upstream_reader: asyncio.StreamReader, upstream: asyncio.StreamWriter
    ) -> str:
        """Moves bytes both ways until both sides are done or a bound is reached; the code of the end."""
        loop = asyncio.get_running_loop()
        end_of_life = loop.time() + self._bounds.lifetime_s
        code = "egress-cut"
        try:
            if tunnel.direct is None:
                tunnel.writer.write(_OPEN)
            async with asyncio.timeout(self._bounds.idle_s) as watch, asyncio.TaskGroup() as pumps:

                def moved(*, sent: int = 0, received: int = 0) -> None:
                    tunnel.sent += sent
                    tunnel.received += received
                    watch.reschedule(min(loop.time() + self._bounds.idle_s, end_of_life))

                pumps.create_task(_pump(tunnel.reader, upstream, lambda size: moved(sent=size)))
                pumps.create_task(_pump(upstream_reader, tunnel.writer, lambda size: moved(received=size)))
            code = "egress-done"
        except TimeoutError:
            code = "egress-lifetime" if loop.time() >= end_of_life else "egress-idle"
        except ExceptionGroup:  # of OSError: one side broke off
            code = "egress-reset"
        finally:
            for writer in (tunnel.writer, upstream):
                writer.close() if code == "egress-done" else writer.transport.abort()
        return code


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moved: Callable[[int], None]) -> None:
    """One direction. Its end is passed on as the end of that direction only (half-close)."""
    while chunk := await reader.read(_CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
        moved(len(chunk))
    writer.write_eof()


async def _connect_first(endpoints: Sequence[Endpoint]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for endpoint in endpoints:
        with contextlib.suppress(OSError):  # TimeoutError is one: a silent address gives way to the next
            async with asyncio.timeout(_ATTEMPT_S):
                return await asyncio.open_connection(str(endpoint.address), endpoint.port, limit=_CHUNK_BYTES)
    raise EgressRefused("egress-unreachable", HTTPStatus.BAD_GATEWAY)


async def _answer_and_close(writer: asyncio.StreamWriter, status: int) -> None:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError):
        writer.write(head.encode("ascii"))
        await writer.drain()
    writer.close()
