"""Ledgers in sealed records: several are changed together or not at all, and exactly, whoever else changes them.

Of writers that race, whichever process they are in, one wins by compare-and-set and the others look again (design
section 8). Writers of one worker wait for each other, so that they need not race.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from attestation.lru import Lru
from enclave.errors import Refusal
from enclave.ledger import Ledger, parse_ledger
from enclave.records import Conflict, Records
from protocol import errors
from protocol.services import RecordKey

_TRIES: Final = 8  # other workers may hold the same ledger
_MAX_LOCKS: Final = 10_000

Step = Callable[[list[Ledger], int], list[Ledger]]
"""From the ledgers of the keys, in order, and trusted time in seconds, to what they become. May raise: no change."""


class Ledgers:
    """All ledgers over the sealed records. One instance a worker for each kind of key."""

    def __init__(self, records: Records, now_s: Callable[[], int]) -> None:
        """`now_s` is trusted time in seconds, which refuses when there is none."""
        self._records = records
        self._now_s = now_s
        self._locks: Lru[RecordKey, asyncio.Lock] = Lru(_MAX_LOCKS)

    async def load(self, keys: Sequence[RecordKey]) -> list[Ledger]:
        """The ledgers, in order. `Refusal` where records cannot be read."""
        return [ledger for _, ledger in await self._load(keys)]

    async def change(self, keys: Sequence[RecordKey], step: Step) -> None:
        """Take the step: durable on return, for all keys or for none.

        `Refusal` BUSY, DATABASE_ERROR, STALE_RECORD, DATA_INTEGRITY_ERROR or CLOCK_UNTRUSTED; then the step must not
        be relied on, and may have been taken.
        """
        if not keys:
            return None
        async with AsyncExitStack() as held:
            for lock in self._locks_of(keys):
                await held.enter_async_context(lock)
            for _ in range(_TRIES):
                found, now_s = await self._load(keys), self._now_s()
                changed = step([ledger for _, ledger in found], now_s)
                changes = [
                    self._records.change(key, version, ledger.body())
                    for key, (version, _), ledger in zip(keys, found, changed, strict=True)
                ]
                try:
                    return await self._records.save(*changes)
                except Conflict:
                    continue
            raise Refusal(errors.BUSY)

    def _locks_of(self, keys: Iterable[RecordKey]) -> list[asyncio.Lock]:
        """In one order for everybody, so that nobody waits in a circle."""
        locks = []
        for key in sorted(set(keys), key=lambda key: key.id):
            lock = self._locks.get(key) or asyncio.Lock()
            self._locks.put(key, lock)
            locks.append(lock)
        return locks

    async def _load(self, keys: Sequence[RecordKey]) -> list[tuple[int, Ledger]]:
        """Version and ledger. No record: nothing was drawn yet, and the write says so to the store (RB-02)."""
        if not keys:
            return []
        try:
            return [
                (0, Ledger()) if record is None else (record.version, parse_ledger(record.body))
                for record in await self._records.load(*keys)
            ]
        except ValueError:
            raise Refusal(errors.DATA_INTEGRITY_ERROR) from None
