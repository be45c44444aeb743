"""The highest version seen of each record in this boot: a few dozen bytes a record, whatever the host makes us see.

Every record that is read or written is remembered until the boot ends (RB-01), so this is the one table that grows with
the number of users. A dictionary would take some 150 bytes an entry. Record ids are keyed hashes, so the host cannot
choose where an entry lands, nor find two that share 128 bits.
"""

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

_SHARDS: Final = 1024
"""Each grows by itself, so growing never takes more than a few milliseconds."""
_FIRST_SLOTS: Final = 8
_WORDS: Final = 3  # two of the id, one of the version
_ID_BYTES: Final = 16
_TURN_S: Final = 0.001


class Step(NamedTuple):
    """A conditional write of one record: `version` in the place of `expected` (0: of none)."""

    record_id: bytes
    expected: int
    version: int


class Versions(Protocol):
    """Floors that only rise. Ids are uniform and of at least 16 bytes; versions are from 1 to 2^64 - 1."""

    shared: ClassVar[bool]
    """Whether other workers see and write them, too."""

    def floor(self, record_id: bytes) -> int:
        """The highest version seen of this record; 0 when it has not been seen."""
        ...

    def rise(self, record_id: bytes, version: int) -> None:
        """Remember that `version` was seen; a lower one than before changes nothing."""
        ...

    def claim(self, steps: Sequence[Step]) -> bool:
        """Before the store is asked: False while another worker is writing one of these records, and then nothing was
        claimed; else `release` them, whatever comes of it. `Refusal` BUSY when no further record can be remembered.
        """
        ...

    def agree(self, steps: Sequence[Step]) -> bool:
        """Once the store has agreed: whether it has agreed to no other write in the place of the same versions; then
        these are seen, all of them.
        """
        ...

    def release(self, steps: Sequence[Step]) -> None:
        """The end of what was claimed."""
        ...


@dataclass(slots=True)
class _Writing:
    """Writes of one record under way, and the highest version in whose place one of them was written."""

    count: int = 0
    replaced: int = -1


class _Shard:
    """Open addressing with linear probing over one array of words; at most three quarters full."""

    __slots__ = ("_count", "_mask", "_words")

    def __init__(self) -> None:
        self._count = 0
        self._mask = _FIRST_SLOTS - 1
        self._words = array("Q", bytes(8 * _WORDS * _FIRST_SLOTS))

    def __len__(self) -> int:
        """Words that it holds, used or free."""
        return len(self._words)

    def get(self, high: int, low: int) -> int:
        return self._words[self._slot(high, low) + 2]

    def put(self, high: int, low: int, version: int) -> None:
        slot = self._slot(high, low)
        words = self._words
        if not words[slot + 2]:
            self._count += 1
        words[slot], words[slot + 1], words[slot + 2] = high, low, version
        if self._count * 4 > (self._mask + 1) * 3:
            self._grow()

    def _slot(self, high: int, low: int) -> int:
        """Where the entry is, or the free place for it."""
        words, mask = self._words, self._mask
        place = low & mask
        while True:
            slot = place * _WORDS
            if not words[slot + 2] or (words[slot] == high and words[slot + 1] == low):
                return slot
            place = (place + 1) & mask

    def _grow(self) -> None:
        old = self._words
        self._count, self._mask = 0, 2 * self._mask + 1
        self._words = array("Q", bytes(8 * _WORDS * (self._mask + 1)))
        for slot in range(0, len(old), _WORDS):
            if old[slot + 2]:
                self.put(old[slot], old[slot + 1], old[slot + 2])


class SeenVersions:
    """`Versions` of one worker, as many as it sees."""

    shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self._shards = tuple(_Shard() for _ in range(_SHARDS))
        self._writing: dict[bytes, _Writing] = {}

    @property
    def size_bytes(self) -> int:
        """Memory of the entries and of the free places between them."""
        return sum(len(shard) for shard in self._shards) * 8

    def floor(self, record_id: bytes) -> int:
        """See `Versions`."""
        high, low = id_words(record_id)
        return self._shards[high % _SHARDS].get(high, low)

    def rise(self, record_id: bytes, version: int) -> None:
        """See `Versions`."""
        high, low = id_words(record_id)
        shard = self._shards[high % _SHARDS]
        if version > shard.get(high, low):
            shard.put(high, low, version)

    def claim(self, steps: Sequence[Step]) -> bool:
        """See `Versions`. There is no other worker, and writes of one record go to the store side by side."""
        for step in steps:
            place = self._writing.get(step.record_id)
            if place is None:
                place = self._writing[step.record_id] = _Writing()
            place.count += 1
        return True

    def agree(self, steps: Sequence[Step]) -> bool:
        """See `Versions`."""
        if any(self._writing[step.record_id].replaced >= step.expected for step in steps):
            return False
        for step in steps:
            self._writing[step.record_id].replaced = step.expected
            self.rise(step.record_id, step.version)
        return True

    def release(self, steps: Sequence[Step]) -> None:
        """See `Versions`. What writes under way have in common is forgotten with the last of them."""
        for step in steps:
            place = self._writing[step.record_id]
            place.count -= 1
            if not place.count:
                del self._writing[step.record_id]


async def claim(versions: Versions, steps: Sequence[Step]) -> None:
    """`Versions.claim`, once the worker that is writing one of these records has ended; its deadline sees to that."""
    while not versions.claim(steps):  # noqa: ASYNC110  no event of another process wakes this loop
        await asyncio.sleep(_TURN_S)


def id_words(record_id: bytes) -> tuple[int, int]:
    """The first 128 bits of an id as two words."""
    return int.from_bytes(record_id[:8], "little"), int.from_bytes(record_id[8:_ID_BYTES], "little")
