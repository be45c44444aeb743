"""The load generator: keep-alive HTTP/1.1 on raw connections, everything signed before the clock runs.

It runs in a process of its own, so that it takes time from neither side of what it measures.
"""

import asyncio
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import cast

import uvloop

from benchmarks.devices import Device, requests, require_signature

_WARM_UP = 5  # requests of each connection before the clock runs
_OK = b"HTTP/1.1 200"
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """One run: a connection for each device, closed loop, until `seconds` are over or the supply is used up."""

    port: int
    path: str
    devices: tuple[Device, ...]
    seconds: float
    max_per_s: float
    """How many requests a second to prepare for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    count: int
    elapsed_s: float
    p50_us: float
    p99_us: float
    answers: int
    """Those of the warm-up included."""
    cpu_us: float
    """Processor time of the load generator for each answer, signing ahead not included."""

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.count / self.elapsed_s


def run(load: Load) -> Outcome:
    """Sign, connect, warm up, measure. `RuntimeError` for any answer but 200 and any signature that is wrong."""
    supply = int(load.seconds * load.max_per_s / len(load.devices)) + _WARM_UP + 1
    signed = [list(islice(requests(device, load.path), supply)) for device in load.devices]
    return uvloop.run(_run(load, signed))


async def _run(load: Load, signed: list[list[bytes]]) -> Outcome:
    loop = asyncio.get_running_loop()
    connections = []
    for supply in signed:
        _, connection = await loop.create_connection(partial(_Connection, iter(supply)), "127.0.0.1", load.port)
        connections.append(connection)
    await asyncio.gather(*(connection.send(_WARM_UP, float("inf")) for connection in connections))
    start, start_cpu = time.perf_counter(), time.process_time()
    end = start + load.seconds
    await asyncio.gather(*(connection.send(len(signed[0]), end) for connection in connections))
    elapsed_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    latencies = sorted(latency for connection in connections for latency in connection.latencies)
    for device, connection in zip(load.devices, connections, strict=True):
        require_signature(device, connection.request, connection.answer.partition(_HEAD_END)[2])
        connection.close()
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    count = len(latencies)
    return Outcome(count, elapsed_s, p50 * 1e6, p99 * 1e6, count + _WARM_UP * len(signed), cpu_s / count * 1e6)


class _Connection(asyncio.Protocol):
    """One request after the other."""

    def __init__(self, supply: Iterator[bytes]) -> None:
        self._supply = supply
        self._left = 0
        self._until = 0.0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""
        self._sent_at = 0.0
        self.request = b""
        self.answer = b""
        self.latencies = array("d")

    def send(self, most: int, until: float) -> asyncio.Future[None]:
        """Send up to `most` requests until `perf_counter` says `until`; done when the last has been answered."""
        self._left, self._until = most, until
        self._done = asyncio.get_running_loop().create_future()
        self.latencies = array("d")
        self._next(time.perf_counter())
        return self._done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own classes, of the same shape

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(f"the appliance closed a connection: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not _is_whole(self._received):
            return
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        self.answer, self._received = self._received, b""
        if not self.answer.startswith(_OK):
            self._done.set_exception(RuntimeError(f"refused: {self.answer.decode()}"))
            return
        self._next(now)

    def close(self) -> None:
        self._transport.abort()

    def _next(self, now: float) -> None:
        request = next(self._supply, None) if self._left and now < self._until else None
        if request is None:
            self._done.set_result(None)
            return
        self._left -= 1
        self.request, self._sent_at = request, now
        self._transport.write(request)


def _is_whole(answer: bytes) -> bool:
    """Whether head and body are there. The appliance writes its own header names in lower case."""
    head_end = answer.find(_HEAD_END)
    if head_end < 0:
        return False
    start = answer.index(_LENGTH, 0, head_end) + len(_LENGTH)
    length = int(answer[start : answer.index(b"\r", start)])
    return len(answer) >= head_end + len(_HEAD_END) + length
