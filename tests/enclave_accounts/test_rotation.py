"""Rotation of holder keys: nothing is lost at any step, and what is retired opens nothing (KM-16, ADR 0037)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.deployment import Deployment
from enclave.errors import StoreError
from protocol import limits
from protocol.services import RecordKey
from tests.appliance import SCOPE, World
from tests.enclave_accounts.administration import Administrator
from tests.enclave_accounts.people import ADA, Person, accounts_of, code_of, refused
from tests.waas.embedded import scopes

LATER_S = limits.GENERATION_QUARANTINE_S + 10


@pytest.fixture
async def admin(pki_folder: Path) -> AsyncIterator[Administrator]:
    made = Administrator()
    world = made.world(pki_folder)
    await world.boot()
    yield made
    await world.stop()


@pytest.fixture
def world(admin: Administrator) -> World:
    return admin.client.world


def deployment_of(world: World) -> Deployment:
    return world.enclave._deployment


async def in_use(world: World) -> list[int]:
    """The generations that the stored record names."""
    founded = await deployment_of(world).load()
    assert founded is not None
    return [generation.number for generation in founded.generations]


async def under(world: World) -> dict[int, int]:
    """How many accounts lie under each generation."""
    counts: dict[int, int] = {}
    for table, id_ in world.store.rows:
        if table == "account":
            [record] = await accounts_of(world)._records.load(RecordKey("account", id_))
            generation = record.body[3][0]
            counts[generation] = counts.get(generation, 0) + 1
    return counts


async def users(world: World, count: int) -> list[Person]:
    people = [Person(world) for _ in range(count)]
    for number, person in enumerate(people):
        await person.log_in(f"user-{number}@example.com")
    return people


# --- the published scenarios (identity-instrument.md 6.1, Admin) ---


async def test_rotation_puts_a_new_generation_on_top_and_the_old_one_still_opens(
    admin: Administrator, world: World
) -> None:
    [before] = await users(world, 1)
    assert await admin.rotate("1") == {}
    assert await in_use(world) == [1, 2]
    await before.sign()
    after = Person(world)
    await after.log_in("later@example.com")
    await after.sign()
    assert await under(world) == {1: 1, 2: 1}


async def test_refresh_renews_a_batch_at_a_time(admin: Administrator, world: World) -> None:
    people = await users(world, 10)
    await admin.rotate("1")
    assert not await admin.refresh("1", batch=5)
    assert await under(world) == {1: 5, 2: 5}
    assert not await admin.refresh("1", batch=5)
    assert await under(world) == {2: 10}
    assert await admin.refresh("1", batch=5), "the end of the list"
    for person in people:
        await person.sign()


async def test_cleanup_retires_what_a_whole_pass_has_shown_to_be_unused(admin: Administrator, world: World) -> None:
    people = await users(world, 3)
    await admin.rotate("1")
    await world.pass_time(LATER_S)
    assert await admin.cleanup() == 0, "nobody has looked yet"
    assert await admin.refresh("1")
    assert await admin.cleanup() == 1
    assert await in_use(world) == [2]
    for person in people:
        await person.sign()
    await world.boot()
    for person, number in zip(people, range(3), strict=True):
        await person.log_in(f"user-{number}@example.com")
        await person.sign()
    assert world.enclave._generations.current.generation == 2


async def test_keys_that_scopes_have_for_users_from_before_are_renewed_with_the_accounts(pki_folder: Path) -> None:
    admin = Administrator()
    world = admin.world(pki_folder, scopes=scopes())
    await world.boot()

    async def signer() -> str:
        answer = await world.raw("/rpc/FormerUsers/Signer", json.dumps({"scope": SCOPE}).encode())
        return str(json.loads(answer.body)["signer"])

    before = await signer()
    await admin.rotate("1")
    await world.pass_time(LATER_S)
    assert await admin.refresh("1")
    assert await admin.cleanup() == 1
    [id_] = [id_ for table, id_ in world.store.rows if table == "parent-key"]
    [record] = await accounts_of(world)._records.load(RecordKey("parent-key", id_))
    assert record.body[0] == 2, "the generation that it lies under"
    await world.boot()
    assert await signer() == before
    await world.stop()


async def test_half_a_pass_retires_nothing(admin: Administrator, world: World) -> None:
    await users(world, 4)
    await admin.rotate("1")
    await world.pass_time(LATER_S)
    assert not await admin.refresh("1", batch=2)
    assert await admin.cleanup() == 0
    assert await in_use(world) == [1, 2]


async def test_two_rotations_and_one_cleanup(admin: Administrator, world: World) -> None:
    [person] = await users(world, 1)
    await admin.rotate("1")
    await admin.rotate("2")
    assert await in_use(world) == [1, 2, 3]
    await world.pass_time(LATER_S)
    assert await admin.refresh("1")
    assert await under(world) == {3: 1}
    assert await admin.cleanup() == 1, "nobody has looked for the second"
    assert await in_use(world) == [2, 3]
    assert await admin.refresh("2")
    assert await admin.cleanup() == 1
    await person.sign()


# --- what may go wrong ---


async def test_a_founding_that_is_tried_again_is_the_first_generation_still(pki_folder: Path) -> None:
    """Key policies allow the first generation; a store that was down at first must not lead to another."""
    world = World(pki_folder)
    put, failures = world.store.put, []

    async def down_at_first(writes: Any) -> None:
        if len(failures) < 2:
            failures.append(writes[0].key.table)
            raise StoreError("store-unreachable")
        await put(writes)

    world.store.put = down_at_first  # type: ignore[method-assign]
    await world.boot()
    assert failures == ["deployment"] * 2
    assert await in_use(world) == [1]
    assert world.enclave._generations.current.generation == 1
    person = Person(world)
    await person.log_in(ADA)
    await person.sign()
    await world.stop()


async def test_everything_can_be_repeated(admin: Administrator, world: World) -> None:
    await users(world, 2)
    await admin.rotate("1")
    await admin.rotate("1")
    assert await in_use(world) == [1, 2]
    await world.pass_time(LATER_S)
    for _ in range(2):
        assert await admin.refresh("1")
    assert await admin.cleanup() == 1
    assert await admin.cleanup() == 0
    assert await refused(admin.refresh("1")) == (0, "cipher key not found")


async def test_a_restart_at_any_step_loses_nothing(admin: Administrator, world: World) -> None:
    await users(world, 4)

    async def restart() -> None:
        await world.boot()
        for number in range(4):
            person = Person(world)
            await person.log_in(f"user-{number}@example.com")
            await person.sign()

    await restart()
    await admin.rotate("1")
    await world.boot()
    assert not await admin.refresh("1", batch=2)
    await world.boot()
    assert await under(world) == {1: 2, 2: 2}
    await world.pass_time(LATER_S)
    assert await admin.cleanup() == 0, "what this boot has not seen does not count"
    assert await admin.refresh("1")
    await restart()
    assert await admin.refresh("1")
    assert await admin.cleanup() == 1
    await restart()


async def test_a_rotation_whose_write_is_not_acknowledged_is_as_if_it_were_not_or_were(
    admin: Administrator, world: World, monkeypatch: Any
) -> None:
    [person] = await users(world, 1)
    put = world.store.put

    async def lost(writes: Any) -> None:
        await put(writes)
        if writes[0].key.table == "deployment":
            raise StoreError("store-unreachable")

    monkeypatch.setattr(world.store, "put", lost)
    assert await code_of(admin.rotate("1")) == 7102
    monkeypatch.undo()
    assert await in_use(world) == [1, 2]
    await person.sign()
    newcomer = Person(world)
    await newcomer.log_in("new@example.com")
    await newcomer.sign()
    assert (await under(world))[2] == 1


def open_keys(world: World, generation: int) -> int:
    """How many holder keys of a generation are in memory, whether it is in use or not."""
    made = [keys for keys in world.holder_keys if keys.generation == generation]  # type: ignore[attr-defined]
    return sum(seat.key is not None for keys in made for seat in keys._seats.values())


@pytest.fixture
def made_keys(world: World) -> World:
    """Every set of holder keys that is made from here on is kept in sight, and so are those in use."""
    generations = world.enclave._generations
    make, seen = generations._make, [generations.current]

    def remembered(number: int) -> Any:
        seen.append(make(number))
        return seen[-1]

    generations._make = remembered  # type: ignore[misc]
    world.holder_keys = seen  # type: ignore[attr-defined]
    return world


async def test_keys_of_a_rotation_that_failed_do_not_stay_in_memory(
    admin: Administrator, made_keys: World, monkeypatch: Any
) -> None:
    put = made_keys.store.put

    async def deployment_down(writes: Any) -> None:
        if writes[0].key.table == "deployment":
            raise StoreError("store-unreachable")
        await put(writes)

    monkeypatch.setattr(made_keys.store, "put", deployment_down)
    assert await code_of(admin.rotate("1")) == 7102
    assert (open_keys(made_keys, 1), open_keys(made_keys, 2)) == (3, 0)


async def test_keys_of_a_retired_generation_leave_memory(admin: Administrator, made_keys: World) -> None:
    await admin.rotate("1")
    await made_keys.pass_time(LATER_S)
    assert await admin.refresh("1")
    assert await admin.cleanup() == 1
    assert (open_keys(made_keys, 1), open_keys(made_keys, 2)) == (0, 3)


async def test_all_holders_make_a_generation_or_there_is_none(admin: Administrator, world: World) -> None:
    [person] = await users(world, 1)
    world.kms.mode["gamma"] = "down"
    assert await code_of(admin.rotate("1")) == 7308
    assert await in_use(world) == [1]
    await person.sign()
    world.kms.mode["gamma"] = "up"
    await admin.rotate("1")
    assert await in_use(world) == [1, 2]


async def test_a_login_renews_its_account_by_itself(admin: Administrator, world: World) -> None:
    [person] = await users(world, 1)
    await admin.rotate("1")
    await person.log_in("user-0@example.com")
    assert await under(world) == {2: 1}
    await person.sign()


async def test_a_pass_from_before_others_knew_does_not_count(admin: Administrator, world: World) -> None:
    """An enclave that has not heard of the new generation yet may still make accounts under the old one."""
    await users(world, 1)
    await admin.rotate("1")
    assert await admin.refresh("1")
    await world.pass_time(LATER_S)
    assert await admin.cleanup() == 0
    assert await admin.refresh("1")
    assert await admin.cleanup() == 1


async def test_a_record_that_the_store_does_not_list_is_renewed_at_its_owner_s_login(
    admin: Administrator, world: World, monkeypatch: Any
) -> None:
    [person] = await users(world, 1)

    async def nothing(_: Any) -> list[bytes]:
        return []

    monkeypatch.setattr(world.store, "ids", nothing)
    await admin.rotate("1")
    assert await admin.refresh("1")
    assert await under(world) == {1: 1}
    await person.log_in("user-0@example.com")
    assert await under(world) == {2: 1}


async def test_what_was_retired_opens_nothing(admin: Administrator, world: World) -> None:
    """The host keeps the account from before the rotation and shows it after the cleanup, over a restart."""
    await users(world, 1)
    before = {place: row for place, row in world.store.rows.items() if place[0] == "account"}
    await admin.rotate("1")
    await world.pass_time(LATER_S)
    assert await admin.refresh("1")
    assert await admin.cleanup() == 1
    world.store.rows |= before
    await world.boot()
    assert await code_of(Person(world).log_in("user-0@example.com")) == 7308


async def test_an_older_deployment_record_is_refused_in_a_boot_that_knows_a_newer(
    admin: Administrator, world: World
) -> None:
    before = {place: row for place, row in world.store.rows.items() if place[0] == "deployment"}
    await admin.rotate("1")
    world.store.rows |= before
    assert await code_of(admin.rotate("2")) == 7307
    await deployment_of(world).learn()
    assert world.enclave._generations.current.generation == 2


async def test_the_number_of_generations_is_bounded(admin: Administrator, world: World) -> None:
    for number in range(1, limits.MAX_GENERATIONS):
        await admin.rotate(str(number))
    code, cause = await refused(admin.rotate(str(limits.MAX_GENERATIONS)))
    assert (code, cause) == (0, "too many cipher keys; clean up first")


async def test_another_enclave_learns_of_a_new_generation(admin: Administrator, world: World, pki_folder: Path) -> None:
    other = World(pki_folder)
    other.store, other.kms = world.store, world.kms
    await other.boot()
    theirs = accounts_of(other)
    await admin.rotate("1")
    person = Person(world)
    await person.log_in(ADA)
    assert other.enclave._generations.current.generation == 1
    account = await theirs.find_by_address(SCOPE, person.signer)
    with await other.enclave._shards.open(account.shards, account.owner) as key:
        assert len(key) == 32
    assert other.enclave._generations.current.generation == 2
    await other.stop()
