"""The SQLite files of relays: durable on commit, one process at a time, no file of another program."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from host_proxy.errors import RelayFault

_BUSY_S: Final = 2.0


class Database:
    """An open file with the tables of `schema`; `application_id` marks it as ours."""

    def __init__(self, path: Path, schema: Sequence[str], application_id: int) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False)
        try:
            path.chmod(0o600)
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self.connection.execute(f"PRAGMA {pragma}")
            with self.transaction():
                self._make_ours(schema, application_id)
        except sqlite3.Error as error:
            self.close()
            raise RelayFault("relay-journal", type(error).__name__) from None
        except RelayFault:
            self.close()
            raise

    def _make_ours(self, schema: Sequence[str], application_id: int) -> None:
        [found] = self.connection.execute("PRAGMA application_id").fetchone()
        [tables] = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            for statement in schema:
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id = {application_id}")
        elif found != application_id:
            raise RelayFault("relay-journal-foreign")

    def close(self) -> None:
        """Lets go of the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is written inside, durably, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
