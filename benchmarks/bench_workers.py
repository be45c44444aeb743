"""What a second worker costs: processor time of the enclave for one `Sign`, with one worker and with two.

    python -m benchmarks.bench_workers

Each worker has as many connections. Throughput per core is answers for each second of processor time that the enclave
uses: that is what a core can do that it has to itself. Rates by the clock say the same only where host, load generator
and each worker have a core of their own, and are judged only there.
"""

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import crypto, devices, load, machine, starting
from benchmarks.devices import P256, SIGN, Device, KeyType
from benchmarks.load import Load
from benchmarks.report import Figure
from benchmarks.starting import Started
from simulator import settings
from simulator.enclaves import SOURCE_ROOT

_CONNECTIONS: Final = 32  # for each worker
_WORKERS: Final = (1, 2)
_LEAST_PERCENT: Final = 85.0  # of the throughput per core of one worker
_LEAST_OF_CRYPTO: Final = 55.0  # of one core
_FAST_PER_S: Final = 7000.0  # signatures that one core could make: then there is an absolute target as well
_LEAST_PER_S: Final = 4000.0
_YARDSTICK_S: Final = 0.3
_OWN_CORES: Final = 4  # host, load generator, two workers


@dataclass(slots=True)
class _Measured:
    """An appliance, its users, and what rounds of load have found."""

    started: Started
    devices: tuple[Device, ...]
    cpu_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    of_crypto: list[float] = field(default_factory=list)

    async def round(self, pool: ProcessPoolExecutor, load_s: float, supply_per_s: float) -> None:
        loop = asyncio.get_running_loop()
        yardstick = partial(loop.run_in_executor, pool, crypto.yardstick, P256, _YARDSTICK_S)
        before_us = await yardstick()
        request = Load(self.started.appliance.host.port, SIGN, self.devices, load_s, supply_per_s)
        before = machine.family_cpu_s(self.started.enclave_pid)
        outcome = await loop.run_in_executor(pool, load.run, request)
        self.cpu_us.append((machine.family_cpu_s(self.started.enclave_pid) - before) / outcome.answers * 1e6)
        self.per_s.append(outcome.per_s)
        self.of_crypto.append(outcome.per_s * (before_us + await yardstick()) / 2e4)


async def measure(
    folder: Path, pool: ProcessPoolExecutor, *, rounds: int, load_s: float, supply_per_s: float
) -> list[Figure]:
    """Both appliances in turn, round by round, in `folder`. `pool` is the load process."""
    async with contextlib.AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(_appliance(folder / str(n), pool, n)) for n in _WORKERS]
        for _ in range(rounds):
            for measured in (one, two):
                await measured.round(pool, load_s, supply_per_s)
    return judge(one, two, len(os.sched_getaffinity(0)))


def judge(one: _Measured, two: _Measured, cores: int) -> list[Figure]:
    """What two workers do, held against the cryptography of one core; and their throughput per core in percent of one
    worker's, by the clock only with enough `cores`.
    """
    cpu_us = statistics.median(one.cpu_us), statistics.median(two.cpu_us)
    per_s = statistics.median(one.per_s), statistics.median(two.per_s)
    percent, target = 100 * cpu_us[0] / cpu_us[1], "% of one worker's"
    of_crypto = statistics.median(two.of_crypto)
    figures = [
        Figure("Sign, 64 connections, two workers", of_crypto, "% of cryptography alone", at_least=_LEAST_OF_CRYPTO),
        *_absolute(per_s[1], of_crypto),
        Figure("Sign, enclave CPU, one worker", cpu_us[0], "µs"),
        Figure("Sign, enclave CPU, two workers", cpu_us[1], "µs"),
        Figure("throughput per core, two workers", percent, target, at_least=_LEAST_PERCENT),
    ]
    by_clock = 100 * per_s[1] / (2 * per_s[0])
    if cores >= _OWN_CORES:
        return [*figures, Figure("the same by the clock", by_clock, target, at_least=_LEAST_PERCENT)]
    return [*figures, Figure(f"by the clock, all on {cores} cores", by_clock, target)]


def _absolute(per_s: float, of_crypto: float) -> list[Figure]:
    """A machine whose cores are fast has a target in signatures, too."""
    if 100 * per_s / of_crypto < _FAST_PER_S:
        return []
    return [Figure("Sign, 64 connections, two workers", per_s, "per second", at_least=_LEAST_PER_S)]


@contextlib.asynccontextmanager
async def _appliance(state: Path, pool: ProcessPoolExecutor, workers: int) -> AsyncIterator[_Measured]:
    async with starting.serving(state, workers=workers) as started:
        provider, port = started.appliance.stand_ins.identity_provider, started.appliance.host.port
        names = [f"{workers}-{number}" for number in range(_CONNECTIONS * workers)]
        tokens: list[tuple[KeyType, str]] = [
            (P256, provider.issue_token(name, settings.CLIENT_ID, algorithm="ES256")) for name in names
        ]
        found = await asyncio.get_running_loop().run_in_executor(pool, partial(devices.log_in, port, tokens))
        yield _Measured(started, tuple(found))


async def _main() -> None:
    with (
        tempfile.TemporaryDirectory(dir=SOURCE_ROOT / ".chancery", prefix="bench-") as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        found = await measure(Path(folder), pool, rounds=7, load_s=1.0, supply_per_s=6000)
        for figure in found:
            sys.stdout.write(f"{figure.name:40} {figure.value:10.1f} {figure.unit} {figure.target}\n")


if __name__ == "__main__":
    uvloop.run(_main())  # as the host does
