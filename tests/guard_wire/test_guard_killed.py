"""Whatever ends in the middle of a signature, and wherever, no more is signed than the budget allows."""

import asyncio
from collections.abc import Awaitable
from itertools import count

from tests.appliance import MemoryStore
from tests.guard_wire.guard_world import GuardWorld, RefusedByGuard, pay

EACH, MOST = 300 * 10**6, 3  # of the thousand dollars that the rules allow for a day
DAY_S = 86_400


async def begun(guard: GuardWorld, turns: int) -> asyncio.Task[str]:
    """A payment that has been let run for so many turns of the event loop, on a new day."""
    await guard.pass_time(2 * DAY_S)
    task = asyncio.create_task(guard.sign(pay(EACH, nonce=1)))
    for _ in range(turns):
        await asyncio.sleep(0)
    return task


def is_signed(task: asyncio.Task[str]) -> bool:
    return task.done() and task.exception() is None


async def signed_until_refused(guard: GuardWorld) -> int:
    """How many further payments are signed."""
    causes = [await cause_of(guard.sign(pay(EACH, nonce=10 + nonce))) for nonce in range(MOST + 1)]
    assert set(causes) == {"", "guard:second-factor:budget:usd-day"}
    return causes.count("")


async def cause_of(asking: Awaitable[str]) -> str:
    """Why a request was refused; empty when it was not."""
    try:
        await asking
    except RefusedByGuard as refusal:
        return refusal.cause
    return ""


async def test_a_guard_that_is_killed_at_any_await_exceeds_no_budget(guard: GuardWorld) -> None:
    """A killed process writes nothing more, and nobody hears of what it makes after that."""
    costs = set()
    for turns in count():
        task = await begun(guard, turns)
        whole = task.done()
        delivered = int(is_signed(task))
        left, guard.store = guard.store, MemoryStore()
        guard.store.rows = left.snapshot()
        left.down = True
        await guard.boot()
        more = await signed_until_refused(guard)
        assert MOST - 1 <= delivered + more <= MOST, f"killed after {turns} turns"
        costs.add(MOST - delivered - more)
        await asyncio.gather(task, return_exceptions=True)
        if whole:
            break
    assert turns > 5, "there was something to be killed in"
    assert costs == {0, 1}, "before the reservation nothing is lost, after it a payment is"


async def test_a_store_that_ends_at_any_await_exceeds_no_budget(guard: GuardWorld) -> None:
    for turns in count():
        task = await begun(guard, turns)
        whole = task.done()
        guard.store.down = True
        await asyncio.gather(task, return_exceptions=True)
        guard.store.down = False
        more = await signed_until_refused(guard)
        assert MOST - 1 <= int(is_signed(task)) + more <= MOST, f"ended after {turns} turns"
        if whole:
            break
    assert turns > 5
