"""How many codes of digits an address gets in a day, counted durably before each is sent (RB-03, OT-02).

A code of digits can be guessed: three tries for each that was sent. This bounds how many are sent, over restarts and
over all workers, unless the host shows an older store after a restart; what bounds guesses then is the number of mails
that the mail server took. Long codes need no such bound.

A device key that has proven the address before has a count of its own, so strangers use up the strangers' only.
"""

from typing import Any, Final

from enclave.errors import Refusal
from enclave.records import Conflict, Records
from protocol.errors import BUSY, DATA_INTEGRITY_ERROR, USAGE_LIMIT_EXCEEDED

_DAY_S: Final = 86_400
_ROUNDS: Final = 8


class CodeBudget:
    """A sealed record for each scope and address, and for each known device besides: `[start in s, codes]`."""

    def __init__(self, records: Records, per_day: int) -> None:
        self._records = records
        self._per_day = per_day

    async def take(self, scope: str, address: str, known_device: str, now_s: int) -> None:
        """Count one code, durably. USAGE_LIMIT_EXCEEDED when the day's are used up; `known_device` may be empty."""
        key = self._records.key("code-budget", scope, address, known_device)
        for _ in range(_ROUNDS):
            [record] = await self._records.load(key)
            start_s, used = (now_s, 0) if record is None else _running(record.body, now_s)
            if used >= self._per_day:
                raise Refusal(USAGE_LIMIT_EXCEEDED)
            version = 0 if record is None else record.version
            try:
                return await self._records.save(self._records.change(key, version, [start_s, used + 1]))
            except Conflict:
                continue
        raise Refusal(BUSY)


def _running(body: Any, now_s: int) -> tuple[int, int]:
    """Start and count of the day that runs at `now_s`: the recorded one, or one that begins now."""
    match body:
        case [int(start_s), int(codes)]:
            return (start_s, codes) if now_s < start_s + _DAY_S else (now_s, 0)
    raise Refusal(DATA_INTEGRITY_ERROR)
