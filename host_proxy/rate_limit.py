"""Token buckets by key, in a table that cannot grow and from which nobody can push anybody out (DO-02, DO-08).

Trust side: host. Only a bucket that has filled up again is forgotten, which changes nothing for its owner. While the
table is full of others, new keys share one bucket.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from protocol import limits


class TokenBuckets:
    """`rate` tokens a second for each key, at most `burst` saved up."""

    def __init__(
        self,
        *,
        rate: float,
        burst: float,
        max_keys: int = limits.MAX_RATE_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key: (tokens, at); longest unused first
        self._shared: tuple[float, float] = (burst, clock())

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str) -> float:
        """Takes one token: 0.0, or the seconds until there is one."""
        now = self._clock()
        level = self._levels.get(key)
        if level is not None:
            self._levels.move_to_end(key)
        elif not self._has_room(now):
            self._shared, wait_s = self._taken(self._shared, now)
            return wait_s
        self._levels[key], wait_s = self._taken(level or (self._burst, now), now)
        return wait_s

    def _taken(self, level: tuple[float, float], now: float) -> tuple[tuple[float, float], float]:
        tokens = min(self._burst, level[0] + (now - level[1]) * self._rate)
        if tokens >= 1:
            return (tokens - 1, now), 0.0
        return (tokens, now), (1 - tokens) / self._rate

    def _has_room(self, now: float) -> bool:
        if len(self._levels) < self._max_keys:
            return True
        oldest = next(iter(self._levels))
        if now - self._levels[oldest][1] < self._burst / self._rate:
            return False
        del self._levels[oldest]
        return True
