"""First logins that meet: one identity, one wallet, whatever the store does in between (section 8, defect 5)."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from enclave.errors import Refusal
from enclave.identity import Identity, email_identity
from protocol.services import RecordKey, StoredRecord, Write
from tests.appliance import SCOPE, World
from tests.enclave_accounts.people import ADA, LIMITS, Person, accounts_of

RACERS = 40
IDENTITY = email_identity(ADA)


class Interleaving:
    """Port `Store` over another one: every call waits a random while before and after, so answers overtake."""

    def __init__(self, inner: World, seed: int) -> None:
        self._inner = inner.store
        self._get, self._put = inner.store.get, inner.store.put
        self._random = random.Random(seed)

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        await self._pause()
        found = await self._get(keys)
        await self._pause()
        return found

    async def put(self, writes: Sequence[Write]) -> None:
        await self._pause()
        await self._put(writes)
        await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.choice([0, 0, 0.001, 0.003]))


class Agreeable(Interleaving):
    """A lying store: it takes every write, whatever was expected, and keeps the last one."""

    async def put(self, writes: Sequence[Write]) -> None:
        await self._pause()
        for write in writes:
            self._inner.rows[write.key.table, write.key.id] = StoredRecord(write.new_version, write.value)
        await self._pause()


def interleave(world: World, store: Interleaving) -> None:
    world.store.get, world.store.put = store.get, store.put  # type: ignore[method-assign]


async def addresses(worlds: Sequence[World], identity: Identity) -> tuple[set[str], list[str]]:
    """The wallets that racing first logins were given, and the refusals."""
    accounts = [accounts_of(world) for world in worlds]
    racing = [accounts[i % len(accounts)].find_or_create(SCOPE, identity) for i in range(RACERS)]
    outcomes = await asyncio.gather(*racing, return_exceptions=True)
    refusals = [outcome.error.name for outcome in outcomes if isinstance(outcome, Refusal)]
    found = {outcome.address for outcome in outcomes if not isinstance(outcome, BaseException)}
    assert len(refusals) + sum(not isinstance(o, BaseException) for o in outcomes) == RACERS, outcomes
    return found, refusals


@pytest.mark.parametrize("offset", range(5))
async def test_racing_first_logins_get_one_wallet(world: World, seed: int, offset: int) -> None:
    interleave(world, Interleaving(world, seed + offset))
    found, refusals = await addresses([world], IDENTITY)
    assert len(found) == 1
    assert refusals == []


@pytest.mark.parametrize("offset", range(5))
async def test_two_enclaves_over_one_store_give_one_wallet(pki_folder: Path, seed: int, offset: int) -> None:
    first, second = World(pki_folder, limits=LIMITS), World(pki_folder, limits=LIMITS)
    second.store, second.kms = first.store, first.kms
    await first.boot()
    await second.boot()
    interleave(first, Interleaving(first, seed + offset))
    found, refusals = await addresses([first, second], IDENTITY)
    assert len(found) == 1
    assert refusals == []
    await first.stop()
    await second.stop()


@pytest.mark.parametrize("offset", range(5))
async def test_a_store_that_agrees_to_everything_cannot_make_one_boot_give_two_wallets(
    world: World, seed: int, offset: int
) -> None:
    interleave(world, Agreeable(world, seed + offset))
    found, refusals = await addresses([world], IDENTITY)
    assert len(found) <= 1
    assert set(refusals) <= {"StaleRecord", "DataIntegrityError", "Busy"}


async def test_racing_logins_of_one_person_leave_one_consistent_account(world: World, seed: int) -> None:
    """Devices that enrol at once all get listed, or are logged out when the list is full."""
    people = [Person(world) for _ in range(20)]
    await people[0].log_in(ADA)
    interleave(world, Interleaving(world, seed))
    accounts = accounts_of(world)
    account = await accounts.find_or_create(SCOPE, IDENTITY)

    async def nobody(_: str) -> None:
        raise AssertionError("the list is not full")

    await asyncio.gather(*(accounts.add_device(account, person.client.name, nobody) for person in people))
    listed = (await accounts.find_or_create(SCOPE, IDENTITY)).devices
    assert sorted(listed) == sorted(person.client.name for person in people)
