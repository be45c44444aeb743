"""The store of sealed records on SQLite: compare-and-set, all or nothing, durable before the answer (design section 8).

Trust side: host. Values are opaque; nothing here needs to be right for a secret to stay secret, and a store that lies
is caught by versions inside the enclave. One thread owns the writing connection and commits everything that waits
together, so that many callers share one flush to disk; a call of several writes has its own savepoint, so one
conflict sinks nobody else. Others read. Measured alternatives: dependencies.md section 6.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, Protocol

from host_proxy.errors import StoreConflict, StoreFault
from host_proxy.lanes import Lane
from protocol.services import SPENT_FOR_MS, SPENT_TABLE, Page, RecordKey, StoredRecord, Write

_APPLICATION_ID: Final = 0x43484E43  # "CHNC" in the file's header: another program's database is refused
_BUSY_S: Final = 2.0
_SCHEMA: Final = "host_proxy.schema"
_FORGET: Final = """
    DELETE FROM record WHERE rowid IN
        (SELECT rowid FROM record INDEXED BY spent WHERE name = 'spent' AND version < ? ORDER BY version LIMIT 2)
"""
_LIST: Final = "SELECT id FROM record WHERE name = ? AND id > ? ORDER BY id LIMIT ?"


class Store(Protocol):
    """Opaque records under (table, id) with a version. Failures are `StoreFault`, raised where a call is awaited."""

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        """One answer for each key, in order, all of the same moment."""
        ...

    def put(self, writes: Sequence[Write]) -> Awaitable[None]:
        """All of `writes`, durable on return, or none of them: `StoreConflict`."""
        ...

    async def ids(self, page: Page) -> list[bytes]:
        """A page of a table's ids, ascending."""
        ...

    async def check(self) -> None:
        """Returns when reading and writing still work."""
        ...

    async def close(self) -> None:
        """Finishes what waits and lets go of the files."""
        ...


class SqliteStore:
    """`Store` in one SQLite file (WAL, synchronous=FULL). `observe_commit` is told how many calls shared a commit."""

    def __init__(self, path: Path, *, observe_commit: Callable[[int], None] = lambda _: None) -> None:
        self._observe_commit = observe_commit
        with _faults("store-open"):
            self._writer = _connected(path)
            _migrate(self._writer)
            self._reader, self._lister = _reading(path), _reading(path)
        self._puts = Lane("store-writer", self._write_all)
        self._gets = Lane("store-reader", self._read_all)
        self._lists = Lane("store-lister", self._list_all)

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        return await self._gets.submit(tuple(keys))

    def put(self, writes: Sequence[Write]) -> Awaitable[None]:
        return self._puts.submit(tuple(writes))

    async def ids(self, page: Page) -> list[bytes]:
        return await self._lists.submit(page)

    async def check(self) -> None:
        await asyncio.gather(self._gets.submit(()), self._puts.submit(()))

    async def close(self) -> None:
        await asyncio.gather(self._puts.close(), self._gets.close(), self._lists.close())
        with contextlib.suppress(sqlite3.Error):
            self._writer.close()
            self._reader.close()
            self._lister.close()

    def _read_all(self, calls: list[tuple[RecordKey, ...]]) -> list[list[StoredRecord | None] | Exception]:
        with _faults("store-read"), _transaction(self._reader, "DEFERRED"):
            return [[self._read(key) for key in keys] for keys in calls]

    def _read(self, key: RecordKey) -> StoredRecord | None:
        row = self._reader.execute(
            "SELECT version, value FROM record WHERE name = ? AND id = ?", (key.table, key.id)
        ).fetchone()
        return None if row is None else StoredRecord(*row)

    def _list_all(self, pages: list[Page]) -> list[list[bytes] | Exception]:
        with _faults("store-read"):
            return [
                [id_ for (id_,) in self._lister.execute(_LIST, (page.table, page.after, page.limit))] for page in pages
            ]

    def _write_all(self, calls: list[tuple[Write, ...]]) -> list[Exception | None]:
        with _faults("store-write"):
            if _is_one_statement(calls):  # which is a transaction by itself
                answers = [self._write(calls[0])]
            else:
                with _transaction(self._writer, "IMMEDIATE"):
                    answers = [self._write(writes) for writes in calls]
            self._observe_commit(len(calls))
            return answers

    def _write(self, writes: tuple[Write, ...]) -> Exception | None:
        if len(writes) == 1:  # which happens or not, and needs no way back
            return None if self._write_one(writes[0]) else StoreConflict()
        self._writer.execute("SAVEPOINT call")
        for write in writes:
            if not self._write_one(write):
                self._writer.execute("ROLLBACK TO call")
                self._writer.execute("RELEASE call")
                return StoreConflict()
        self._writer.execute("RELEASE call")
        return None

    def _write_one(self, write: Write) -> bool:
        if not self._compare_and_set(write):
            return False
        if write.key.table == SPENT_TABLE:  # two old ones go for one that comes, so the table stops growing
            self._writer.execute(_FORGET, (write.new_version - SPENT_FOR_MS,))
        return True

    def _compare_and_set(self, write: Write) -> bool:
        key = (write.key.table, write.key.id)
        if write.expected_version == 0:
            cursor = self._writer.execute(
                "INSERT INTO record (name, id, version, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*key, write.new_version, write.value),
            )
        else:
            cursor = self._writer.execute(
                "UPDATE record SET version = ?, value = ? WHERE name = ? AND id = ? AND version = ?",
                (write.new_version, write.value, *key, write.expected_version),
            )
        return cursor.rowcount == 1


def _is_one_statement(calls: list[tuple[Write, ...]]) -> bool:
    return len(calls) == 1 and len(calls[0]) == 1 and calls[0][0].key.table != SPENT_TABLE


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
    _refuse_foreign(connection)
    path.chmod(0o600)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _reading(path: Path) -> sqlite3.Connection:
    connection = _connected(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _refuse_foreign(connection: sqlite3.Connection) -> None:
    """Touches no database but an empty one and our own."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and _pragma(connection, "application_id") != _APPLICATION_ID:
        raise StoreFault("store-foreign-file")


def _migrate(connection: sqlite3.Connection) -> None:
    """Brings the file to the newest schema, one numbered step after the other; a newer one is refused."""
    steps = sorted(entry.name for entry in resources.files(_SCHEMA).iterdir() if entry.name.endswith(".sql"))
    version = _pragma(connection, "user_version")
    if version > len(steps):
        raise StoreFault("store-newer-schema")
    for number, name in enumerate(steps[version:], start=version + 1):
        script = resources.files(_SCHEMA).joinpath(name).read_text(encoding="ascii")
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {_APPLICATION_ID};"
            f" PRAGMA user_version = {number}; COMMIT"
        )


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _faults(code: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError):
        raise StoreFault(code) from None
