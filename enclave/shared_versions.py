"""The highest versions that any worker of an enclave has seen, in memory that they share (RB-01; ADR 0028).

What one worker has seen is a floor for all, and a record is written by one worker at a time: so whatever the host
routes where, and whatever a store agrees to, the workers are to it as one. The table is as large as it was made; a
record that finds no place is refused, because it could not be remembered.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from enclave.errors import Refusal
from enclave.shared_memory import WorkerLock, shared_words
from enclave.versions import Step, id_words
from protocol import errors

_PLACES: Final = 10_000  # that a worker keeps by itself
_WORDS: Final = 4  # two of the id, the version, and whether a write is under way


class SharedVersions:
    """`enclave.versions.Versions` of all workers. Made before they part.

    Readers take no lock. Words are read whole, an entry never moves, and a version is written after the id that it is
    of. Whoever reads while another writes may miss what that one has not yet told anybody.
    """

    shared: ClassVar[bool] = True

    def __init__(self, records: int) -> None:
        """Room for `records` of them: 43 bytes each."""
        slots = records * 4 // 3 + 1  # at most three quarters full
        self._most = records
        self._slots = slots
        self._end = slots * _WORDS
        self._words = shared_words(self._end + 1)  # the last one counts the entries
        self._lock = WorkerLock()
        self._places: dict[bytes, int] = {}  # of entries, which never move

    def __len__(self) -> int:
        """Records that are remembered."""
        return int(self._words[self._end])

    def floor(self, record_id: bytes) -> int:
        """See `Versions`."""
        return int(self._words[self._find(record_id) + 2])

    def rise(self, record_id: bytes, version: int) -> None:
        """See `Versions`. `Refusal` BUSY when no further record can be remembered."""
        if version > self.floor(record_id):
            with self._lock:
                self._rise(self._find_or_add(record_id), version)

    def claim(self, steps: Sequence[Step]) -> bool:
        """See `Versions`."""
        with self._lock:
            places = [self._find_or_add(step.record_id) for step in steps]
            if any(self._words[place + 3] for place in places):
                return False
            for place in places:
                self._words[place + 3] = 1
        return True

    def agree(self, steps: Sequence[Step]) -> bool:
        """See `Versions`. Nobody else has written one of these records since `claim`."""
        with self._lock:
            for step in steps:
                self._rise(self._find(step.record_id), step.version)
        return True

    def release(self, steps: Sequence[Step]) -> None:
        """See `Versions`."""
        for step in steps:
            self._words[self._find(step.record_id) + 3] = 0

    def _rise(self, place: int, version: int) -> None:
        if version > self._words[place + 2]:
            self._words[place + 2] = version

    def _find(self, record_id: bytes) -> int:
        """Where the entry is, or the free place for it."""
        if (known := self._places.get(record_id)) is not None:
            return known
        high, low = id_words(record_id)
        words = self._words
        place = low % self._slots * _WORDS
        while words[place] != high or words[place + 1] != low:
            if not words[place] and not words[place + 1]:
                return place
            place += _WORDS
            if place == self._end:
                place = 0
        if len(self._places) >= _PLACES:
            self._places.clear()
        self._places[record_id] = place
        return place

    def _find_or_add(self, record_id: bytes) -> int:
        """Under the lock."""
        place, words = self._find(record_id), self._words
        if not words[place] and not words[place + 1]:
            if words[self._end] >= self._most:
                raise Refusal(errors.BUSY)
            words[self._end] += 1
            words[place], words[place + 1] = id_words(record_id)
        return place
