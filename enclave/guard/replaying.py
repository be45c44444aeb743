"""Yesterday's requests under tomorrow's rules: which answers would be others, and why.

Budgets are replayed along: whatever is not refused counts for what comes after it, as if the second factor or review
that it asks for had been given.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from enclave.guard.compiling import Rules
from enclave.guard.decision_json import LogEntry
from enclave.guard.judging import Decision, Draw, Outcome, judge
from enclave.ledger import Entry, Ledger


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded request, and what the rules say to it."""

    number: int
    entry: LogEntry
    decision: Decision

    @property
    def flips(self) -> bool:
        """Whether the answer is another one than the recorded one."""
        return self.decision.outcome.text != self.entry.outcome


@dataclass(frozen=True, slots=True)
class Difference:
    """A recorded request to which two rule documents give two answers."""

    number: int
    entry: LogEntry
    before: Decision
    after: Decision


def replay(rules: Rules, entries: Iterable[LogEntry]) -> Iterator[Replayed]:
    """Each entry in order, with its decision now."""
    ledgers = _Ledgers()
    for number, entry in enumerate(entries, start=1):
        decision = judge(rules, entry.effects, entry.about, partial(ledgers.spent, now_s=entry.about.now_s))
        if decision.outcome is not Outcome.DENY:
            ledgers.draw(decision.draws, entry.about.now_s)
        yield Replayed(number, entry, decision)


def differences(before: Rules, after: Rules, entries: Iterable[LogEntry]) -> list[Difference]:
    """The entries that the two documents answer differently, or for different reasons."""
    listed = list(entries)
    pairs = zip(replay(before, listed), replay(after, listed), strict=True)
    return [
        Difference(one.number, one.entry, one.decision, other.decision)
        for one, other in pairs
        if (one.decision.outcome, one.decision.deciding.by) != (other.decision.outcome, other.decision.deciding.by)
    ]


class _Ledgers:
    """Budgets in memory."""

    def __init__(self) -> None:
        self._ledgers: dict[tuple[str, str], Ledger] = {}

    def spent(self, draw: Draw, now_s: int) -> int:
        return self._of(draw).spent(now_s, draw.budget.budget.window_s)

    def draw(self, draws: Iterable[Draw], now_s: int) -> None:
        for draw in draws:
            window_s = draw.budget.budget.window_s
            if window_s is not None:
                self._ledgers[self._key(draw)] = self._of(draw).drawn(now_s, window_s, Entry(now_s, draw.amount))

    def _of(self, draw: Draw) -> Ledger:
        return self._ledgers.get(self._key(draw), Ledger())

    def _key(self, draw: Draw) -> tuple[str, str]:
        return draw.budget.id, draw.subject
