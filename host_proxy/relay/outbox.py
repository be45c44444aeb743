"""What was handed to a relayer's API, in one SQLite file: durable before it is sent, so nothing that was taken is lost.

Nothing here can keep a relayer from sending twice; it need not, because it knows the operation by its digest, and the
wallet's own nonce is good once.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from host_proxy.errors import RelayFault
from host_proxy.relay.database import Database
from host_proxy.relay.port import Operation
from protocol import limits

_APPLICATION_ID: Final = 0x43484E4F  # "CHNO"
_SCHEMA: Final = (
    """CREATE TABLE operation (
    id      TEXT NOT NULL PRIMARY KEY,
    target  TEXT NOT NULL,
    data    TEXT NOT NULL,
    wallet  TEXT NOT NULL,
    quote   TEXT,
    receipt TEXT
) STRICT""",
)


class Outbox:
    """The file of one relayer on one chain."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, _APPLICATION_ID)
        self._db = self._database.connection

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def take(self, operations: Sequence[Operation]) -> None:
        """Take operations on, all or none; those that are there already stay as they are."""
        with self._database.transaction() as db:
            for operation in operations:
                row = (operation.id, operation.to, operation.data, operation.wallet, operation.quote)
                db.execute("INSERT INTO operation VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (id) DO NOTHING", row)
                if self.find(operation.id)[0] != operation:
                    raise RelayFault("relay-id-taken")
            [waiting] = db.execute("SELECT count(*) FROM operation WHERE receipt IS NULL").fetchone()
            if waiting > limits.MAX_RELAY_OPEN:
                raise RelayFault("relay-busy")

    def find(self, operation_id: str) -> tuple[Operation, dict[str, Any] | None]:
        """An operation by its name and, once it is final, the relayer's receipt; `relay-unknown` without one."""
        query = "SELECT id, target, data, wallet, quote, receipt FROM operation WHERE id = ?"
        row = self._db.execute(query, (operation_id,)).fetchone()
        if row is None:
            raise RelayFault("relay-unknown")
        *facts, receipt = row
        return Operation(*facts), json.loads(receipt) if receipt else None

    def settle(self, operation_id: str, receipt: dict[str, Any]) -> None:
        """The operation is final."""
        with self._database.transaction() as db:
            db.execute("UPDATE operation SET receipt = ? WHERE id = ?", (json.dumps(receipt), operation_id))

    def forget(self, operation_id: str) -> None:
        """The relayer has given the operation up."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM operation WHERE id = ?", (operation_id,))

    def unsettled(self) -> list[Operation]:
        """Operations that are not final, in the order in which they came."""
        query = "SELECT id, target, data, wallet, quote FROM operation WHERE receipt IS NULL ORDER BY rowid"
        return [Operation(*row) for row in self._db.execute(query)]
