"""Budgets that are spent once: reserved durably before a signature, given back only if none is made (SE-11, RB-03).

A reservation is spent from the moment when it is written. `commit` therefore needs no write: it only ends the right to
release. A crash at any point, an unknown result of a write, a lost answer: all count as spent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from enclave.guard.judging import Draw, Outcome
from enclave.ledger import ID_BYTES, Entry, Ledger
from enclave.ledgers import Ledgers
from enclave.records import Records
from evm.effects.effect_json import asset_to_text
from protocol.services import RecordKey


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


class Budgets:
    """All budgets over the sealed records. One instance a worker."""

    def __init__(self, records: Records, now_s: Callable[[], int], random: Callable[[int], bytes]) -> None:
        """`now_s` is trusted time in seconds, which refuses when there is none; `random` makes ids."""
        self._records = records
        self._ledgers = Ledgers(records, now_s)
        self._now_s = now_s
        self._random = random

    async def spent(self, draws: Sequence[Draw]) -> dict[tuple[str, str], int]:
        """What counts now, by budget and subject; for a decision. `Refusal` where records cannot be read."""
        now_s = self._now_s()
        found = await self.ledgers(draws)
        return {(draw.budget.id, draw.subject): ledger.spent(now_s, _window(draw)) for draw, ledger in found}

    async def ledgers(self, draws: Sequence[Draw]) -> list[tuple[Draw, Ledger]]:
        """What has been drawn from each rolling budget by its subject. `Refusal` where records cannot be read."""
        rolling = _rolling(draws)
        return list(zip(rolling, await self._ledgers.load(self._keys(rolling)), strict=True))

    async def reserve(self, draws: Sequence[Draw], shown: frozenset[Outcome] = frozenset()) -> Reservation:
        """Take all of `draws`, or none: durable on return.

        `shown` is what was asked for and given. A draw that needs anything else by now raises `BudgetExceeded`.
        `Refusal` BUSY, DATABASE_ERROR, STALE_RECORD, DATA_INTEGRITY_ERROR or CLOCK_UNTRUSTED; nothing may be signed.
        """
        reservation = Reservation(self._random(ID_BYTES), tuple(draws))
        rolling = _rolling(draws)
        for draw in draws:
            if _window(draw) is None:
                _require(draw, 0, shown)

        def drawn(ledgers: list[Ledger], now_s: int) -> list[Ledger]:
            for draw, ledger in zip(rolling, ledgers, strict=True):
                _require(draw, ledger.spent(now_s, _window(draw)), shown)
            return [
                ledger.drawn(now_s, _window(draw) or 0, Entry(now_s, draw.amount, reservation.id))
                for draw, ledger in zip(rolling, ledgers, strict=True)
            ]

        await self._ledgers.change(self._keys(rolling), drawn)
        return reservation

    async def release(self, reservation: Reservation) -> None:
        """Give back what was reserved, because nothing was signed and nothing will be. Not after `commit`."""
        if not reservation.open:
            raise ValueError("the reservation has ended")
        reservation.open = False
        await self._ledgers.change(
            self._keys(_rolling(reservation.draws)),
            lambda ledgers, _: [ledger.released(reservation.id) for ledger in ledgers],
        )

    def _keys(self, draws: Iterable[Draw]) -> list[RecordKey]:
        """The same name for another asset, or for other subjects, is another budget."""
        keys = []
        for draw in draws:
            what = draw.budget
            parts = (what.id, str(what.chain_id), asset_to_text(what.asset), what.budget.per, draw.subject)
            keys.append(self._records.key("guard-budget", *parts))
        return keys


def _rolling(draws: Iterable[Draw]) -> list[Draw]:
    return [draw for draw in draws if _window(draw) is not None]


def _window(draw: Draw) -> int | None:
    return draw.budget.budget.window_s


def _require(draw: Draw, spent: int, shown: frozenset[Outcome]) -> None:
    missing = draw.asks(spent) - shown
    if missing:
        raise BudgetExceeded(draw, max(missing))
