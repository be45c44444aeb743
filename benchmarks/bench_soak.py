"""Whether a million requests leave anything behind: memory, descriptors and latency of host and enclave, over time.

    python -m benchmarks.bench_soak [--requests 1000000]

One appliance, 64 users, `Sign` with durable nonces, window after window. What the first fifth of the windows fills
(caches, allocator, the store's log) is warm-up; after it, the median of the last fifth is held against the median of
the second. Times are held against the cryptography alone, taken before and after each window: that tells an appliance
that gets slower from a machine that does.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import crypto, devices, load, machine, starting
from benchmarks.devices import P256, SIGN, Device, KeyType
from benchmarks.load import Load
from benchmarks.report import Figure
from simulator import settings
from simulator.enclaves import SOURCE_ROOT

_CONNECTIONS: Final = 64
_WINDOW_S: Final = 5.0
_YARDSTICK_S: Final = 0.5
_LEAST_WINDOWS: Final = 10
_GROWTH_MIB: Final = 4.0
_SLOWER: Final = 1.15


@dataclass(frozen=True, slots=True)
class Window:
    """One window of load, and both processes at its end. Processor time is for each answer; `crypto_us` is what the
    cryptography alone took before and after it.
    """

    answers: int
    per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float
    crypto_us: float
    host_mib: float
    enclave_mib: float
    host_descriptors: int
    enclave_descriptors: int


class Soak:
    """Windows of load on one appliance, until `requests` have been answered."""

    def __init__(self, pool: ProcessPoolExecutor, port: int, enclave_pid: int) -> None:
        self._pool = pool
        self._port = port
        self._pids = os.getpid(), enclave_pid
        self._supply_per_s = 3000.0

    async def run(self, users: Sequence[Device], requests: int) -> list[Window]:
        """All windows; progress goes to standard error."""
        found: list[Window] = []
        answered = 0
        while answered < requests or len(found) < _LEAST_WINDOWS:
            found.append(await self._window(users))
            answered += found[-1].answers
            print(f"{answered} of {requests}: {json.dumps(asdict(found[-1]))}", file=sys.stderr, flush=True)
        return found

    async def _window(self, users: Sequence[Device]) -> Window:
        request = Load(self._port, SIGN, tuple(users), _WINDOW_S, self._supply_per_s)
        before_us = await self._elsewhere(crypto.yardstick, P256, _YARDSTICK_S)
        before = sum(map(machine.cpu_s, self._pids))
        outcome = await self._elsewhere(load.run, request)
        cpu_us = (sum(map(machine.cpu_s, self._pids)) - before) / outcome.answers * 1e6
        self._supply_per_s = 1.5 * outcome.per_s  # signing what is never sent would take most of the time
        (host_mib, enclave_mib), (host_files, enclave_files) = (
            tuple(map(ask, self._pids)) for ask in (machine.resident_mib, machine.descriptors)
        )
        crypto_us = (before_us + await self._elsewhere(crypto.yardstick, P256, _YARDSTICK_S)) / 2
        measured = outcome.per_s, outcome.p50_us, outcome.p99_us, cpu_us, crypto_us
        return Window(outcome.answers, *measured, host_mib, enclave_mib, int(host_files), int(enclave_files))

    async def _elsewhere(self, work: Callable[..., Any], *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *arguments))


async def measure(requests: int) -> list[Figure]:
    """The figures of one soak."""
    scratch = SOURCE_ROOT / ".chancery"
    scratch.mkdir(exist_ok=True)
    loop = asyncio.get_running_loop()
    with (
        tempfile.TemporaryDirectory(prefix="bench-soak-", dir=scratch) as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        async with starting.serving(Path(folder) / "state") as started:
            provider, port = started.appliance.stand_ins.identity_provider, started.appliance.host.port
            names = (f"soak-{number}" for number in range(_CONNECTIONS))
            tokens: list[tuple[KeyType, str]]
            tokens = [(P256, provider.issue_token(name, settings.CLIENT_ID, algorithm="ES256")) for name in names]
            users = await loop.run_in_executor(pool, devices.log_in, port, tokens)
            windows = await Soak(pool, port, started.enclave_pid).run(users, requests)
    return judge(windows)


def judge(windows: Sequence[Window]) -> list[Figure]:
    """The last fifth against the second."""
    fifth = len(windows) // 5
    early, late = windows[fifth : 2 * fifth], windows[-fifth:]

    def medians(of: Callable[[Window], float]) -> tuple[float, float]:
        return statistics.median(map(of, early)), statistics.median(map(of, late))

    def grown(of: Callable[[Window], float]) -> float:
        before, after = medians(of)
        return after - before

    def slower(of: Callable[[Window], float]) -> float:
        before, after = medians(of)
        return after / before

    return [
        Figure("requests answered", sum(window.answers for window in windows), "requests"),
        Figure("memory of the enclave grew by", grown(lambda one: one.enclave_mib), "MiB", at_most=_GROWTH_MIB),
        Figure("memory of the host grew by", grown(lambda one: one.host_mib), "MiB", at_most=_GROWTH_MIB),
        Figure("descriptors of the enclave", grown(lambda one: one.enclave_descriptors), "more", at_most=0),
        Figure("descriptors of the host", grown(lambda one: one.host_descriptors), "more", at_most=0),
        Figure("the cryptography alone", slower(lambda one: one.crypto_us), "x"),
        Figure("processor time, to it", slower(lambda one: one.cpu_us / one.crypto_us), "x", at_most=_SLOWER),
        Figure("p50, to it", slower(lambda one: one.p50_us / one.crypto_us), "x", at_most=_SLOWER),
        Figure("p99, to it", slower(lambda one: one.p99_us / one.crypto_us), "x", at_most=2 * _SLOWER),
    ]


def main() -> int:
    """Print the figures; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_soak", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    figures = uvloop.run(measure(parser.parse_args().requests))
    for figure in figures:
        print(f"{figure.name:<32} {figure.value:12.3f} {figure.unit:<9} {figure.target:<14} {figure.verdict}")
    return 0 if all(figure.holds is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
