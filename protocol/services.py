"""What the parent instance offers the enclave on `SERVICES_PORT`: a store of opaque records, and credential hints.

Bodies are deterministic CBOR inside `frames`. The enclave trusts none of the answers: records are sealed and versioned,
credentials only let a call reach AWS, where policy looks at the measurement.

    store.get      [[table, id], ...]                                   -> [[version, value] | null, ...]
    store.put      [[[table, id, expected_version, new_version, value], ...], ...]   -> [200 | 409 | 503, ...]
    store.list     [table, after, limit]                                -> [id, ...], ascending, each above `after`
    credentials    holder name (UTF-8, not CBOR)                        -> [key id, secret, session token | null]

A `store.put` carries puts that know nothing of each other. Each is all or nothing, and has an outcome of its
own: durable, conflict (and nothing written), or unknown. `expected_version` 0 means "does not exist". A value is at
most `MAX_RECORD_BYTES`. `after` is an id, or empty for the first page; a page shorter than `limit` is the last.

Records of `SPENT_TABLE` say that something that expires was used. Nobody asks for one again `SPENT_FOR_MS` after the
time that its version is; a store may forget it then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from protocol import cbor, limits
from protocol.errors import ProtocolError

STORE_GET: Final = "store.get"
STORE_PUT: Final = "store.put"
STORE_LIST: Final = "store.list"
CREDENTIALS: Final = "credentials"
RECORD_ID_BYTES: Final = 32
MAX_VERSION: Final = 2**63 - 1
DURABLE: Final = 200
CONFLICT: Final = 409
UNKNOWN: Final = 503
"""What became of a put."""

SPENT_TABLE: Final = "spent"
SPENT_FOR_MS: Final = 86_400_000


class RecordKey(msgspec.Struct, frozen=True):
    """Where a record lies: a table's name and a 32-byte keyed hash (LP-04: no address or subject in a storage key)."""

    table: str
    id: bytes


class StoredRecord(msgspec.Struct, frozen=True):
    """A sealed record as the store returned it: unverified until it has been opened."""

    version: int
    value: bytes


class Write(msgspec.Struct, frozen=True):
    """A conditional write: it happens only if the stored version is `expected_version` (0: no record)."""

    key: RecordKey
    expected_version: int
    new_version: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Which ids to list: at most `limit` of a table, those above `after`, an id or empty."""

    table: str
    after: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """AWS credentials for one holder's account. A hint from the host, never a source of trust (KM-09)."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None

    def __repr__(self) -> str:
        return "Credentials(<redacted>)"


def encode_keys(keys: list[RecordKey]) -> bytes:
    return cbor.dumps([[key.table, key.id] for key in keys])


def decode_keys(body: bytes) -> list[RecordKey]:
    return [_key(item) for item in _items(body, 2)]


def encode_puts(puts: Sequence[Sequence[Write]]) -> bytes:
    return cbor.dumps_ordered(
        [[[w.key.table, w.key.id, w.expected_version, w.new_version, w.value] for w in writes] for writes in puts]
    )


def decode_puts(body: bytes) -> list[list[Write]]:
    puts = cbor.decode(body)
    if type(puts) is not list or not 1 <= len(puts) <= limits.MAX_PUTS_PER_CALL:
        raise ProtocolError("services-shape")
    found = [[_write(item) for item in _lists(writes, 5)] for writes in puts]
    if cbor.dumps_ordered(puts) != body:
        raise cbor.not_deterministic()
    return found


def encode_outcomes(outcomes: Sequence[int]) -> bytes:
    return cbor.dumps_ordered(list(outcomes))


def decode_outcomes(body: bytes, *, count: int) -> list[int]:
    outcomes = cbor.loads(body)
    if type(outcomes) is not list or len(outcomes) != count:
        raise ProtocolError("services-shape")
    if any(type(one) is not int or one not in (DURABLE, CONFLICT, UNKNOWN) for one in outcomes):
        raise ProtocolError("services-shape")
    return outcomes


