"""An event loop that looks again for a moment before it sleeps (ADR 0077).

Waking a sleeping core takes 30 µs and more, and with one request at a time the enclave would sleep twice for each. Its
cores are its own: while it waits, nobody else could use them. Others that share them, as in the simulator, go first.
"""

import asyncio
import os
import selectors
import time
from typing import Final

_LOOKS_FOR_S: Final = 0.0004
"""As long as a flush to a good disk takes, with the way there and back."""

_LONG_TURN_S: Final = 0.001
"""After a turn that long there are many requests, and their next ones are not worth a look."""

_Ready = list[tuple[selectors.SelectorKey, int]]


class PollingSelector(selectors.EpollSelector):
    """Sleeps only after it has looked for `_LOOKS_FOR_S` in vain, or after a long turn."""

    def __init__(self) -> None:
        super().__init__()
        self._turn_began = 0.0

    def select(self, timeout: float | None = None) -> _Ready:
        """See `selectors.BaseSelector`."""
        ready: _Ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            ready = self._look(timeout) or super().select(timeout)
        self._turn_began = time.monotonic()
        return ready

    def _look(self, timeout: float | None) -> _Ready:
        now = time.monotonic()
        looks_for_s = 0.0 if now - self._turn_began > _LONG_TURN_S else _LOOKS_FOR_S
        ends = now + (looks_for_s if timeout is None else min(timeout, looks_for_s))
        ready: _Ready = []
        while not ready and time.monotonic() < ends:
            os.sched_yield()
            ready = super().select(0)
        return ready


def polling_loop() -> asyncio.AbstractEventLoop:
    """What `asyncio.Runner` takes."""
    return asyncio.SelectorEventLoop(PollingSelector())
