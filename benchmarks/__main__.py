"""`make bench`: the appliance through HTTP and its cryptography alone, in one run, each figure next to its target.

    python -m benchmarks [--quick] [--json | --markdown]

Everything is the shipped code at full strength: durable nonces, verified sessions, signatures checked before release.
Only rates are raised, through host and measured configuration. Exit code 1 when a target is missed.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import uvloop

from benchmarks import (
    bench_attestation,
    bench_guard,
    bench_outside,
    bench_scale,
    bench_wallet,
    bench_workers,
    crypto,
    devices,
    load,
    machine,
    starting,
)
from benchmarks.crypto import CryptoOnly
from benchmarks.devices import P256, SECP256K1, SIGN, SIGN_TRANSACTION, Device, KeyType
from benchmarks.load import Load, Outcome
from benchmarks.report import Figure, Report, Row
from benchmarks.starting import Started
from simulator import settings
from simulator.enclaves import SOURCE_ROOT

T = TypeVar("T")

_DEVICES = 64
_BUSY = 0.3
_NAMES = {P256: "P-256", SECP256K1: "secp256k1"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int = 7
    load_s: float = 1.0
    crypto_s: float = 0.3
    documents_s: float = 3.0
    wallets_s: float = 2.0
    users: int = 1_000_000
    help_times: int = 5


QUICK = Plan(rounds=1, load_s=0.8, crypto_s=0.3, documents_s=1.0, wallets_s=0.5, users=20_000, help_times=3)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: a method, the type of the auth keys, and how many connections."""

    path: str
    key_type: KeyType
    connections: int


ONE = Case(SIGN, P256, 1)
SIXTEEN = Case(SIGN, P256, 16)
SIXTY_FOUR = Case(SIGN, P256, 64)
TRANSACTION = Case(SIGN_TRANSACTION, P256, 64)
CASES = (ONE, SIXTEEN, SIXTY_FOUR, Case(SIGN, SECP256K1, 64), TRANSACTION)


class Bench:
    """One run against one serving appliance. `pool` is the load process."""

    def __init__(self, plan: Plan, pool: ProcessPoolExecutor, started: Started) -> None:
        self._plan = plan
        self._pool = pool
        self._started = started
        self._devices: dict[KeyType, list[Device]] = {}
        self.crypto: dict[KeyType, list[CryptoOnly]] = {P256: [], SECP256K1: []}
        self.rows: dict[Case, list[Row]] = {case: [] for case in CASES}

    async def run(self) -> None:
        """Log in, then all cases in turn, round by round, so that a busy moment does not spoil one case alone."""
        provider, port = self._started.appliance.stand_ins.identity_provider, self._started.appliance.host.port
        for key_type in (P256, SECP256K1):
            say(f"logging in {_DEVICES} users with {_NAMES[key_type]} devices")
            names = [f"{_NAMES[key_type]}-{number}" for number in range(_DEVICES)]
            tokens = [provider.issue_token(name, settings.CLIENT_ID, algorithm="ES256") for name in names]
            self._devices[key_type] = await self._elsewhere(devices.log_in, port, [(key_type, t) for t in tokens])
        for number in range(1, self._plan.rounds + 1):
            for key_type, found in self.crypto.items():
                say(f"round {number} of {self._plan.rounds}: cryptography alone, {_NAMES[key_type]}")
                found.append(await self._elsewhere(crypto.measure, key_type, self._plan.crypto_s))
            for case in CASES:
                say(f"round {number} of {self._plan.rounds}: {_method(case)}, {case.connections} connections")
                self.rows[case].append(await self._load(case))

    async def _yardstick(self) -> float:
        return await self._elsewhere(crypto.yardstick, P256, self._plan.crypto_s)

    async def _load(self, case: Case) -> Row:
        chosen = tuple(self._devices[case.key_type][: case.connections])
        supply_per_s = 1.2 * max(found.per_s for found in self.crypto[case.key_type])
        before_us = await self._yardstick()
        before = self._cpu_s()
        request = Load(self._started.appliance.host.port, case.path, chosen, self._plan.load_s, supply_per_s)
        outcome: Outcome = await self._elsewhere(load.run, request)
        host_us, enclave_us = (
            (after - start) / outcome.answers * 1e6 for start, after in zip(before, self._cpu_s(), strict=True)
        )
        crypto_us = (before_us + await self._yardstick()) / 2
        name = _NAMES[case.key_type]
        measured = outcome.per_s, outcome.p50_us, outcome.p99_us
        return Row(_method(case), name, case.connections, *measured, host_us, enclave_us, outcome.cpu_us, crypto_us)

    def _cpu_s(self) -> tuple[float, float]:
        return machine.cpu_s(os.getpid()), machine.cpu_s(self._started.enclave_pid)

    async def _elsewhere(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *arguments))


