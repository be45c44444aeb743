"""Where held requests lie: a sealed record for each, and one that lists them, written together or not at all.

The list is bounded: requests that can still be decided, and the newest of those that have ended.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from enclave.errors import Refusal
from enclave.guard.held import Held, read_held
from enclave.guard.limits import MAX_ENDED_REVIEWS, MAX_OPEN_NAMED, MAX_OPEN_OF_ONE, MAX_OPEN_REVIEWS
from enclave.guard.sign_request import SignRequest
from enclave.records import Change, Record, Records
from protocol import errors, guard_errors
from protocol.services import RecordKey

_TABLE: Final = "guard-review"


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the list. `asker` is who signed first; `named`: by the rules, the wallet; `ended`: refused, used."""

    key: RecordKey
    id: bytes
    asker: bytes
    expires_s: int
    named: bool = False
    ended: bool = False

    def open_at(self, now_s: int) -> bool:
        """Whether something can still come of it."""
        return not self.ended and now_s < self.expires_s


@dataclass(frozen=True, slots=True)
class Listed:
    """The list as it was read; `version` 0 where there is none yet."""

    version: int
    entries: tuple[Entry, ...]

    def find(self, id_: bytes) -> Entry | None:
        """The entry of a held request."""
        return next((entry for entry in self.entries if entry.id == id_), None)

    def added(self, entry: Entry, now_s: int) -> "Listed":
        """With one more, in the place of an earlier one of the same request. `Refusal` RATE_LIMITED if it is full.

        Wallets that the rules name have places of their own, which somebody who makes up wallets cannot take.
        """
        others = [known for known in self.entries if known.key != entry.key]
        waiting = [known for known in others if known.open_at(now_s)]
        of_one = sum(known.asker == entry.asker for known in waiting)
        alike = sum(known.named is entry.named for known in waiting)
        if alike >= (MAX_OPEN_NAMED if entry.named else MAX_OPEN_REVIEWS) or of_one >= MAX_OPEN_OF_ONE:
            raise Refusal(guard_errors.RATE_LIMITED, "guard:review-full")
        past = [known for known in others if not known.open_at(now_s)][-MAX_ENDED_REVIEWS:]
        return replace(self, entries=(*past, *waiting, entry))

    def with_ended(self, entry: Entry, *, ended: bool) -> "Listed":
        """With this entry ended, or open again."""
        changed = (replace(known, ended=ended) if known.id == entry.id else known for known in self.entries)
        return replace(self, entries=tuple(changed))


@dataclass(frozen=True, slots=True)
class Stored:
    """A held request as it was read, and where; version 0 and no `held` where there is none."""

    key: RecordKey
    version: int
    held: Held | None


class ReviewQueue:
    """Reads the list and its records, and makes the writes for both."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._list_key = records.key("guard-reviews")

    def key(self, request: SignRequest) -> RecordKey:
        """Where exactly this request, asked by exactly these accounts, is held."""
        return self._records.key(_TABLE, request.digest, request.wallet, str(request.chain_id), *request.cosigners)

    async def load(self, key: RecordKey) -> tuple[Listed, Stored]:
        """The list, and the record at `key`. `Refusal` where they cannot be read."""
        listed, held = await self._records.load(self._list_key, key)
        return _listed(listed), _stored(key, held)

    async def listed(self) -> Listed:
        """The list alone."""
        [record] = await self._records.load(self._list_key)
        return _listed(record)

    def write(self, stored: Stored, held: Held) -> Change:
        """The write of `held` in the place of what was read."""
        return self._records.change(stored.key, stored.version, held.body())

    def write_list(self, listed: Listed) -> Change:
        """The write of the list."""
        rows = [[e.key.id, e.id, e.asker, e.expires_s, e.named, e.ended] for e in listed.entries]
        return self._records.change(self._list_key, listed.version, rows)

    async def save(self, *changes: Change) -> None:
        """All or none; `Conflict` where somebody else was first."""
        await self._records.save(*changes)


def _listed(record: Record | None) -> Listed:
    if record is None:
        return Listed(0, ())
    if not isinstance(record.body, list):
        raise Refusal(errors.DATA_INTEGRITY_ERROR)
    return Listed(record.version, tuple(map(_entry, record.body)))


def _entry(row: Any) -> Entry:
    match row:
        case [bytes(place), bytes(id_), bytes(asker), int(expires_s), bool(named), bool(ended)]:
            return Entry(RecordKey(_TABLE, place), id_, asker, expires_s, named, ended)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _stored(key: RecordKey, record: Record | None) -> Stored:
    return Stored(key, 0, None) if record is None else Stored(key, record.version, read_held(record.body))
