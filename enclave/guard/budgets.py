"""Budgets that are spent once: reserved durably before a signature, given back only if none is made (SE-11, RB-03).

A reservation is spent from the moment when it is written. `commit` therefore needs no write: it only ends the right to
release. A crash at any point, an unknown result of a write, a lost answer: all count as spent. Of writers that race,
whichever process they are in, one wins by compare-and-set and the others look again (design section 8).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from attestation.lru import Lru
from enclave.errors import Refusal
from enclave.guard.judging import Draw, Outcome
from enclave.guard.ledger import ID_BYTES, Ledger, parse_ledger
from enclave.records import Change, Conflict, Record, Records
from evm.effects.effect_json import asset_to_text
from protocol import errors
from protocol.services import RecordKey

_TRIES: Final = 8  # other workers may hold the same budget
_MAX_LOCKS: Final = 10_000


class BudgetExceeded(Exception):
    """Between the decision and the reservation, a budget has come to need more than was cleared."""

    def __init__(self, draw: Draw, level: Outcome) -> None:
        super().__init__(f"budget:{draw.budget.id}")
        self.draw = draw
        self.level = level


@dataclass(slots=True)
class Reservation:
    """What one request has taken. It ends once: committed, or released if nothing was signed."""

    id: bytes
    draws: tuple[Draw, ...]
    open: bool = True

    def commit(self) -> None:
        """A signature exists, or may exist: what was taken stays taken."""
        self.open = False


@dataclass(slots=True)
class _Held:
    """A ledger as it was read, and where it lies."""

    key: RecordKey
    version: int
    draw: Draw
    ledger: Ledger = field(repr=False)


class Budgets:
    """All budgets over the sealed records. One instance a worker."""

    def __init__(self, records: Records, now_s: Callable[[], int], random: Callable[[int], bytes]) -> None:
        """`now_s` is trusted time in seconds, which refuses when there is none; `random` makes ids."""
        self._records = records
        self._now_s = now_s
        self._random = random
        self._locks: Lru[RecordKey, asyncio.Lock] = Lru(_MAX_LOCKS)

    async def spent(self, draws: Sequence[Draw]) -> dict[tuple[str, str], int]:
        """What counts now, by budget and subject; for a decision. `Refusal` where records cannot be read."""
        now_s = self._now_s()
        held = await self._load(_rolling(draws))
        return {(h.draw.budget.id, h.draw.subject): h.ledger.spent(now_s, _window(h.draw)) for h in held}

    async def reserve(self, draws: Sequence[Draw], cleared: Outcome) -> Reservation:
        """Take all of `draws`, or none: durable on return.

        `cleared` is the most that was shown: with SECOND_FACTOR a draw that needs a review raises `BudgetExceeded`.
        `Refusal` BUSY, DATABASE_ERROR, STALE_RECORD, DATA_INTEGRITY_ERROR or CLOCK_UNTRUSTED; nothing may be signed.
        """
        reservation = Reservation(self._random(ID_BYTES), tuple(draws))
        for draw in draws:
            if _window(draw) is None:
                _require(draw, 0, cleared)

        def drawn(held: _Held, now_s: int) -> Ledger:
            window_s = held.draw.budget.budget.window_s or 0
            _require(held.draw, held.ledger.spent(now_s, window_s), cleared)
            return held.ledger.drawn(now_s, window_s, held.draw.amount, reservation.id)

        await self._change(_rolling(draws), drawn)
        return reservation

    async def release(self, reservation: Reservation) -> None:
        """Give back what was reserved, because nothing was signed and nothing will be. Not after `commit`."""
        if not reservation.open:
            raise ValueError("the reservation has ended")
        reservation.open = False
        await self._change(_rolling(reservation.draws), lambda held, _: held.ledger.released(reservation.id))

    async def _change(self, draws: Sequence[Draw], change: Callable[[_Held, int], Ledger]) -> None:
        if not draws:
            return None
        async with AsyncExitStack() as held_locks:
            for lock in self._locks_of(self._key(draw) for draw in draws):
                await held_locks.enter_async_context(lock)
            for _ in range(_TRIES):
                held, now_s = await self._load(draws), self._now_s()
                changes = [self._write(h, change(h, now_s)) for h in held]
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

    async def _load(self, draws: Sequence[Draw]) -> list[_Held]:
        if not draws:
            return []
        keys = [self._key(draw) for draw in draws]
        found = await self._records.load(*keys)
        return [_held(key, draw, record) for key, draw, record in zip(keys, draws, found, strict=True)]

    def _key(self, draw: Draw) -> RecordKey:
        """The same name for another asset, or for other subjects, is another budget."""
        what = draw.budget
        parts = (what.id, str(what.chain_id), asset_to_text(what.asset), what.budget.per, draw.subject)
        return self._records.key("guard-budget", *parts)

    def _write(self, held: _Held, ledger: Ledger) -> Change:
        return self._records.change(held.key, held.version, ledger.body())


def _held(key: RecordKey, draw: Draw, record: Record | None) -> _Held:
    """No record: nothing was drawn yet. The write that follows says so to the store, which must agree (RB-02)."""
    if record is None:
        return _Held(key, 0, draw, Ledger())
    try:
        return _Held(key, record.version, draw, parse_ledger(record.body))
    except ValueError:
        raise Refusal(errors.DATA_INTEGRITY_ERROR) from None


def _rolling(draws: Iterable[Draw]) -> list[Draw]:
    return [draw for draw in draws if _window(draw) is not None]


def _window(draw: Draw) -> int | None:
    return draw.budget.budget.window_s


def _require(draw: Draw, spent: int, cleared: Outcome) -> None:
    level = draw.level(spent)
    if level is Outcome.DENY or level > cleared:
        raise BudgetExceeded(draw, level)
