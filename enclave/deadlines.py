"""One deadline for many waits at once, on one timer: those that began first end first.

`asyncio.timeout` arms and cancels a timer for each wait, which took a fiftieth of the time of a signature.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Generic, TypeVar, cast

import msgspec

T = TypeVar("T")


class _Wait(msgspec.Struct, eq=False):
    task: asyncio.Task[Any]
    cancelling: int
    expires_at: float
    expired: bool = False


class Deadlines(Generic[T]):
    """Waits of at most `seconds` each."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: dict[_Wait, None] = {}  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Awaitable[T]) -> T:
        """What `work` gives; `TimeoutError` when it takes too long, and it is cancelled then. One loop only."""
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[Any]", asyncio.current_task(loop))
        wait = _Wait(task, task.cancelling(), loop.time() + self._seconds)
        self._waits[wait] = None
        if self._timer is None:
            self._timer = loop.call_at(wait.expires_at, self._expire, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if wait.expired and task.uncancel() <= wait.cancelling:  # nobody else wants it cancelled
                raise TimeoutError from None
            raise
        finally:
            self._waits.pop(wait, None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for wait in list(self._waits):
            if wait.expires_at > loop.time():
                self._timer = loop.call_at(wait.expires_at, self._expire, loop)
                return
            del self._waits[wait]
            wait.expired = True
            wait.task.cancel()
