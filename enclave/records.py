"""Sealed, versioned records over the store port (design section 8; KM-10, RB-01 to RB-03).

Each record is sealed under a key of its own with table, id and version in the AAD, so bytes moved between any two
records or versions do not open. The highest version seen of each record is remembered for this boot: an older one, or
none, is refused as stale. Writes are conditional on the version read, durable on return, and all or nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from enclave import sealing
from enclave.errors import Refusal, StoreConflict, StoreError
from enclave.ports import Store
from enclave.secret import Secret
from protocol import cbor, errors, limits
from protocol.errors import ProtocolError
from protocol.services import RecordKey, Write

_FORMAT: Final = "chancery/record/1"


@dataclass(frozen=True, slots=True)
class Record:
    """An opened record: its place, the version it has in the store (0: not yet there) and its plain body."""

    key: RecordKey
    version: int
    body: Any

    def next(self, body: Any) -> "Record":
        """The record to write in this one's place."""
        return Record(self.key, self.version + 1, body)


class Conflict(Exception):
    """Somebody else wrote one of the records first. Load again and decide anew."""


class Records:
    """Opens and seals everything that is stored. One instance a worker; it holds the record and index keys."""

    def __init__(self, store: Store, root: Secret, deployment: str, random: Callable[[int], bytes]) -> None:
        """`root` is the deployment's record secret (32 bytes); the caller keeps it and may wipe it after this."""
        self._store = store
        self._deployment = deployment
        self._random = random
        self._seal_key = sealing.derive(root, "chancery/record-seal/1", deployment)
        self._index_key = sealing.derive(root, "chancery/record-index/1", deployment)
        self._seen: dict[bytes, int] = {}

    def key(self, table: str, *parts: str | bytes) -> RecordKey:
        """Where the record of `parts` lies: a keyed hash, so that the store learns no address or subject (LP-04)."""
        return RecordKey(table, sealing.keyed_hash(self._index_key, table, *parts))

    def salt(self, key: RecordKey) -> bytes:
        """16 bytes that belong to a record and nobody can compute outside: the salt of its identity hash."""
        return sealing.keyed_hash(self._index_key, "salt", key.table, key.id)[:16]

    async def load(self, *keys: RecordKey) -> list[Record | None]:
        """The current records, in order. `Refusal` STALE_RECORD, DATA_INTEGRITY_ERROR or DATABASE_ERROR."""
        try:
            found = await self._store.get(keys)
        except StoreError:
            raise Refusal(errors.DATABASE_ERROR) from None
        records: list[Record | None] = []
        for key, stored in zip(keys, found, strict=True):
            version = 0 if stored is None else stored.version
            if version < self._seen.get(key.id, 0):
                raise Refusal(errors.STALE_RECORD)
            records.append(None if stored is None else self._open(key, version, stored.value))
            if version:
                self._seen[key.id] = version
        return records

    async def save(self, *records: Record) -> None:
        """Write `records` (made by `Record.next`, or version 1 for new ones). `Conflict`, or `Refusal` DATABASE_ERROR.

        After DATABASE_ERROR it is unknown whether the write happened: callers must not go on with the effect.
        """
        writes = [Write(record.key, record.version - 1, record.version, self._seal(record)) for record in records]
        try:
            await self._store.put(writes)
        except StoreConflict:
            raise Conflict from None
        except StoreError:
            raise Refusal(errors.DATABASE_ERROR) from None
        for record in records:
            self._seen[record.key.id] = record.version

    def _seal(self, record: Record) -> bytes:
        with sealing.derive(self._seal_key, record.key.table, record.key.id) as key:
            sealed = sealing.seal(key, cbor.dumps(record.body), self._aad(record.key, record.version), self._random)
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


def first(key: RecordKey, body: Any) -> Record:
    """A record that must not exist yet."""
    return Record(key, 1, body)
