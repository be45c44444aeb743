"""Counts that run out, in memory that the workers of an enclave share (OT-07, DO-08; ADR 0028).

A bounded table of rows: a name, until when it counts, and how much. Names are hashed under a key of this boot, so that
nobody outside chooses which of them share a bucket. A bucket that is full of running counts takes no further name: what
cannot be counted is refused.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from enclave.shared_memory import WorkerLock, shared_words

_WORDS: Final = 4  # two of the name, until when in monotonic milliseconds, and the count
_ROWS: Final = 16  # of a bucket
_BUCKETS: Final = 2048

Name = tuple[str, ...]


class Use(NamedTuple):
    """One more under `name`, of at most `most` until `until_ms`, or until an earlier count of that name runs out."""

    name: Name
    most: int
    until_ms: int


class SharedCounters:
    """Made before the workers part, with 32 bytes that nobody outside knows. Takes 1 MiB."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._words = shared_words(_BUCKETS * _ROWS * _WORDS)
        self._lock = WorkerLock()

    def take(self, uses: Sequence[Use], now_ms: int) -> bool:
        """Count all of `uses`, whose names differ, or none of them if one is not left."""
        found: dict[int, Use] = {}
        with self._lock:
            for use in uses:
                place = self._place(self._hashed(use.name), now_ms, found)
                if place is None or (self._runs(place, now_ms) and self._words[place + 3] >= use.most):
                    return False
                found[place] = use
            for place, use in found.items():
                if self._runs(place, now_ms):
                    self._words[place + 3] += 1
                else:
                    first, second = self._hashed(use.name)
                    self._words[place], self._words[place + 1] = first, second
                    self._words[place + 2], self._words[place + 3] = use.until_ms, 1
        return True

    def give_back(self, use: Use) -> None:
        """Forget a use of a name of which there is one at most, if it is that one which counts."""
        hashed = self._hashed(use.name)
        with self._lock:
            for place in self._bucket(hashed):
                row = self._words[place], self._words[place + 1], self._words[place + 2]
                if row == (*hashed, use.until_ms):
                    self._words[place + 2] = 0

    def _place(self, hashed: tuple[int, int], now_ms: int, taken: Collection[int]) -> int | None:
        """The row of a name, or else one that has run out and is not taken; None where there is neither."""
        free = None
        for place in self._bucket(hashed):
            if (self._words[place], self._words[place + 1]) == hashed:
                return place
            if free is None and place not in taken and not self._runs(place, now_ms):
                free = place
        return free

    def _runs(self, place: int, now_ms: int) -> bool:
        return bool(self._words[place + 2] > now_ms)

    def _bucket(self, hashed: tuple[int, int]) -> range:
        first = hashed[0] % _BUCKETS * _ROWS * _WORDS
        return range(first, first + _ROWS * _WORDS, _WORDS)

    def _hashed(self, name: Name) -> tuple[int, int]:
        digest = hashlib.blake2b(repr(name).encode(), digest_size=16, key=self._key).digest()
        return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
