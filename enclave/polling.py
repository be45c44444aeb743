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

_Ready = list[tuple[selectors.SelectorKey, int]]


class PollingSelector(selectors.EpollSelector):
    """Sleeps only after it has looked for `_LOOKS_FOR_S` in vain."""

    def select(self, timeout: float | None = None) -> _Ready:
        """See `selectors.BaseSelector`."""
        ready: _Ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        ends = time.monotonic() + (_LOOKS_FOR_S if timeout is None else min(timeout, _LOOKS_FOR_S))
        while not ready and time.monotonic() < ends:
            os.sched_yield()
            ready = super().select(0)
        return ready or super().select(timeout)


def polling_loop() -> asyncio.AbstractEventLoop:
    """What `asyncio.Runner` takes."""
    return asyncio.SelectorEventLoop(PollingSelector())
