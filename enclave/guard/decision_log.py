"""The decisions of this boot, for officers who want to know what new rules would have said to them.

In memory and bounded, the newest kept; a restart forgets them. What a line holds, `decision_json.py` says.
"""

from collections import deque
from dataclasses import dataclass, replace

from enclave.guard.conditions import Circumstances
from enclave.guard.decision_json import log_line
from enclave.guard.judging import Decision
from enclave.guard.limits import MAX_KEPT_DECISION_BYTES, MAX_RECENT_DECISIONS


@dataclass(frozen=True, slots=True)
class Recent:
    """A decision without what it was about. `about` has no time, so that those of one asker are alike."""

    about: Circumstances
    time_s: int
    outcome: str
    by: str


class DecisionLog:
    """Lines in the order in which they were decided."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._recent: deque[Recent] = deque(maxlen=MAX_RECENT_DECISIONS)

    def add(self, decision: Decision, about: Circumstances) -> None:
        """Keep a decision; the oldest ones make room for it."""
        line = log_line(decision, about)
        self._lines.append(line)
        self._bytes += len(line)
        while self._bytes > MAX_KEPT_DECISION_BYTES:
            self._bytes -= len(self._lines.popleft())
        asker = replace(about, now_s=0)
        self._recent.appendleft(Recent(asker, about.now_s, decision.outcome.text, decision.deciding.by))

    def recent(self) -> list[Recent]:
        """The newest decisions, the newest first."""
        return list(self._recent)

    def newest(self, most_bytes: int) -> list[str]:
        """The newest lines that fit into `most_bytes`, the oldest of them first."""
        found: list[str] = []
        for line in reversed(self._lines):
            most_bytes -= len(line) + 1
            if most_bytes < 0:
                break
            found.append(line)
        return found[::-1]
