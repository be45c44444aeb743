"""What a relay has taken on and done, in one SQLite file: durable before every effect, so a restart repeats none.

An operation gets a nonce of the gas account once. Whatever is signed for it later has that nonce, and no other
operation ever gets it: of all attempts, at most one can be mined.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from host_proxy.errors import RelayFault
from host_proxy.relay.database import Database
from host_proxy.relay.fees import Fees
from host_proxy.relay.port import Operation
from host_proxy.relay.transactions import Signed

_APPLICATION_ID: Final = 0x43484E52  # "CHNR" in the file's header
_SCHEMA: Final = (
    """CREATE TABLE operation (
    id      TEXT    NOT NULL PRIMARY KEY,
    target  TEXT    NOT NULL,
    data    TEXT    NOT NULL,
    wallet  TEXT    NOT NULL,
    nonce   INTEGER NOT NULL UNIQUE CHECK (nonce >= 0),
    gas     INTEGER NOT NULL CHECK (gas > 0),
    receipt TEXT
) STRICT""",
    """CREATE TABLE attempt (
    number       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    operation    TEXT    NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
    hash         TEXT    NOT NULL UNIQUE,
    raw          TEXT    NOT NULL,
    max_fee      TEXT    NOT NULL,
    priority_fee TEXT    NOT NULL,
    signed_at_s  REAL    NOT NULL
) STRICT""",
    "CREATE TABLE account (chain_id INTEGER NOT NULL, address TEXT NOT NULL, next_nonce INTEGER NOT NULL) STRICT",
)


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation with its nonce; `receipt` is the node's, once it is final."""

    operation: Operation
    nonce: int
    gas: int
    receipt: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction that was signed for an operation, and may have been sent."""

    hash: str
    raw: str
    fees: Fees
    signed_at_s: float


class Journal:
    """The file of one gas account on one chain; it belongs to one process at a time."""

    def __init__(self, path: Path, *, chain_id: int, account: str) -> None:
        self._database = Database(path, _SCHEMA, _APPLICATION_ID)
        self._db = self._database.connection
        self._transaction = self._database.transaction
        with self._transaction() as db:
            db.execute(
                "INSERT INTO account SELECT ?, ?, 0 WHERE NOT EXISTS (SELECT * FROM account)", (chain_id, account)
            )
        if self._db.execute("SELECT chain_id, address FROM account").fetchone() != (chain_id, account):
            self.close()
            raise RelayFault("relay-journal-other-account")

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def plan(self, operations: Sequence[tuple[Operation, int]], chain_nonce: int) -> None:
        """Take operations on, each with its gas: all get their nonces, durably, or none does.

        `chain_nonce` is the account's next one by the node's word; what was given away here before is not given again.
        """
        with self._transaction():
            [kept] = self._db.execute("SELECT next_nonce FROM account").fetchone()
            nonce = max(kept, chain_nonce)
            for operation, gas in operations:
                row = (operation.id, operation.to, operation.data, operation.wallet, nonce, gas)
                self._db.execute("INSERT INTO operation VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
                nonce += 1
            self._db.execute("UPDATE account SET next_nonce = ?", (nonce,))

    def record_attempt(self, operation_id: str, signed: Signed, fees: Fees, now_s: float) -> None:
        """Remember a transaction before it is sent."""
        row = (operation_id, signed.hash, signed.raw, str(fees.max_fee), str(fees.priority_fee), now_s)
        with self._transaction():
            self._db.execute(
                "INSERT INTO attempt (operation, hash, raw, max_fee, priority_fee, signed_at_s)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
                row,
            )

    def settle(self, operation_id: str, receipt: dict[str, Any]) -> None:
        """The operation is final."""
        with self._transaction():
            self._db.execute("UPDATE operation SET receipt = ? WHERE id = ?", (json.dumps(receipt), operation_id))

    def forget(self, operation_id: str) -> None:
        """The operation can no longer happen: its nonce went to a transaction of somebody else, for good."""
        with self._transaction():
            self._db.execute("DELETE FROM operation WHERE id = ?", (operation_id,))

    def find(self, operation_id: str) -> Planned | None:
        """An operation by its name."""
        rows = self._rows("WHERE id = ?", operation_id)
        return rows[0] if rows else None

    def unsettled(self) -> list[Planned]:
        """Operations that are not final, by nonce."""
        return self._rows("WHERE receipt IS NULL ORDER BY nonce")

    def attempts(self, operation_id: str) -> list[Attempt]:
        """What was signed for an operation, oldest first."""
        rows = self._db.execute(
            "SELECT hash, raw, max_fee, priority_fee, signed_at_s FROM attempt WHERE operation = ? ORDER BY number",
            (operation_id,),
        )
        return [Attempt(hash_, raw, Fees(int(most), int(tip)), at_s) for hash_, raw, most, tip, at_s in rows]

    def _rows(self, condition: str, *values: str) -> list[Planned]:
        columns = "id, target, data, wallet, nonce, gas, receipt"
        rows = self._db.execute(f"SELECT {columns} FROM operation {condition}", values)  # noqa: S608  constants
        return [
            Planned(Operation(id_, to, data, wallet), nonce, gas, json.loads(receipt) if receipt else None)
            for id_, to, data, wallet, nonce, gas, receipt in rows
        ]
