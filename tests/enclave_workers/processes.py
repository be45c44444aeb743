"""Real processes over shared memory: `python -m tests.enclave_workers.processes NAME`, for `test_workers_processes`.

Each prints one JSON value. Forking takes a process with one thread, which a test runner is not.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from enclave.secret import Secret
from enclave.shared_counters import SharedCounters, Use
from enclave.shared_versions import SharedVersions
from enclave.versions import Step
from enclave.workers import Board, fork_workers

PROCESSES = 3
ROUNDS = 400
RECORDS = [bytes([number]) * 32 for number in range(1, 6)]


def in_processes(work: Callable[[int], object]) -> list[object]:
    """What `work` gives in each of some processes that run at the same time."""
    ends = []
    for number in range(PROCESSES):
        reading, writing = os.pipe()
        if os.fork() == 0:
            with os.fdopen(writing, "w") as pipe:
                json.dump(work(number), pipe)
            os._exit(0)
        os.close(writing)
        ends.append(os.fdopen(reading))
    return [json.load(end) for end in ends]


def writes() -> object:
    """Everybody adds one to each record, many times, a write at a time; the sums, and how often they had to wait."""
    versions = SharedVersions(100)

    def add(_: int) -> int:
        waited = 0
        for round_ in range(ROUNDS):
            step = Step(RECORDS[round_ % len(RECORDS)], 0, 0)
            while not versions.claim([step]):
                waited += 1
                os.sched_yield()
            step = step._replace(version=versions.floor(step.record_id) + 1)
            os.sched_yield()
            versions.agree([step])
            versions.release([step])
        return waited

    waited = in_processes(add)
    return {"sum": sum(map(versions.floor, RECORDS)), "waited": waited, "records": len(versions)}


def floors() -> object:
    """Everybody raises the same records; the floors at the end."""
    versions = SharedVersions(100)

    def rise(number: int) -> None:
        for version in range(1, ROUNDS):
            for record in RECORDS:
                versions.rise(record, version * PROCESSES + number)

    in_processes(rise)
    return [versions.floor(record) for record in RECORDS]


def counts() -> object:
    """Everybody takes from one count; how much they got together, and the numbers of receipts."""
    counters, board = SharedCounters(bytes(32)), Board(PROCESSES)

    def take(_: int) -> tuple[int, list[int]]:
        taken = sum(counters.take([Use(("mail", "all"), 500, 1000)], 0) for _ in range(ROUNDS))
        return taken, [board.next_receipt() for _ in range(ROUNDS)]

    results = in_processes(take)
    return {"taken": sum(taken for taken, _ in results), "receipts": [numbers for _, numbers in results]}


def fork() -> object:
    """Workers after the fork: what they draw, whether their memory for secrets is locked, and what became of one."""
    X25519PrivateKey.generate()  # the library's generator has been used before
    secret = Secret.take(bytearray(b"\x55" * 32))
    reading, writing = os.pipe()
    worker = fork_workers(PROCESSES, 1000, os.urandom)
    status = Path("/proc/self/status").read_text()
    locked = next(line.split()[1] for line in status.splitlines() if line.startswith("VmLck"))
    drawn = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    shared = worker.shared
    told = [worker.number, locked, drawn, bytes(secret.view).hex(), "" if shared is None else shared.epoch.hex()]
    os.write(writing, json.dumps(told).encode() + b"\n")
    if worker.number:
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return [json.loads(line) for line in pipe]


def ended() -> object:
    """The second worker ends; what its sibling reads from the socket between them."""
    worker = fork_workers(2, 1000, os.urandom)
    if worker.number:
        os._exit(0)
    worker.sockets[1].settimeout(10)
    return worker.sockets[1].recv(1).hex()


if __name__ == "__main__":
    json.dump({f.__name__: f for f in (writes, floors, counts, fork, ended)}[sys.argv[1]](), sys.stdout)
