"""A coroutine that has begun: it runs at once up to its first wait, and is awaited later by the task that began it.

What a task would do with two more turns of the event loop. Since Python 3.12 asyncio has eager tasks for this.
"""

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """`work`, begun. Await it exactly once, in the same task; a cancellation of that task while it waits reaches it.

    Its first wait must not lie within `asyncio.timeout`, whose end would reach whatever that task waits for then.
    """

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._waits_for: Any = None
        self._end: Exception | None = None
        try:
            self._waits_for = work.send(None)
        except Exception as end:  # noqa: BLE001  raised where it is awaited
            self._end = end

    def __await__(self) -> Generator[Any, Any, T]:
        if isinstance(self._end, StopIteration):
            return self._end.value  # type: ignore[no-any-return]
        if self._end is not None:
            raise self._end
        waits_for = self._waits_for
        while True:
            try:
                try:
                    yield waits_for
                except BaseException as error:  # noqa: BLE001  a cancellation, which is the work's to hear
                    waits_for = self._work.throw(error)
                else:
                    waits_for = self._work.send(None)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
