"""Request nonces: strictly rising for each device key, durable before what they guard (SE-02, SE-03, RB-03, RB-05).

The highest nonce has a sealed record of its own, apart from the login, so it survives a new login. A nonce is spent
in RAM before anything is signed, and in the store before a signature leaves; whatever fails after that, it stays spent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from enclave.begun import Begun
from enclave.errors import Refusal
from enclave.records import Change, Conflict, Records
from protocol import errors
from protocol.services import RecordKey

T = TypeVar("T")

_CACHED_NONCES: Final = 50_000
_WINDOW_MS: Final = 60_000
_TRIES: Final = 4
_BUSY: Final = 4  # writes under way


@dataclass(slots=True)
class _Entry:
    """What this boot knows of one device key: stored version and nonce, and the uses in the current minute."""

    key: RecordKey
    version: int = -1  # not loaded
    last: int = -1
    window_start_ms: int = 0
    uses: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Spend(msgspec.Struct, frozen=True):
    """A nonce, the highest before it, and the write that makes it durable."""

    nonce: int
    before: int
    write: Change


class Nonces:
    """Consumes nonces and counts uses."""

    def __init__(self, records: Records, uses_per_minute: int) -> None:
        self._records = records
        self._uses_per_minute = uses_per_minute
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()  # by scope and auth key
        self._saving = 0

    async def consume(self, scope: str, auth_key: str, nonce: int, now_ms: int) -> None:
        """Spend `nonce` durably. PRECONDITION_FAILED unless it is the highest so far, USAGE_LIMIT_EXCEEDED when the
        key has used up its minute (the nonce is then not spent). `now_ms` is monotonic.
        """
        entry = self._entry(scope, auth_key)
        async with entry.lock:
            await self._save(entry, await self._begin(entry, nonce, now_ms), now_ms)

    async def consume_while(
        self, scope: str, auth_key: str, nonce: int, now_ms: int, make: Callable[[], Awaitable[T]]
    ) -> T:
        """`consume`, and what `make` makes meanwhile: it goes nowhere unless the nonce is durable (ADR 26).

        Nothing is made for a nonce that is refused. While many others wait for the store there is no time to gain, and
        it is made after the write: so the store has work while the enclave has.
        """
        entry = self._entry(scope, auth_key)
        async with entry.lock:
            saved = self._save(entry, await self._begin(entry, nonce, now_ms), now_ms)
            if self._saving >= _BUSY:
                await saved
                return await make()
            saving = Begun(saved)
            try:
                return await make()
            finally:
                await saving

    async def _begin(self, entry: _Entry, nonce: int, now_ms: int) -> _Spend:
        """Check and count. From here on the nonce is spent in RAM, until the store has said no."""
        if entry.version < 0:
            await self._load(entry)
        if nonce <= entry.last:
            raise Refusal(errors.PRECONDITION_FAILED)
        self._require_use_left(entry, now_ms)
        spend = _Spend(nonce, entry.last, self._records.change(entry.key, entry.version, nonce.to_bytes(32, "big")))
        # An answer that never comes leaves it spent.
        entry.version, entry.last, entry.uses = -1, nonce, entry.uses + 1
        return spend

    async def _save(self, entry: _Entry, spend: _Spend, now_ms: int) -> None:
        self._saving += 1
        try:
            for again in range(_TRIES):
                if again:
                    spend = await self._begin(entry, spend.nonce, now_ms)
                try:
                    await self._records.save(spend.write)
                except Conflict:
                    entry.last, entry.uses = spend.before, entry.uses - 1
                else:
                    entry.version = spend.write.version
                    return
            raise Refusal(errors.BUSY)
        finally:
            self._saving -= 1

    async def _load(self, entry: _Entry) -> None:
        [record] = await self._records.load(entry.key)
        if record is None:
            entry.version = 0
            return
        if type(record.body) is not bytes or len(record.body) != 32:
            raise Refusal(errors.DATA_INTEGRITY_ERROR)
        entry.version, entry.last = record.version, max(entry.last, int.from_bytes(record.body, "big"))

    def _require_use_left(self, entry: _Entry, now_ms: int) -> None:
        if now_ms - entry.window_start_ms >= _WINDOW_MS:
            entry.window_start_ms, entry.uses = now_ms, 0
        if entry.uses >= self._uses_per_minute:
            raise Refusal(errors.USAGE_LIMIT_EXCEEDED)

    def _entry(self, scope: str, auth_key: str) -> _Entry:
        name = scope, auth_key
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry(self._records.key("nonce", scope, auth_key))
            if len(self._entries) > _CACHED_NONCES:
                self._forget_oldest_idle()
        self._entries.move_to_end(name)
        return entry

    def _forget_oldest_idle(self) -> None:
        idle = next((name for name, entry in self._entries.items() if not entry.lock.locked()), None)
        if idle is not None:
            del self._entries[idle]
