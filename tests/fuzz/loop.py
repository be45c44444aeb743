"""One event loop for all targets: making one for each input would take longer than most of them."""

import asyncio
from collections.abc import Awaitable
from functools import cache
from typing import TypeVar

T = TypeVar("T")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def run(work: Awaitable[T]) -> T:
    """The result of `work`; what runs besides on the loop runs for as long as this takes."""
    return _loop().run_until_complete(work)
