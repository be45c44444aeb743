"""Services that no boot waits for: their modules load in a thread when the first of their methods is called."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

S = TypeVar("S")
Method = Callable[..., Awaitable[Any]]


class Later(Generic[S]):
    """What `make` makes, made once; `make` imports what it needs, and holds up nobody but those who wait for it."""

    def __init__(self, make: Callable[[], S]) -> None:
        self._make = make
        self._turn = asyncio.Lock()
        self._made: S | None = None

    async def get(self) -> S:
        """The services, as soon as they are there."""
        async with self._turn:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            return self._made

    def method(self, choose: Callable[[S], Method]) -> Method:
        """One of their methods, which can be named before it is there."""
        return partial(self._call, choose)

    async def _call(self, choose: Callable[[S], Method], /, *arguments: Any) -> Any:
        return await choose(self._made or await self.get())(*arguments)
