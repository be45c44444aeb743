"""A coroutine that has begun: what runs when, what it gives, and what it hears of a cancellation."""

import asyncio

import pytest

from enclave.begun import Begun


async def test_it_runs_to_its_first_wait_at_once_and_to_its_end_where_it_is_awaited() -> None:
    seen = []
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        seen.append("begun")
        found = await gate
        await asyncio.sleep(0)
        seen.append("ended")
        return found

    begun = Begun(work())
    assert seen == ["begun"]
    gate.set_result("found")
    await asyncio.sleep(0.01)
    assert seen == ["begun"], "nobody but its awaiter goes on with it"
    assert await begun == "found"
    assert seen == ["begun", "ended"]


async def test_work_that_never_waits_has_ended_and_its_failure_waits_to_be_asked_for() -> None:
    async def give() -> int:
        return 7

    async def fail() -> int:
        raise ValueError("early")

    assert await Begun(give()) == 7
    begun = Begun(fail())
    with pytest.raises(ValueError, match="early"):
        await begun


async def test_later_failure_is_raised_where_it_is_awaited() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("late")

    begun = Begun(fail())
    with pytest.raises(ValueError, match="late"):
        await begun


async def test_cancellation_of_the_awaiter_reaches_the_work_which_may_end_in_peace() -> None:
    heard = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            heard.append("cancelled")
            raise

    async def awaiter() -> None:
        begun = Begun(work())
        await begun

    task = asyncio.create_task(awaiter())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cancelled"]


async def test_cancellation_reaches_work_that_only_gives_way_for_a_turn() -> None:
    heard = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise
        heard.append("went on")

    async def awaiter() -> None:
        begun = Begun(work())
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await begun

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(awaiter())
    assert heard == ["cancelled"]


async def test_failure_of_what_it_waits_for_reaches_the_work() -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            await gate
        except ConnectionError:
            return "heard"
        return "deaf"

    begun = Begun(work())
    gate.set_exception(ConnectionError())
    assert await begun == "heard"
