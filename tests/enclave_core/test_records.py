"""Sealed records: no byte moves between two places, nothing older is believed (KM-10 to KM-12, RB-01, RB-02, LP-04)."""

import asyncio
import itertools
import os

import pytest

from enclave import sealing
from enclave.errors import Refusal
from enclave.records import Change, Conflict, Record, Records
from enclave.secret import Secret
from protocol import errors
from protocol.services import StoredRecord
from tests.appliance import MemoryStore


class Ticks:
    """Trusted time that moves on by one at each look; one series for all tests."""

    now = 0

    def __call__(self) -> int:
        Ticks.now += 1
        return Ticks.now


def new_records(store: MemoryStore, root: bytes = b"r" * 32, deployment: str = "test") -> Records:
    return Records(store, Secret.take(bytearray(root)), deployment, Ticks(), os.urandom)


async def saved(records: Records, *places: tuple[str, str], body: str = "body") -> list[Record]:
    changes = [records.change(records.key(table, name), 0, body) for table, name in places]
    await records.save(*changes)
    return [Record(change.key, change.version, change.body) for change in changes]


def changed(records: Records, record: Record, body: object) -> Change:
    return records.change(record.key, record.version, body)


async def refused(records: Records, *keys: object) -> errors.ErrorCode:
    with pytest.raises(Refusal) as caught:
        await records.load(*keys)  # type: ignore[arg-type]
    return caught.value.error


async def test_what_is_saved_is_loaded_with_its_version() -> None:
    records = new_records(MemoryStore())
    [record] = await saved(records, ("device", "a"))
    [loaded] = await records.load(record.key)
    assert loaded == record
    assert loaded is not None
    await records.save(changed(records, loaded, [1, b"x", None]))
    [again] = await records.load(record.key)
    assert again is not None
    assert again.version > loaded.version
    assert again.body == [1, b"x", None]


async def test_no_two_records_can_be_swapped_nor_a_version_renamed() -> None:
    store = MemoryStore()
    records = new_records(store)
    made = await saved(records, ("device", "a"), ("device", "b"), ("account", "a"), ("nonce", "a"))
    await records.save(changed(records, made[0], "newer"))
    honest = store.snapshot()
    for here, there in itertools.permutations(honest, 2):
        store.rows = dict(honest)
        moved = honest[there]
        store.rows[here] = StoredRecord(max(moved.version, honest[here].version), moved.value)
        key = next(record.key for record in made if (record.key.table, record.key.id) == here)
        assert await refused(records, key) is errors.DATA_INTEGRITY_ERROR
    store.rows = dict(honest)
    first_place = (made[0].key.table, made[0].key.id)
    store.rows[first_place] = StoredRecord(10**6, honest[first_place].value)
    assert await refused(records, made[0].key) is errors.DATA_INTEGRITY_ERROR


async def test_every_bit_flip_is_refused() -> None:
    store = MemoryStore()
    records = new_records(store)
    [record] = await saved(records, ("device", "a"))
    place = (record.key.table, record.key.id)
    value = store.rows[place].value
    for bit in range(len(value) * 8):
        flipped = bytearray(value)
        flipped[bit // 8] ^= 1 << bit % 8
        store.rows[place] = StoredRecord(record.version, bytes(flipped))
        assert await refused(records, record.key) is errors.DATA_INTEGRITY_ERROR
    for length in range(len(value)):
        store.rows[place] = StoredRecord(record.version, value[:length])
        assert await refused(records, record.key) is errors.DATA_INTEGRITY_ERROR


async def test_a_rolled_back_store_is_refused_as_stale() -> None:
    store = MemoryStore()
    records = new_records(store)
    [record] = await saved(records, ("device", "a"))
    old = store.snapshot()
    await records.save(changed(records, record, "revoked"))
    store.rows = old
    assert await refused(records, record.key) is errors.STALE_RECORD


async def test_a_branch_of_history_from_an_earlier_boot_is_older_than_what_this_boot_wrote() -> None:
    store = MemoryStore()
    earlier = new_records(store)
    [record] = await saved(earlier, ("nonce", "a"))
    start = store.snapshot()
    for body in ("2", "3", "4"):
        [record] = [r for r in await earlier.load(record.key) if r is not None]
        await earlier.save(changed(earlier, record, body))
    branch = store.snapshot()
    store.rows = start
    now = new_records(store)
    [record] = [r for r in await now.load(record.key) if r is not None]
    await now.save(changed(now, record, "2, again"))
    store.rows = branch
    assert await refused(now, record.key) is errors.STALE_RECORD


async def test_a_hidden_record_is_refused_as_stale_not_found_missing() -> None:
    store = MemoryStore()
    records = new_records(store)
    [record] = await saved(records, ("account", "a"))
    store.hidden = {"account"}
    assert await refused(records, record.key) is errors.STALE_RECORD


async def test_another_deployment_or_root_opens_nothing() -> None:
    store = MemoryStore()
    records = new_records(store)
    [record] = await saved(records, ("account", "a"))
    for stranger in (new_records(store, root=b"s" * 32), new_records(store, deployment="other")):
        assert stranger.key("account", "a") != record.key
        assert await refused(stranger, record.key) is errors.DATA_INTEGRITY_ERROR


async def test_of_two_writers_one_wins_and_the_other_writes_nothing() -> None:
    store = MemoryStore()
    one, other = new_records(store), new_records(store)
    key = one.key("account", "a")
    results = await asyncio.gather(
        one.save(one.change(key, 0, "one"), one.change(one.key("address", "1"), 0, "x")),
        other.save(other.change(key, 0, "other"), other.change(one.key("address", "2"), 0, "x")),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(Conflict) == 1
    assert len(store.rows) == 2


async def test_neither_keys_nor_values_show_an_address() -> None:
    store = MemoryStore()
    records = new_records(store)
    await saved(records, ("account", "Email:canary@example.com"), body="canary@example.com")
    dump = repr(store.rows)
    assert "canary" not in dump
    assert b"canary" not in b"".join(id_ + row.value for (_, id_), row in store.rows.items())


async def test_a_store_that_is_down_is_one_error() -> None:
    store = MemoryStore()
    records = new_records(store)
    [record] = await saved(records, ("account", "a"))
    store.down = True
    assert await refused(records, record.key) is errors.DATABASE_ERROR
    with pytest.raises(Refusal) as caught:
        await records.save(changed(records, record, "x"))
    assert caught.value.error is errors.DATABASE_ERROR


def test_every_write_has_a_fresh_nonce_and_each_purpose_its_own_key() -> None:
    with Secret.take(bytearray(b"k" * 32)) as key:
        nonces = {sealing.seal(key, b"same", ["aad"], os.urandom)[:12] for _ in range(100)}
        made = [sealing.derive(key, purpose, part) for purpose in "ab" for part in "cd"]
        derived = {bytes(secret.view) for secret in made}
    assert len(nonces) == 100
    assert len(derived) == 4
