"""A guard of several workers: a budget is one budget, rules count everywhere at once, decisions lie in one place."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from enclave.guard.decision_json import parse_log_line
from evm.address import checksum
from protocol.services import StoredRecord, Write
from tests.appliance import MemoryStore
from tests.enclave_guard.guard_rules import DOCUMENT
from tests.enclave_workers.crew import GuardCrew
from tests.evm_effects.made import WALLET
from tests.guard_wire.guard_world import RefusedByGuard, approval, pay, said

USD = 10**6
WORKERS = 3


class AgreeableStore(MemoryStore):
    """Agrees to every write, whatever version it was to replace."""

    async def put(self, writes: Sequence[Write]) -> None:
        await asyncio.sleep(0)
        for write in writes:
            self.rows[write.key.table, write.key.id] = StoredRecord(write.new_version, write.value)


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[GuardCrew]:
    made = GuardCrew(pki_folder, WORKERS)
    await made.boot()
    yield made
    await made.stop()


async def sign_everywhere(guard: GuardCrew, count: int) -> list[object]:
    """`count` payments of 100 at once, at all workers in turn; what became of each."""

    async def sign(nonce: int) -> str:
        guard.at = nonce % WORKERS
        return await guard.sign(pay(100 * USD, nonce=nonce))

    tasks = [asyncio.create_task(sign(nonce)) for nonce in range(count)]
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_workers_sign_exactly_up_to_the_budget(guard: GuardCrew) -> None:
    outcomes = await sign_everywhere(guard, 45)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 10
    causes = {outcome.cause for outcome in outcomes if isinstance(outcome, RefusedByGuard)}
    assert causes == {"guard:second-factor:budget:usd-day"}


async def test_workers_draw_no_more_from_a_store_that_agrees_to_everything(guard: GuardCrew) -> None:
    honest = guard.store
    guard.store = AgreeableStore()
    guard.store.rows = honest.rows
    await guard.boot()
    outcomes = await sign_everywhere(guard, 45)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 10


async def test_freeze_at_one_worker_counts_at_all(guard: GuardCrew) -> None:
    in_force = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    before = guard.store.snapshot()
    guard.at = 1
    await guard.ask("Freeze", {"approval": approval(1, said("freeze guard", in_force, 1))}, "GuardRules")
    guard.store.rows = before
    for guard.at in range(WORKERS):
        with pytest.raises(RefusedByGuard):
            await guard.sign(pay(1))


async def test_decisions_of_all_workers_are_kept_by_the_first_and_shown_by_any(guard: GuardCrew) -> None:
    for guard.at in range(WORKERS):
        await guard.sign(pay(1, nonce=guard.at))
    in_force = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    read = {"approval": approval(2, said("read guard decisions", in_force, DOCUMENT["version"]))}
    asked = {"wallet": checksum(WALLET), "approval": approval(1, said("read guard overview", in_force, 1))}
    for guard.at in range(WORKERS):
        decisions = (await guard.ask("Overview", asked, "GuardRules"))["decisions"]
        assert [made["outcome"] for made in decisions] == ["allow"] * WORKERS
        lines = (await guard.ask("Decisions", read, "GuardRules"))["lines"]
        assert [parse_log_line(line).outcome for line in lines] == ["allow"] * WORKERS
