"""One timer for many waits: each ends on time, and a cancellation from elsewhere stays one (VS-03)."""

import asyncio
import time
from typing import Any

import pytest

from enclave.deadlines import Deadlines


async def forever() -> None:
    await asyncio.Event().wait()


async def test_what_takes_too_long_is_cancelled_and_what_does_not_is_left_alone() -> None:
    deadlines: Deadlines[Any] = Deadlines(0.05)
    cancelled = []

    async def noted() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert await deadlines.run(asyncio.sleep(0, "in time")) == "in time"
    with pytest.raises(TimeoutError):
        await deadlines.run(noted())
    assert cancelled == [True]
    current = asyncio.current_task()
    assert current is not None
    assert not current.cancelling()


async def test_each_of_many_waits_ends_at_its_own_time() -> None:
    deadlines: Deadlines[None] = Deadlines(0.1)
    loop = asyncio.get_running_loop()

    async def wait(after_s: float) -> float:
        await asyncio.sleep(after_s)
        start = loop.time()
        with pytest.raises(TimeoutError):
            await deadlines.run(forever())
        return loop.time() - start

    lasted = await asyncio.gather(*(wait(number * 0.03) for number in range(5)), deadlines.run(asyncio.sleep(0.02)))
    assert all(seconds is None or seconds >= 0.1 for seconds in lasted)
    assert deadlines._waits == {}
    assert deadlines._timer is None


async def test_the_first_error_of_the_work_comes_through() -> None:
    deadlines: Deadlines[None] = Deadlines(1)

    async def fails() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        await deadlines.run(fails())
    assert deadlines._waits == {}


async def test_a_cancellation_from_elsewhere_is_no_timeout() -> None:
    deadlines: Deadlines[None] = Deadlines(10)
    task = asyncio.create_task(deadlines.run(forever()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert deadlines._waits == {}


async def test_of_two_deadlines_that_pass_at_once_the_outer_one_counts() -> None:
    inner: Deadlines[None] = Deadlines(0.05)
    outer: Deadlines[str] = Deadlines(0.05)
    seen = []

    async def work() -> str:
        try:
            await inner.run(forever())
        except TimeoutError:
            seen.append("inner")
        await asyncio.sleep(0)
        return "went on"

    asyncio.get_running_loop().call_later(0.01, time.sleep, 0.1)  # both are due in one turn
    with pytest.raises(TimeoutError):
        await outer.run(work())
    assert seen == []
