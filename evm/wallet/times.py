"""Moments and durations of chains, in words."""

from datetime import UTC, datetime
from typing import Final

_LAST_S: Final = 253_402_300_799  # the end of the year 9999, where the calendar of the standard library stops
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def moment(time_s: int) -> str:
    """A Unix time, in UTC: `2025-09-16 17:01:58 UTC`."""
    if time_s > _LAST_S:
        return f"the year 9999 and beyond (Unix time {time_s})"
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: int) -> str:
    """A duration, exact: `30 days`, `1 day 2 hours 1 second`."""
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'s' * (count > 1)}")
    return " ".join(parts) or "no time at all"