def judge(rows: dict[Case, list[Row]]) -> list[Figure]:
    """The figures that relate HTTP to the cryptography alone: medians of the rounds, each held against its own."""

    def middle(case: Case, of: Callable[[Row], float]) -> float:
        return statistics.median(map(of, rows[case]))

    percent, times = "% of cryptography alone", "x cryptography alone"
    return [
        Figure("Sign, 64 connections, one worker", middle(SIXTY_FOUR, lambda row: row.of_crypto), percent),
        Figure("SignTransaction, 64", middle(TRANSACTION, lambda row: row.of_crypto), percent, at_least=30),
        Figure("Sign p50, 1 connection", middle(ONE, lambda row: row.p50_us / row.crypto_us), times, at_most=5),
        Figure("Sign p99, 16 connections", middle(SIXTEEN, lambda row: row.p99_us / row.p50_us), "x p50", at_most=4),
    ]


async def bench(plan: Plan) -> Report:
    """Everything, in about `rounds` times half a minute."""
    scratch = SOURCE_ROOT / ".chancery"  # on a disk that flushes, unlike many folders for temporary files
    scratch.mkdir(exist_ok=True)
    begin_busy_s, begin = machine.busy_s(), machine.now()
    help_s = starting.help_s(plan.help_times)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch) as folder:
        state = Path(folder)
        say("starting an appliance for the first time")
        async with starting.serving(state / "state") as first:
            first_s = first.start_s
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            parts = _parts(pool, plan)
            say("starting it again")
            async with starting.serving(state / "state") as again:
                calls, start = again.kms_calls, machine.now()
                measured = Bench(plan, pool, again)
                await measured.run()
                rounds = 1 + int((machine.now() - start) / 30)  # the enclave asks after its holders' health
                calls = again.kms_calls - calls
                ours_s = sum(map(machine.cpu_s, (os.getpid(), again.enclave_pid, pool.submit(os.getpid).result())))
                others = (machine.busy_s() - begin_busy_s - ours_s) / (machine.now() - begin)
            say("one worker and two, in turn")
            alone = {key_type: _median_crypto(found) for key_type, found in measured.crypto.items()}
            workers = await bench_workers.measure(
                state, pool, rounds=plan.rounds, load_s=plan.load_s, supply_per_s=1.2e6 / alone[P256].total_us
            )
            say(f"a store with a thousand users and one with {plan.users}")
            host_us = min(row.host_cpu_us for row in measured.rows[SIXTY_FOUR])
            parts["users"] = pool.submit(bench_scale.measure, plan.users, host_us).result()
        flush_us = machine.flush_us(state)
    rows = {case: _median_row(found) for case, found in measured.rows.items()}
    figures = [
        *workers,
        *judge(measured.rows),
        Figure("enclave, first start to serving", first_s, "s", at_most=1.5),
        Figure("enclave, later start to serving", again.start_s, "s", at_most=1.5),
        Figure("chancery --help", help_s, "s", at_most=0.3),
        Figure("KMS calls during all loads", calls, "calls", at_most=rounds * len(settings.HOLDERS)),
        Figure("flush of a record to disk, median", flush_us, "µs"),
    ]
    return Report(list(rows.values()), _stages(alone), figures, parts, _notes(plan, others))


def _parts(pool: ProcessPoolExecutor, plan: Plan) -> dict[str, list[Figure]]:
    """What needs no appliance, in the other process."""
    say("verifying attestation documents")
    documents = pool.submit(bench_attestation.measure, plan.documents_s).result()
    say("counting calls to KMS and to the security module")
    outside = pool.submit(bench_outside.measure).result()
    say("hashing, reading and judging what wallets sign")
    wallets = pool.submit(bench_wallet.measure, plan.wallets_s).result()
    wallets += pool.submit(bench_guard.measure, plan.wallets_s).result()
    return {"attestation documents": documents, "calls": outside, "smart wallets": wallets}


def _stages(alone: dict[KeyType, CryptoOnly]) -> list[tuple[str, float]]:
    stages = [(f"one signature, {_NAMES[key_type]} auth key", found.total_us) for key_type, found in alone.items()]
    stages += [(f"  verify auth key, {_NAMES[key_type]}", found.verify_us) for key_type, found in alone.items()]
    found = alone[P256]
    parts = {"open t shares": found.open_us, "combine": found.combine_us, "sign and check": found.sign_us}
    return stages + [(f"  {name}", us) for name, us in parts.items()]


def _notes(plan: Plan, others: float) -> list[str]:
    cores, busy = len(os.sched_getaffinity(0)), max(0.0, others)
    notes = [
        f"Medians of {plan.rounds} rounds of {plan.load_s:g} s; each connection is a user with a device of their own.",
        f"Enclave, host and load generator shared {cores} cores; other programs kept {busy:.1f} of them busy.",
    ]
    if busy > _BUSY:
        notes.append("That is too much for a verdict: the verdicts above are about the machine as well.")
    return notes


def _median_row(rows: list[Row]) -> Row:
    return sorted(rows, key=lambda row: row.per_s)[len(rows) // 2]


def _median_crypto(found: list[CryptoOnly]) -> CryptoOnly:
    return sorted(found, key=lambda one: one.total_us)[len(found) // 2]


def _method(case: Case) -> str:
    return case.path.rpartition("/")[2]


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half a minute, noisier, and fewer users")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/performance.md")
    arguments = parser.parse_args()
    report = uvloop.run(bench(QUICK if arguments.quick else Plan()))
    print(report.as_json() if arguments.json else f"\n{report.as_text(markdown=arguments.markdown)}")
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
