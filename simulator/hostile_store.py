"""A store in the hands of a hostile host: it rolls back, hides, swaps, forgets and clones (threats T6 and T7).

Trust side: simulator. `HostileStore` behaves until it is told otherwise: call `restore`, `hide`, `swap` or
`drop_writes` for one certain harm, or give it rates to harm at random from a seed (SM-04). `faults` says what it was.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from enclave.errors import StoreConflict
from enclave.ports import Store
from protocol.services import Page, RecordKey, StoredRecord, Write
from simulator.faults import Fault

Rows = Mapping[RecordKey, StoredRecord | None]
"""Records by key; None stands for one that is known not to exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRates:
    """How often a record that is read is an older one, hidden or another one, and a write forgotten; 0 to 1 each."""

    stale: float = 0.0
    hide: float = 0.0
    swap: float = 0.0
    drop: float = 0.0


CALM: Final = StoreRates()
HOSTILE: Final = StoreRates(stale=0.1, hide=0.05, swap=0.05, drop=0.05)


def page_of(rows: Rows, page: Page) -> list[bytes]:
    """A page of what `rows` holds."""
    ids = (key.id for key, row in rows.items() if row is not None and key.table == page.table and key.id > page.after)
    return sorted(ids)[: page.limit]


class MemoryStore:
    """Port `Store` in a dictionary: an honest store to put under a hostile one."""

    def __init__(self) -> None:
        self._rows: dict[RecordKey, StoredRecord | None] = {}

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        """Port `Store.get`."""
        return [self._rows.get(key) for key in keys]

    async def put(self, writes: Sequence[Write]) -> None:
        """Port `Store.put`."""
        _apply(self._rows, writes)

    async def ids(self, page: Page) -> list[bytes]:
        """Port `Store.ids`."""
        return page_of(self._rows, page)


class HostileStore:
    """Port `Store` over another one. Rows are taken from `inner` when first asked for, and then kept here."""

    def __init__(self, inner: Store, *, seed: int = 0, rates: StoreRates = CALM) -> None:
        self.seed = seed
        self.faults: list[Fault] = []
        self._inner = inner
        self._detached = False  # from the inner store: writes stay here
        self._rates = rates
        self._random = random.Random(seed)
        self._step = 0
        self._rows: dict[RecordKey, StoredRecord | None] = {}
        self._history: dict[RecordKey, list[StoredRecord]] = {}
        self._hidden: set[RecordKey] = set()
        self._swapped: dict[RecordKey, RecordKey] = {}
        self._writes_to_drop = 0

    def snapshot(self) -> Rows:
        """The rows seen so far, for `restore`."""
        return MappingProxyType(dict(self._rows))

    def restore(self, snapshot: Rows) -> None:
        """Go back to `snapshot`; what was made since does not exist. From here on nothing reaches the inner store."""
        self._rows = dict.fromkeys(self._rows) | dict(snapshot)
        self._detached = True
        self._note("restore", f"{len(snapshot)} rows")

    def clone(self, *, seed: int | None = None) -> "HostileStore":
        """A second store with the same rows and a life of its own: what two instances of one image are given."""
        other = HostileStore(self._inner, seed=self.seed if seed is None else seed, rates=self._rates)
        other._detached = True
        other._rows = dict(self._rows)
        other._history = {key: list(records) for key, records in self._history.items()}
        self._note("clone", f"{len(self._rows)} rows")
        return other

    def hide(self, key: RecordKey) -> None:
        """Answer reads of `key` with "not found". Conditional writes still see it."""
        self._hidden.add(key)
        self._note("hide", key.table)

    def show(self, key: RecordKey) -> None:
        """End `hide`."""
        self._hidden.discard(key)

    def swap(self, one: RecordKey, other: RecordKey) -> None:
        """Answer reads of either key with the record of the other."""
        self._swapped |= {one: other, other: one}
        self._note("swap", one.table)

    def drop_writes(self, count: int) -> None:
        """Say yes to the next `count` writes that would succeed, and forget them."""
        self._writes_to_drop += count

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        """Port `Store.get`, answered as the host pleases."""
        self._step += 1
        await self._load([*keys, *(self._swapped[key] for key in keys if key in self._swapped)])
        return [self._answer(key) for key in keys]

    async def ids(self, page: Page) -> list[bytes]:
        """Port `Store.ids`: what was rolled back is listed as it was, and what is hidden is left out."""
        self._step += 1
        if not self._detached:
            await self._load([RecordKey(page.table, id_) for id_ in await self._inner.ids(page)])
        return page_of({key: row for key, row in self._rows.items() if key not in self._hidden}, page)

    async def put(self, writes: Sequence[Write]) -> None:
        """Port `Store.put`: conflicts are honest, success may be a lie."""
        self._step += 1
        await self._load([write.key for write in writes])
        after = dict(self._rows)
        _apply(after, writes)
        if self._writes_to_drop or self._strikes(self._rates.drop):
            self._writes_to_drop = max(0, self._writes_to_drop - 1)
            self._note("drop", writes[0].key.table)
            return
        if not self._detached:
            await self._inner.put(writes)
        self._rows = after
        self._remember([write.key for write in writes])

    async def _load(self, keys: Sequence[RecordKey]) -> None:
        missing = [key for key in dict.fromkeys(keys) if key not in self._rows]
        if missing:
            self._rows |= dict(zip(missing, await self._inner.get(missing), strict=True))
            self._remember(missing)

    def _remember(self, keys: Sequence[RecordKey]) -> None:
        for key in keys:
            record = self._rows[key]
            if record is not None:
                self._history.setdefault(key, []).append(record)

    def _answer(self, key: RecordKey) -> StoredRecord | None:
        if key in self._hidden:
            return None
        record = self._rows[self._swapped.get(key, key)]
        older = self._history.get(key, [])[:-1]
        others = [other for other in self._history if other.table == key.table and other != key]
        if older and self._strikes(self._rates.stale):
            self._note("stale", key.table)
            return self._random.choice(older)
        if record is not None and self._strikes(self._rates.hide):
            self._note("hide", key.table)
            return None
        if others and self._strikes(self._rates.swap):
            self._note("swap", key.table)
            return self._rows[self._random.choice(others)]
        return record

    def _strikes(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate

    def _note(self, kind: str, subject: str) -> None:
        self.faults.append(Fault(self._step, kind, subject))


def _apply(rows: dict[RecordKey, StoredRecord | None], writes: Sequence[Write]) -> None:
    """All of `writes` or, when a version is not the expected one, none: `StoreConflict`."""
    for write in writes:
        record = rows.get(write.key)
        if (record.version if record else 0) != write.expected_version:
            raise StoreConflict
    rows |= {write.key: StoredRecord(write.new_version, write.value) for write in writes}
