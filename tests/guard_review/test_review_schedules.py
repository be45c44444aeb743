"""Crashes at every point, and random schedules against a model: an approval leads to one signature, or to none."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from enclave.errors import Refusal
from enclave.guard.signing_key import GuardKey
from protocol import errors
from protocol.services import RecordKey, StoredRecord, Write
from tests.guard_review.review_world import HOLD_S, Reviewer, ReviewWorld, challenge, held_id, large
from tests.guard_wire.guard_world import RefusedByGuard

NONCES = 3
STEPS = 120


class Opened:
    """How often the guard's key was opened for each digest, whether or not anybody got the signature."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: dict[str, int] = {}
        self.failing = False
        sign = GuardKey.sign

        async def counted(key: GuardKey, digest: bytes) -> bytes:
            if self.failing:
                raise Refusal(errors.BUSY)
            signed = await sign(key, digest)
            self.times["0x" + digest.hex()] = self.of("0x" + digest.hex()) + 1
            return signed

        monkeypatch.setattr(GuardKey, "sign", counted)

    def of(self, digest: str) -> int:
        return self.times.get(digest, 0)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    return Opened(monkeypatch)


@contextmanager
def crash_at(world: ReviewWorld, number: int, *, written: bool) -> Iterator[None]:
    """The enclave ends with its `number`th call of the store from here, before or after that has taken effect."""
    get, put, calls = world.store.get, world.store.put, iter(range(1_000))

    async def crashing(do: Callable[[], Awaitable[Any]]) -> Any:
        if next(calls) < number:
            return await do()
        if written:
            await do()
        await asyncio.Event().wait()
        return None

    async def crashing_get(keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        found: list[StoredRecord | None] = await crashing(lambda: get(keys))
        return found

    async def crashing_put(writes: Sequence[Write]) -> None:
        await crashing(lambda: put(writes))

    world.store.get, world.store.put = crashing_get, crashing_put  # type: ignore[method-assign]
    try:
        yield
    finally:
        world.store.get, world.store.put = get, put  # type: ignore[method-assign]


async def ends(work: Awaitable[Any]) -> bool:
    """Whether `work` came to an end before the crash; what had not is no more."""
    try:
        await asyncio.wait_for(work, 0.2)
    except TimeoutError:
        return False
    except RefusedByGuard:
        pass
    return True


@pytest.mark.parametrize("written", [False, True])
async def test_crash_while_signing_leaves_it_signed_once_or_held(
    guard: ReviewWorld, opened: Opened, written: bool
) -> None:
    digest = large()["msg"]
    for number in range(100):
        id_ = await guard.hold(large())
        await guard.approve(id_)
        before = opened.of(digest)
        with crash_at(guard, number, written=written):
            ended = await ends(guard.sign(large()))
        await guard.boot()
        cause = await guard.cause(large())
        assert not cause or held_id(cause) != id_
        assert opened.of(digest) - before <= 1
        if ended:
            assert number > 5
            return
        await guard.pass_time(86_401)
    raise AssertionError("it never got through")


@pytest.mark.parametrize("written", [False, True])
async def test_crash_while_deciding_counts_the_decision_or_does_not(guard: ReviewWorld, written: bool) -> None:
    ada, ben, _ = guard.reviewers
    for number in range(100):
        id_ = await guard.hold(large(number))
        await guard.decide(id_, "approve", ada)
        assertion = ben.answer(challenge((await guard.read(id_))["statement"], "approve"))
        with crash_at(guard, number, written=written):
            ended = await ends(guard.review("Decide", id=id_, decision="approve", assertion=assertion))
        await guard.boot()
        state = (await guard.read(id_))["state"]
        assert state in ("held", "approved")
        if ended:
            assert state == "approved"
            return
        if state == "held":
            await guard.decide(id_, "approve", ben)
        await guard.sign(large(number))
        await guard.pass_time(86_401)
    raise AssertionError("it never got through")


async def test_key_that_was_not_opened_gives_approval_and_budget_back(guard: ReviewWorld, opened: Opened) -> None:
    id_ = await guard.hold(large())
    await guard.approve(id_)
    opened.failing = True
    for _ in range(5):  # more than the budget would bear
        with pytest.raises(RefusedByGuard) as refused:
            await guard.sign(large())
        assert refused.value.code == errors.BUSY.code
    opened.failing = False
    assert await guard.sign(large())


@dataclass
class Expected:
    """What a model knows of one held request."""

    nonce: int
    held_at: int
    approvals: set[str] = field(default_factory=set)
    refused: bool = False
    used: bool = False


class Schedule:
    """Random steps, each checked against the model."""

    def __init__(self, world: ReviewWorld, opened: Opened, seed: int) -> None:
        self.world = world
        self.opened = opened
        self.random = random.Random(seed)
        self.known: dict[str, Expected] = {}
        self.statements: dict[str, str] = {}
        self.answers: list[tuple[str, str, str]] = []
        self.signed = 0
        self.now = 0

    async def run(self) -> None:
        steps = [self.ask] * 4 + [self.decide] * 8 + [self.replay] * 2 + [self.wait, self.restart, self.crash]
        for _ in range(STEPS):
            await self.random.choice(steps)()

    def expired(self, found: Expected) -> bool:
        return self.now >= found.held_at + HOLD_S

    async def ask(self) -> None:
        nonce = self.random.randrange(NONCES)
        before = self.opened.of(large(nonce)["msg"])
        cause = await self.world.cause(large(nonce))
        if cause:
            assert self.opened.of(large(nonce)["msg"]) == before
            if ":budget:" not in cause:
                await self.refused(nonce, cause)
            return
        [found] = [found for found in self.known.values() if found.nonce == nonce and self.usable(found)]
        found.used = True
        self.signed += 1

    def usable(self, found: Expected) -> bool:
        return len(found.approvals) >= 2 and not (found.refused or found.used or self.expired(found))

    async def refused(self, nonce: int, cause: str) -> None:
        assert not any(found.nonce == nonce and self.usable(found) for found in self.known.values()), cause
        what, _, id_ = cause.rpartition(":")
        if id_ not in self.known:
            assert what == "guard:review"
            self.known[id_] = Expected(nonce, self.now)
            self.statements[id_] = (await self.world.read(id_))["statement"]
        found = self.known[id_]
        assert found.nonce == nonce
        assert not found.used
        state = "-refused" if found.refused else "-expired" if self.expired(found) else ""
        assert what == f"guard:review{state}"

    async def decide(self) -> None:
        if not self.known:
            return
        id_, by = self.random.choice(list(self.known)), self.random.choice(self.world.reviewers)
        verdict = self.random.choice(["approve"] * 5 + ["refuse"])
        assertion = by.answer(challenge(self.statements[id_], verdict))
        self.answers.append((id_, verdict, assertion))
        found = self.known[id_]
        approved = len(found.approvals) >= 2
        late = found.refused or found.used or self.expired(found) or (approved and verdict == "approve")
        wrong = late or by.name in found.approvals
        if wrong:
            with pytest.raises(RefusedByGuard):
                await self.world.review("Decide", id=id_, decision=verdict, assertion=assertion)
            return
        await self.world.review("Decide", id=id_, decision=verdict, assertion=assertion)
        if verdict == "refuse":
            found.refused = True
        else:
            found.approvals.add(by.name)

    async def replay(self) -> None:
        """An assertion that was seen before, for its own request or for another, changes nothing."""
        if not self.answers:
            return
        id_, verdict, assertion = self.random.choice(self.answers)
        with pytest.raises(RefusedByGuard):
            await self.world.review(
                "Decide", id=self.random.choice([id_, *self.known]), decision=verdict, assertion=assertion
            )

    async def wait(self) -> None:
        seconds = self.random.choice([60, HOLD_S // 2, HOLD_S, 86_401])
        await self.world.pass_time(seconds)
        self.now += seconds

    async def restart(self) -> None:
        await self.world.boot()

    async def crash(self) -> None:
        """A crash while signing: it was used up, or it was not; which of the two shows when it is asked for again."""
        nonce = self.random.randrange(NONCES)
        usable = [found for found in self.known.values() if found.nonce == nonce and self.usable(found)]
        if not usable:
            return
        before = self.opened.of(large(nonce)["msg"])
        with crash_at(self.world, self.random.randrange(12), written=self.random.random() < 0.5):
            await ends(self.world.sign(large(nonce)))
        await self.world.boot()
        queue = await self.world.review("Queue", session=await self.world.session(self.world.reviewers[0]))
        states = {row["id"]: row["state"] for row in queue["reviews"]}
        [id_] = [id_ for id_, found in self.known.items() if found is usable[0]]
        usable[0].used = states[id_] == "used"
        signed = self.opened.of(large(nonce)["msg"]) - before
        assert signed <= int(usable[0].used)


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[ReviewWorld]:
    people = [Reviewer(name, counts=name != "cleo") for name in ("ada", "ben", "cleo")]
    world = ReviewWorld(pki_folder, *people)
    await world.boot()
    yield world
    await world.stop()


@pytest.mark.parametrize("round_", range(3))
async def test_random_schedules_agree_with_the_model(
    guard: ReviewWorld, opened: Opened, seed: int, round_: int
) -> None:
    schedule = Schedule(guard, opened, seed + round_)
    await schedule.run()
    assert len(schedule.known) > 3
