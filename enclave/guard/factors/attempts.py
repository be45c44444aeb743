"""How often somebody may be wrong about a factor that can be guessed (NIST SP 800-63B section 5.2.2, OT-02).

An attempt is counted, durably, before anything is compared, and a right one ends the count. The first few are free;
each further one has to wait twice as long as the one before it, a day at most; after a hundred in a row nothing but a
recovery code helps. Over a restart the count is only as fresh as the store, so it then starts where waiting starts.

What a guesser gets: three of a million codes of a TOTP are right at a time (the step before and after count), so
`MOST_IN_A_ROW` guesses succeed with 300 in a million, and take more than 80 days.
"""

from typing import Final

import msgspec

from enclave.errors import Refusal
from protocol import guard_errors

FREE_ATTEMPTS: Final = 3
FIRST_WAIT_S: Final = 60
LONGEST_WAIT_S: Final = 86_400
MOST_IN_A_ROW: Final = 100


class Attempts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wrong attempts in a row, one that is under way included, and when the next is looked at (Unix seconds)."""

    in_a_row: int = 0
    not_before_s: int = 0

    def counted(self, now_s: int) -> "Attempts":
        """With one more. `Refusal` RATE_LIMITED `guard:second-factor-wait` or `guard:second-factor-locked`."""
        if self.in_a_row >= MOST_IN_A_ROW:
            raise Refusal(guard_errors.RATE_LIMITED, "guard:second-factor-locked")
        if now_s < self.not_before_s:
            raise Refusal(guard_errors.RATE_LIMITED, "guard:second-factor-wait")
        made = self.in_a_row + 1
        return Attempts(made, now_s + _wait_s(made) if made >= FREE_ATTEMPTS else 0)

    def of_unknown_age(self, boot_s: int) -> "Attempts":
        """What to count from where a host may have brought back an older count by a restart at `boot_s`."""
        return Attempts(max(self.in_a_row, FREE_ATTEMPTS), max(self.not_before_s, boot_s + FIRST_WAIT_S))


def _wait_s(made: int) -> int:
    doublings = min(made - FREE_ATTEMPTS, 16)  # far above the longest wait
    return min(FIRST_WAIT_S << doublings, LONGEST_WAIT_S)