def encode_page(page: Page) -> bytes:
    return cbor.dumps([page.table, page.after, page.limit])


def decode_page(body: bytes) -> Page:
    match cbor.loads(body):
        case [str(table), bytes(after), int(limit)] if 0 < len(table) <= limits.MAX_TABLE_CHARS:
            fits = type(limit) is int and 0 < limit <= limits.MAX_RECORDS_PER_CALL
            if fits and len(after) in (0, RECORD_ID_BYTES):
                return Page(table, after, limit)
    raise ProtocolError("services-shape")


def encode_ids(ids: list[bytes]) -> bytes:
    return cbor.dumps(ids)


def decode_ids(body: bytes, page: Page) -> list[bytes]:
    ids = cbor.loads(body)
    if type(ids) is not list or len(ids) > page.limit:
        raise ProtocolError("services-shape")
    above = page.after
    for id_ in ids:
        if type(id_) is not bytes or len(id_) != RECORD_ID_BYTES or id_ <= above:
            raise ProtocolError("services-shape")
        above = id_
    return ids


def encode_records(records: list[StoredRecord | None]) -> bytes:
    return cbor.dumps([None if r is None else [r.version, r.value] for r in records])


def decode_records(body: bytes, *, count: int) -> list[StoredRecord | None]:
    items = cbor.loads(body, max_bytes=limits.MAX_FRAME_BYTES)
    if type(items) is not list or len(items) != count:
        raise ProtocolError("services-shape")
    records: list[StoredRecord | None] = []
    for item in items:
        if item is None:
            records.append(None)
            continue
        if type(item) is not list or len(item) != 2 or not _is_version(item[0], lowest=1):
            raise ProtocolError("services-shape")
        records.append(StoredRecord(item[0], _value(item[1])))
    return records


def encode_credentials(credentials: Credentials) -> bytes:
    return cbor.dumps([credentials.access_key_id, credentials.secret_access_key, credentials.session_token])


def decode_credentials(body: bytes) -> Credentials:
    value = cbor.loads(body, max_bytes=limits.MAX_CREDENTIALS_BYTES)
    if type(value) is not list or len(value) != 3 or not all(type(v) is str for v in value[:2]):
        raise ProtocolError("services-shape")
    if value[2] is not None and type(value[2]) is not str:
        raise ProtocolError("services-shape")
    return Credentials(*value)


def _items(body: bytes, width: int) -> list[list[Any]]:
    """Lists of `width` values whose one encoding `body` is; the caller checks the type of each value."""
    items = _lists(cbor.decode(body), width)
    if cbor.dumps_ordered(items) != body:
        raise cbor.not_deterministic()
    return items


def _lists(items: Any, width: int) -> list[list[Any]]:
    """`items`, if it is a list of lists of `width` values."""
    if type(items) is not list or not 1 <= len(items) <= limits.MAX_RECORDS_PER_CALL:
        raise ProtocolError("services-shape")
    if any(type(item) is not list or len(item) != width for item in items):
        raise ProtocolError("services-shape")
    return items


def _write(item: list[Any]) -> Write:
    table, id_, expected, new, value = item
    if not _is_version(expected, lowest=0) or not _is_version(new, lowest=1) or new <= expected:
        raise ProtocolError("services-version")
    return Write(_key([table, id_]), expected, new, _value(value))


def _key(item: list[Any]) -> RecordKey:
    table, id_ = item
    if type(table) is not str or not 0 < len(table) <= limits.MAX_TABLE_CHARS:
        raise ProtocolError("services-shape")
    if type(id_) is not bytes or len(id_) != RECORD_ID_BYTES:
        raise ProtocolError("services-shape")
    return RecordKey(table, id_)


def _value(value: Any) -> bytes:
    if type(value) is not bytes or len(value) > limits.MAX_RECORD_BYTES:
        raise ProtocolError("services-value")
    return value


def _is_version(value: Any, *, lowest: int) -> bool:
    return type(value) is int and lowest <= value <= MAX_VERSION
