"""Each lie of the hostile store on its own, and a defect that only a lying store brings to light (SM-04)."""

import pytest

from enclave.errors import StoreConflict
from enclave.ports import Store
from protocol.services import RecordKey, StoredRecord, Write
from simulator.faults import naming_seed
from simulator.hostile_store import HOSTILE, HostileStore, MemoryStore, StoreRates

_A, _B = (RecordKey("wallets", bytes([number]) * 32) for number in (1, 2))


async def _write(store: Store, key: RecordKey, version: int, value: bytes) -> None:
    await store.put([Write(key, version - 1, version, value)])


async def _value(store: Store, key: RecordKey) -> bytes | None:
    (record,) = await store.get([key])
    return record.value if record else None


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(inner: MemoryStore) -> HostileStore:
    return HostileStore(inner)


async def test_calm_store_is_the_inner_store(store: HostileStore, inner: MemoryStore) -> None:
    await _write(inner, _A, 1, b"before")
    assert await store.get([_B, _A]) == [None, StoredRecord(1, b"before")]
    await _write(store, _A, 2, b"after")
    assert await _value(inner, _A) == b"after"
    assert store.faults == []


async def test_conditional_writes_happen_together_or_not_at_all(store: HostileStore, inner: MemoryStore) -> None:
    await _write(store, _A, 1, b"a")
    for honest in (store, inner):
        with pytest.raises(StoreConflict):
            await honest.put([Write(_B, 0, 1, b"b"), Write(_A, 0, 1, b"again")])
        assert await honest.get([_A, _B]) == [StoredRecord(1, b"a"), None]


async def test_rolled_back_store_shows_the_past_and_goes_on_from_there(store: HostileStore, inner: MemoryStore) -> None:
    await _write(store, _A, 1, b"old")
    past = store.snapshot()
    await _write(store, _A, 2, b"new")
    await _write(store, _B, 1, b"made since")
    store.restore(past)
    assert (await _value(store, _A), await _value(store, _B)) == (b"old", None)
    with pytest.raises(StoreConflict):
        await _write(store, _A, 3, b"x")
    await _write(store, _A, 2, b"another present")
    assert await _value(store, _A) == b"another present"
    assert await _value(inner, _A) == b"new"


async def test_hidden_row_is_not_found_but_cannot_be_made_again(store: HostileStore) -> None:
    await _write(store, _A, 1, b"a")
    store.hide(_A)
    assert await _value(store, _A) is None
    with pytest.raises(StoreConflict):
        await _write(store, _A, 1, b"again")
    store.show(_A)
    assert await _value(store, _A) == b"a"


async def test_swapped_rows_answer_for_each_other(store: HostileStore) -> None:
    await _write(store, _A, 1, b"a")
    await _write(store, _B, 1, b"b")
    store.swap(_A, _B)
    assert [await _value(store, key) for key in (_A, _B)] == [b"b", b"a"]


async def test_dropped_write_looks_like_success(store: HostileStore) -> None:
    await _write(store, _A, 1, b"a")
    store.drop_writes(1)
    await _write(store, _A, 2, b"forgotten")
    assert await _value(store, _A) == b"a"
    await _write(store, _A, 2, b"kept")
    assert await _value(store, _A) == b"kept"


async def test_clones_go_separate_ways(store: HostileStore, inner: MemoryStore) -> None:
    await _write(store, _A, 1, b"common")
    clone = store.clone()
    await _write(store, _A, 2, b"one way")
    await _write(clone, _A, 2, b"the other")
    assert [await _value(each, _A) for each in (store, clone, inner)] == [b"one way", b"the other", b"one way"]


@pytest.mark.parametrize(
    ("rates", "kind"),
    [
        (StoreRates(stale=1.0), "stale"),
        (StoreRates(hide=1.0), "hide"),
        (StoreRates(swap=1.0), "swap"),
        (StoreRates(drop=1.0), "drop"),
    ],
)
async def test_every_rate_does_its_harm(inner: MemoryStore, rates: StoreRates, kind: str) -> None:
    store = HostileStore(inner, rates=rates)
    await _write(inner, _A, 1, b"a1")
    await _write(inner, _B, 1, b"b1")
    await store.get([_A, _B])
    await _write(store, _A, 2, b"a2")
    seen = await _value(store, _A)
    assert seen == {"stale": b"a1", "hide": None, "swap": b"b1", "drop": b"a1"}[kind]
    assert kind in {fault.kind for fault in store.faults}


async def test_same_seed_does_the_same_harm() -> None:
    async def run(seed: int) -> tuple[list[bytes | None], list[object]]:
        store = HostileStore(MemoryStore(), seed=seed, rates=HOSTILE)
        seen = []
        for version in range(1, 30):
            try:
                await _write(store, _A, version, b"%d" % version)
            except StoreConflict:
                break
            seen.append(await _value(store, _A))
        return seen, list(store.faults)

    assert await run(7) == await run(7)
    assert len({str(await run(seed)) for seed in range(5)}) > 1


class _Spender:
    """Spends a budget of five that is kept in the store. The planted defect: it believes any version it is shown."""

    def __init__(self, store: Store, *, defective: bool) -> None:
        self._store = store
        self._defective = defective
        self._seen = 0
        self.spent = 0

    async def spend(self) -> None:
        (record,) = await self._store.get([_A])
        version, used = (record.version, int(record.value)) if record else (0, 0)
        if not self._defective and version < self._seen:
            return
        if used >= 5:
            return
        try:
            await self._store.put([Write(_A, version, version + 1, b"%d" % (used + 1))])
        except StoreConflict:
            return
        self._seen = version + 1
        self.spent += 1


async def _trial(seed: int, *, defective: bool) -> None:
    store = HostileStore(MemoryStore(), seed=seed, rates=StoreRates(stale=0.2, hide=0.1))
    spender = _Spender(store, defective=defective)
    past = store.snapshot()
    with naming_seed(seed):
        for turn in range(20):
            await spender.spend()
            if turn == seed % 20:
                store.restore(past)
        assert spender.spent <= 5, "more was spent than the budget"


async def test_careful_spender_survives_every_seed() -> None:
    for seed in range(100):
        await _trial(seed, defective=False)


async def test_planted_defect_is_found_and_found_again_with_its_seed() -> None:
    async def failure(seed: int) -> list[str]:
        try:
            await _trial(seed, defective=True)
        except AssertionError as error:
            return error.__notes__
        return []

    found = [seed for seed in range(20) if await failure(seed)]
    assert found
    assert await failure(found[0]) == [f"replay with seed {found[0]}"]
