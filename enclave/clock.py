"""Time that may decide something: the guest's clock, compared with the NSM's (TI-01 to TI-05).

The host cannot move the guest's clock, but it can pause the guest, and clocks drift. So wall time is usable only
while it agrees with the timestamp of a recent attestation document and runs in step with the monotonic clock.
"""

from typing import Final

from enclave.errors import BootError, Refusal
from enclave.ports import Clock
from protocol import errors

CHECK_INTERVAL_MS: Final = 60_000
_MAX_UNCHECKED_MS: Final = 3 * CHECK_INTERVAL_MS


class TrustedClock:
    """Wall time under watch. `synchronize` is called at boot and every `CHECK_INTERVAL_MS`."""

    def __init__(self, clock: Clock, max_skew_ms: int) -> None:
        self._clock = clock
        self._max_skew_ms = max_skew_ms
        self._checked: tuple[int, int] | None = None

    def require_source(self, accepted: tuple[str, ...]) -> None:
        """Refuse the boot when the kernel's clock source is not an expected one (TI-02)."""
        if self._clock.source() not in accepted:
            raise BootError("clock-source", self._clock.source()[:32])

    def synchronize(self, before_ms: int, document_ms: int) -> None:
        """Compare with the timestamp of a document that was asked for at monotonic time `before_ms`.

        Outside the bound, everything that depends on time is refused until a later comparison agrees.
        """
        wall_ms, now_ms = self._clock.wall_ms(), self.monotonic_ms()
        slack_ms = self._max_skew_ms + max(0, now_ms - before_ms)
        self._checked = (wall_ms, now_ms) if abs(wall_ms - document_ms) <= slack_ms else None

    @property
    def trusted(self) -> bool:
        """Whether `now_ms` would answer."""
        try:
            self.now_ms()
        except Refusal:
            return False
        return True

    def monotonic_ms(self) -> int:
        """For time-outs and intervals; always available."""
        return self._clock.monotonic_ms()

    def now_ms(self) -> int:
        """Milliseconds since the epoch; CLOCK_UNTRUSTED when the clocks disagree or the last comparison is too old."""
        if self._checked is not None:
            checked_wall_ms, checked_ms = self._checked
            wall_ms, elapsed_ms = self._clock.wall_ms(), self._clock.monotonic_ms() - checked_ms
            in_step = abs(wall_ms - checked_wall_ms - elapsed_ms) <= self._max_skew_ms
            if in_step and elapsed_ms <= _MAX_UNCHECKED_MS:
                return wall_ms
        raise Refusal(errors.CLOCK_UNTRUSTED)

    def now_s(self) -> int:
        """Whole seconds since the epoch."""
        return self.now_ms() // 1000
