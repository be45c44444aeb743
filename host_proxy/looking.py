"""A loop that looks again before it sleeps, while the enclave works on a few requests (ADR 77).

Trust side: host. Waking a sleeping core takes 30 µs and more, and what runs then finds its caches cold. While many
requests are under way there is always something to do; while there are none, the loop sleeps as it always did.
"""

import asyncio
import os
import time
from typing import Final

_LOOKS_FOR_S: Final = 0.0006
"""At a time; what takes longer waits for somebody else."""

_FEW: Final = 2


class Looks:
    """Knows what is under way, for one loop, and keeps it awake."""

    def __init__(self) -> None:
        self._asked = 0
        self._storing = 0
        self._looking = False
        self._until = 0.0

    def asked(self) -> None:
        """A request went to the enclave. Each `asked` needs its `answered`."""
        self._asked += 1
        self._begin()

    def answered(self) -> None:
        """Its answer came, or nobody waits for it any more."""
        self._asked -= 1

    def storing(self) -> None:
        """The store has work, for a thread that needs the interpreter more than looking does. Needs its `stored`."""
        self._storing += 1

    def stored(self) -> None:
        """The store has answered."""
        self._storing -= 1
        self._begin()

    def _begin(self) -> None:
        self._until = time.monotonic() + _LOOKS_FOR_S
        if not self._looking and self._is_worth_it():
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = self._is_worth_it()
        if self._looking:
            os.sched_yield()  # to whoever else wants this core
            asyncio.get_running_loop().call_soon(self._look)

    def _is_worth_it(self) -> bool:
        return 0 < self._asked <= _FEW and not self._storing and time.monotonic() < self._until
