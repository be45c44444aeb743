"""How many login mails may go out: per address, known device, scope and in total (OT-07), counted before sending.

A device key that has logged in as the owner of the address before has an allowance of its own, so a stranger who uses
up the address's allowance delays new devices for one window and nobody else (OT-11).
"""

from collections import Counter
from typing import Final, Protocol

from enclave.config import Limits
from enclave.errors import Refusal
from enclave.shared_counters import SharedCounters, Use
from protocol.errors import USAGE_LIMIT_EXCEEDED

_TRACKED: Final = 20_000


class MailCounter(Protocol):
    """Counts mails before they are sent."""

    def take(self, scope: str, address: str, known_device: str, now_ms: int) -> None:
        """Count one mail, or USAGE_LIMIT_EXCEEDED. `known_device` is empty for a device that proved nothing yet."""
        ...


class MailLimits:
    """`MailCounter` of one worker. Fixed windows on the monotonic clock, in bounded RAM."""

    def __init__(self, limits: Limits) -> None:
        self._per_address = limits.mails_per_address
        self._per_scope = limits.mails_per_scope
        self._total = limits.mails_total_per_window
        self._window_ms = limits.mails_window_s * 1000
        self._counts: dict[tuple[str, str, str], int] = {}
        self._window_start_ms: int | None = None
        self._by_scope: Counter[str] = Counter()

    def take(self, scope: str, address: str, known_device: str, now_ms: int) -> None:
        """See `MailCounter`."""
        if self._window_start_ms is None or now_ms - self._window_start_ms >= self._window_ms:
            self._window_start_ms = now_ms
            self._counts.clear()
            self._by_scope.clear()
        key = (scope, address, known_device)
        count = self._counts.get(key, 0)
        # A full table means a flood of addresses in one window: nobody's count is evicted for it (DO-08).
        if count >= self._per_address or len(self._counts) >= _TRACKED:
            raise Refusal(USAGE_LIMIT_EXCEEDED)
        if self._by_scope[scope] >= self._per_scope or self._by_scope.total() >= self._total:
            raise Refusal(USAGE_LIMIT_EXCEEDED)
        self._counts[key] = count + 1
        self._by_scope[scope] += 1


class SharedMailLimits:
    """`MailCounter` of all workers together. Windows begin with the first mail that they count."""

    def __init__(self, settings: Limits, counters: SharedCounters) -> None:
        self._settings = settings
        self._counters = counters

    def take(self, scope: str, address: str, known_device: str, now_ms: int) -> None:
        """See `MailCounter`."""
        settings, until_ms = self._settings, now_ms + self._settings.mails_window_s * 1000
        uses = [
            Use(("mail", scope, address, known_device), settings.mails_per_address, until_ms),
            Use(("mail", scope), settings.mails_per_scope, until_ms),
            Use(("mail",), settings.mails_total_per_window, until_ms),
        ]
        if not self._counters.take(uses, now_ms):
            raise Refusal(USAGE_LIMIT_EXCEEDED)


def mail_counter(settings: Limits, counters: SharedCounters | None) -> MailCounter:
    """What counts mails. `counters`: where other workers count, too."""
    return MailLimits(settings) if counters is None else SharedMailLimits(settings, counters)
