"""Sealed, versioned records over the store port (design section 8; KM-10, RB-01 to RB-03).

Each record is sealed under a key of its own with table, id and version in the AAD, so bytes moved between any two
records or versions do not open. The highest version seen of each record is remembered for this boot: an older one, or
none, is refused as stale. Writes are conditional on the version read, durable on return, and all or nothing.

A version is the trusted time of its write in milliseconds, or one more than the version that it replaces. So whatever
this boot has written is newer than everything that an earlier boot wrote, on any branch of history that the host kept.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from enclave import sealing
from enclave.errors import Refusal, StoreConflict, StoreError
from enclave.ports import Store
from enclave.secret import Secret
from enclave.versions import SeenVersions, Step, Versions, claim
from protocol import cbor, errors, limits
from protocol.errors import ProtocolError
from protocol.services import RecordKey, StoredRecord, Write

_FORMAT: Final = "chancery/record/1"
_READS: Final = 8  # of one record while this enclave keeps writing it


class Record(msgspec.Struct, frozen=True):
    """An opened record: its place, the version that it has in the store, and its plain body."""

    key: RecordKey
    version: int
    body: Any


class Change(msgspec.Struct, frozen=True):
    """A write: `body` as `version`, if the store still has `expected` (0: no record)."""

    key: RecordKey
    expected: int
    version: int
    body: Any


class Conflict(Exception):
    """Somebody else wrote one of the records first. Load again and decide anew."""


class Records:
    """Opens and seals everything that is stored. One instance a worker; it holds the record and index keys."""

    def __init__(
        self,
        store: Store,
        root: Secret,
        deployment: str,
        now_ms: Callable[[], int],
        random: Callable[[int], bytes],
        versions: Versions | None = None,
    ) -> None:
        """`root` is the deployment's record secret (32 bytes); the caller keeps it and may wipe it after this.

        `now_ms` is trusted wall time; it refuses when there is none, and then nothing is written. `versions`: of which
        records which has been seen in this boot; its own, if none are given.
        """
        self._store = store
        self._deployment = deployment
        self._now_ms = now_ms
        self._random = random
        self._seal_key = sealing.derive(root, "chancery/record-seal/1", deployment)
        self._index_key = sealing.derive(root, "chancery/record-index/1", deployment)
        self._seen: Versions = SeenVersions() if versions is None else versions

    def key(self, table: str, *parts: str | bytes) -> RecordKey:
        """Where the record of `parts` lies: a keyed hash, so that the store learns no address or subject (LP-04)."""
        return RecordKey(table, sealing.keyed_hash(self._index_key, table, *parts))

    def salt(self, key: RecordKey) -> bytes:
        """16 bytes that belong to a record and nobody can compute outside: the salt of its identity hash."""
        return sealing.keyed_hash(self._index_key, "salt", key.table, key.id)[:16]

    async def load(self, *keys: RecordKey) -> list[Record | None]:
        """The current records, in order. `Refusal` STALE_RECORD, DATA_INTEGRITY_ERROR or DATABASE_ERROR.

        A read that a write of this enclave overtook is read again; one that is older than what was known before it was
        asked for is stale.
        """
        for _ in range(_READS):
            known = [self._seen.floor(key.id) for key in keys]
            try:
                found = await self._store.get(keys)
            except StoreError:
                raise Refusal(errors.DATABASE_ERROR) from None
            versions = [0 if stored is None else stored.version for stored in found]
            if any(version < floor for version, floor in zip(versions, known, strict=True)):
                raise Refusal(errors.STALE_RECORD)
            if all(version >= self._seen.floor(key.id) for key, version in zip(keys, versions, strict=True)):
                return [self._take(key, stored) for key, stored in zip(keys, found, strict=True)]
        raise Refusal(errors.BUSY)

    def now_s(self) -> int:
        """Trusted time in seconds. `Refusal` CLOCK_UNTRUSTED."""
        return self._now_ms() // 1000

    def is_current(self, key: RecordKey, version: int) -> bool:
        """Whether a record that this worker has kept may still be used: its own changes drop it, and other workers'
        show in the versions that all have seen.
        """
        return not self._seen.shared or version >= self._seen.floor(key.id)

    def is_latest(self, key: RecordKey, version: int) -> bool:
        """Whether this boot has seen nothing newer of a record."""
        return version >= self._seen.floor(key.id)

    def next_version(self, expected: int) -> int:
        """The version of a write that replaces version `expected` (0: none). `Refusal` CLOCK_UNTRUSTED."""
        return max(expected + 1, self._now_ms())

    def change(self, key: RecordKey, expected: int, body: Any) -> Change:
        """The write of `body` in the place of version `expected`."""
        return Change(key, expected, self.next_version(expected), body)

    async def save(self, *changes: Change) -> None:
        """Write all of `changes` or none. `Conflict`, or `Refusal` DATABASE_ERROR or STALE_RECORD.

        After DATABASE_ERROR it is unknown whether the write happened: callers must not go on with the effect. A store
        that agrees to two writes in the place of one version has lied to one of them: the later one is STALE_RECORD.
        """
        writes = [Write(change.key, change.expected, change.version, self._seal(change)) for change in changes]
        steps = [Step(change.key.id, change.expected, change.version) for change in changes]
        if not self._seen.claim(steps):
            await claim(self._seen, steps)
        try:
            for step in steps:
                if self._seen.floor(step.record_id) > step.expected:
                    raise Conflict
            await self._store.put(writes)
            if not self._seen.agree(steps):
                raise Refusal(errors.STALE_RECORD)
        except StoreConflict:
            raise Conflict from None
        except StoreError:
            raise Refusal(errors.DATABASE_ERROR) from None
        finally:
            self._seen.release(steps)

    def _take(self, key: RecordKey, stored: StoredRecord | None) -> Record | None:
        if stored is None:
            return None
        record = self._open(key, stored.version, stored.value)
        self._seen.rise(key.id, stored.version)
        return record

    def _seal(self, change: Change) -> bytes:
        with sealing.derive(self._seal_key, change.key.table, change.key.id) as key:
            sealed = sealing.seal(key, cbor.dumps(change.body), self._aad(change.key, change.version), self._random)
        if len(sealed) > limits.MAX_RECORD_BYTES:
            raise Refusal(errors.INTERNAL_ERROR)
        return sealed

    def _open(self, key: RecordKey, version: int, value: bytes) -> Record:
        with sealing.derive(self._seal_key, key.table, key.id) as record_key:
            try:
                body = cbor.loads(sealing.open_sealed(record_key, value, self._aad(key, version)))
            except (sealing.SealError, ProtocolError):
                raise Refusal(errors.DATA_INTEGRITY_ERROR) from None
        return Record(key, version, body)

    def _aad(self, key: RecordKey, version: int) -> list[Any]:
        return [_FORMAT, self._deployment, key.table, key.id, version]
