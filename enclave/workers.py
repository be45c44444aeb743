"""The workers of an enclave: processes that part before there is a secret, and what they have in common (ADR 0028).

Each is an event loop on its own vsock port, boots by itself and asks the share holders itself. In common are the boot
epoch, the versions seen, the counts of mails and receipts, and a socket between any two: what one of them must not do
alone is done through these. One that ends takes the others with it.
"""

import hashlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from enclave import log, secret
from enclave.errors import BootError
from enclave.hardening import harden_process
from enclave.shared_counters import SharedCounters
from enclave.shared_memory import WorkerLock, shared_words
from enclave.shared_versions import SharedVersions
from protocol.workers import worker_of

_EPOCH_BYTES: Final = 16
_HALTED: Final = 2  # what a worker that has booted says of itself is odd


def end_all(number: int) -> None:
    """End this process at once, because worker `number` has ended; the others will see it and do the same."""
    log.event("halted", code="worker-ended", detail=f"worker {number} has ended")
    os._exit(1)


class Board:
    """Where workers say how far they are, and count what all of them count."""

    def __init__(self, workers: int) -> None:
        self._words = shared_words(workers + 1)
        self._workers = workers
        self._lock = WorkerLock()

    def say_booted(self, worker: int, opened: bytes) -> None:
        """A worker could serve. `opened` says what it has opened, which has to be the same for all."""
        self._words[worker] = int.from_bytes(hashlib.sha256(opened).digest()[:8], "big") | 1

    def say_halted(self, worker: int) -> None:
        """A worker must not go on, and so nobody must."""
        self._words[worker] = _HALTED

    def all_booted(self) -> bool:
        """Whether all could serve. `BootError("worker-halted")`, or `"workers-differ"` if they have opened different
        deployments: then the store has shown each of them another one.
        """
        said = set(self._words[: self._workers])
        if _HALTED in said:
            raise BootError("worker-halted", "another worker of this enclave has halted")
        if 0 in said:
            return False
        if len(said) > 1:
            raise BootError("workers-differ", "the store has shown the workers different deployments")
        return True

    def next_receipt(self) -> int:
        """A number that is higher than any before it."""
        with self._lock:
            self._words[self._workers] += 1
            return int(self._words[self._workers])


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers of a boot have in common. `epoch`: its random name."""

    epoch: bytes
    versions: SharedVersions
    counters: SharedCounters = field(repr=False)
    board: Board


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker of `count`. Without others there is nothing in common; `sockets` lead to each of the others."""

    number: int = 0
    count: int = 1
    shared: Shared | None = None
    sockets: Mapping[int, socket.socket] = field(default_factory=dict)
    lost: Callable[[int], None] = end_all
    """What to do when another worker has ended, whose number it is told."""

    @property
    def counters(self) -> SharedCounters | None:
        """What is counted with other workers; None where there are none."""
        return None if self.shared is None else self.shared.counters

    def owns(self, key: str) -> bool:
        """Whether this worker holds what is kept in memory for `key`."""
        return self.count == 1 or worker_of(key, self.count) == self.number


ALONE: Final = Worker()


def make_workers(
    count: int, seen_records: int, random: Callable[[int], bytes], lost: Callable[[int], None] = end_all
) -> list[Worker]:
    """All workers of one enclave. Their memory is shared by whoever descends from this process."""
    if count == 1:
        return [ALONE]
    counters = SharedCounters(random(32))
    shared = Shared(random(_EPOCH_BYTES), SharedVersions(seen_records), counters, Board(count))
    sockets: list[dict[int, socket.socket]] = [{} for _ in range(count)]
    for one, other in combinations(range(count), 2):
        sockets[one][other], sockets[other][one] = socket.socketpair()
    return [Worker(number, count, shared, sockets[number], lost) for number in range(count)]


def fork_workers(count: int, seen_records: int, random: Callable[[int], bytes]) -> Worker:
    """Part into `count` processes; which worker this one is. The first is the process that called.

    Call it before any key, thread or event loop exists: keys do not survive a fork (MS-02). `BootError("workers")`.
    """
    try:
        workers = make_workers(count, seen_records, random)
        mine = next((worker for worker in workers[1:] if os.fork() == 0), workers[0])
    except OSError as error:
        raise BootError("workers", error.strerror or "") from None
    if mine is not workers[0]:
        harden_process()
        secret.lock_arena()
    for worker in workers:
        if worker is not mine:
            for sock in worker.sockets.values():
                sock.close()  # or nobody would see the end of its owner
    return mine
