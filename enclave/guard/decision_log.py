"""The decisions of this boot, for officers who want to know what new rules would have said to them.

In memory and bounded, the newest kept; a restart forgets them. What a line holds, `decision_json.py` says.
"""

from collections import deque

from enclave.guard.conditions import Circumstances
from enclave.guard.decision_json import log_line
from enclave.guard.judging import Decision
from enclave.guard.limits import MAX_KEPT_DECISION_BYTES


class DecisionLog:
    """Lines in the order in which they were decided."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._bytes = 0

    def add(self, decision: Decision, about: Circumstances) -> None:
        """Keep a decision; the oldest ones make room for it."""
        line = log_line(decision, about)
        self._lines.append(line)
        self._bytes += len(line)
        while self._bytes > MAX_KEPT_DECISION_BYTES:
            self._bytes -= len(self._lines.popleft())

    def newest(self, most_bytes: int) -> list[str]:
        """The newest lines that fit into `most_bytes`, the oldest of them first."""
        found: list[str] = []
        for line in reversed(self._lines):
            most_bytes -= len(line) + 1
            if most_bytes < 0:
                break
            found.append(line)
        return found[::-1]
