"""When the host's loop looks again instead of sleeping: while the enclave, and nobody else, works on a few requests."""

import asyncio
import time
from typing import Any

import pytest

from host_proxy import looking
from host_proxy.looking import Looks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `Looks` sees."""
    now = [time.monotonic()]
    monkeypatch.setattr(looking.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch, clock: Any) -> Looks:
    monkeypatch.setattr(looking.os, "sched_yield", lambda: SEEN.append(1))
    SEEN.clear()
    return Looks()


SEEN: list[int] = []


async def turns(count: int = 10) -> int:
    """How often the loop was kept awake in that many turns."""
    before = len(SEEN)
    for _ in range(count):
        await asyncio.sleep(0)
    return len(SEEN) - before


async def test_nothing_under_way_lets_the_loop_sleep(looks: Looks) -> None:
    looks.storing()
    looks.stored()
    assert await turns() == 0


async def test_a_request_keeps_it_awake_until_its_answer(looks: Looks) -> None:
    looks.asked()
    assert await turns() == 10
    assert await turns() == 10
    looks.answered()
    assert await turns() == 0
    looks.asked()
    assert await turns() == 10


async def test_a_request_that_takes_long_does_not(looks: Looks, clock: list[float]) -> None:
    looks.asked()
    assert await turns() == 10
    clock[0] += 0.01
    assert await turns() == 0
    looks.asked()  # somebody else
    assert await turns() == 10


async def test_the_store_has_the_interpreter_while_it_works(looks: Looks) -> None:
    looks.asked()
    looks.storing()
    looks.storing()
    assert await turns() == 0
    looks.stored()
    assert await turns() == 0
    looks.stored()
    assert await turns() == 10


async def test_with_many_requests_there_is_work_anyway(looks: Looks) -> None:
    for _ in range(3):
        looks.asked()
    assert await turns() == 0
    looks.answered()
    looks.storing()
    looks.stored()
    assert await turns() == 10


async def test_it_looks_once_a_turn_however_many_are_under_way(looks: Looks) -> None:
    looks.asked()
    looks.asked()
    assert await turns() == 10
