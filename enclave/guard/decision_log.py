"""The decisions of this boot, for officers who want to know what new rules would have said to them.

In memory and bounded, the newest kept; a restart forgets them. What a line holds, `decision_json.py` says.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from enclave.guard.conditions import Circumstances
from enclave.guard.decision_json import log_line, parse_log_line
from enclave.guard.judging import Decision
from enclave.guard.limits import MAX_KEPT_DECISION_BYTES, MAX_READ_DECISION_BYTES, MAX_RECENT_DECISIONS


@dataclass(frozen=True, slots=True)
class Recent:
    """A decision without what it was about. `about` has no time, so that those of one asker are alike."""

    about: Circumstances
    time_s: int
    outcome: str
    by: str


class DecisionLog:
    """Lines in the order in which they were decided."""

    def __init__(self, elsewhere: Callable[[bytes], Awaitable[None]] | None = None) -> None:
        """`elsewhere` takes the lines to the worker that keeps those of all, where that is another one."""
        self._elsewhere = elsewhere
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._recent: deque[Recent] = deque(maxlen=MAX_RECENT_DECISIONS)

    async def add(self, decision: Decision, about: Circumstances) -> None:
        """Have a decision kept. `Refusal` BUSY where the worker that keeps it cannot be told."""
        line = log_line(decision, about)
        if self._elsewhere is None:
            self._keep(line, about, decision.outcome.text, decision.deciding.by)
        elif len(line) <= MAX_READ_DECISION_BYTES:  # a longer one could not be read by anybody
            await self._elsewhere(line.encode())

    def keep(self, data: bytes) -> None:
        """Keep a line that another worker has sent."""
        line = data.decode()
        entry = parse_log_line(line)
        self._keep(line, entry.about, entry.outcome, entry.by)

    def _keep(self, line: str, about: Circumstances, outcome: str, by: str) -> None:
        """The oldest lines make room for a new one."""
        self._lines.append(line)
        self._bytes += len(line)
        while self._bytes > MAX_KEPT_DECISION_BYTES:
            self._bytes -= len(self._lines.popleft())
        asker = replace(about, now_s=0)
        self._recent.appendleft(Recent(asker, about.now_s, outcome, by))

    def recent(self) -> list[Recent]:
        """The newest decisions, the newest first."""
        self._require_kept_here()
        return list(self._recent)

    def newest(self, most_bytes: int) -> list[str]:
        """The newest lines that fit into `most_bytes`, the oldest of them first."""
        self._require_kept_here()
        found: list[str] = []
        for line in reversed(self._lines):
            most_bytes -= len(line) + 1
            if most_bytes < 0:
                break
            found.append(line)
        return found[::-1]

    def _require_kept_here(self) -> None:
        if self._elsewhere is not None:
            raise RuntimeError("only the worker that keeps the log can read it")
