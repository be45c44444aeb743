"""What has been drawn from one budget by one subject, as a value: entries with a time, an amount and an id.

An entry counts until its time is as old as the window: a spending counts from the present for the window's length, an
authority until its end, which lies ahead, with a window of nothing. The sum is exact as long as the entries are kept
apart. There are at most `MAX_LEDGER_ENTRIES`; the oldest are merged into the next, which ends later: so the sum is
never less than what was drawn.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from protocol.limits import MAX_LEDGER_ENTRIES

ID_BYTES: Final = 16
_TIME_BYTES: Final = 8
_AMOUNT_BYTES: Final = 72  # the largest amount that a budget can name has 515 bits
_ENTRY_BYTES: Final = _TIME_BYTES + ID_BYTES + _AMOUNT_BYTES


@dataclass(frozen=True, slots=True)
class Entry:
    """A draw. `id` is empty where entries were merged: those cannot be given back."""

    time_s: int
    amount: int
    id: bytes = b""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Entries in the order of their times. `window_s` None: the budget is for one request, and nothing is kept."""

    entries: tuple[Entry, ...] = ()

    def spent(self, now_s: int, window_s: int | None) -> int:
        """What counts at `now_s`: everything that is younger than the window, and what lies in the future."""
        if window_s is None:
            return 0
        return sum(entry.amount for entry in self.entries if entry.time_s > now_s - window_s)

    def drawn(self, now_s: int, window_s: int, entry: Entry) -> "Ledger":
        """With one more entry; without those that the window has passed."""
        kept = [old for old in self.entries if old.time_s > now_s - window_s]
        kept.append(entry)
        kept.sort(key=lambda entry: entry.time_s)
        while len(kept) > MAX_LEDGER_ENTRIES:
            first, second, *rest = kept
            kept = [Entry(second.time_s, first.amount + second.amount), *rest]
        return Ledger(tuple(kept))

    def holds(self, id_: bytes) -> bool:
        """Whether there is an entry of this id by itself."""
        return any(entry.id == id_ for entry in self.entries)

    def released(self, id_: bytes) -> "Ledger":
        """Without the entry of this id, if it is still there by itself."""
        return Ledger(tuple(entry for entry in self.entries if not id_ or entry.id != id_))

    def body(self) -> bytes:
        """What a record keeps: time, id and amount of each entry, of fixed width."""
        return b"".join(
            entry.time_s.to_bytes(_TIME_BYTES, "big")
            + entry.id.rjust(ID_BYTES, b"\0")
            + entry.amount.to_bytes(_AMOUNT_BYTES, "big")
            for entry in self.entries
        )


def parse_ledger(body: object) -> Ledger:
    """The ledger in a record's body; `ValueError` if it has another form."""
    if not isinstance(body, bytes) or len(body) % _ENTRY_BYTES or len(body) > MAX_LEDGER_ENTRIES * _ENTRY_BYTES:
        raise ValueError("ledger")
    return _parse(body)


@lru_cache(maxsize=64)  # a budget that is used up is read by every request that it refuses
def _parse(body: bytes) -> Ledger:
    return Ledger(tuple([_entry(body[at : at + _ENTRY_BYTES]) for at in range(0, len(body), _ENTRY_BYTES)]))


def _entry(packed: bytes) -> Entry:
    id_ = packed[_TIME_BYTES : _TIME_BYTES + ID_BYTES]
    return Entry(
        int.from_bytes(packed[:_TIME_BYTES], "big"),
        int.from_bytes(packed[_TIME_BYTES + ID_BYTES :], "big"),
        id_ if any(id_) else b"",
    )
