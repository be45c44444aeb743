"""The record store: compare-and-set, all or nothing, shared commits, and what survives a kill."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from host_proxy.errors import StoreConflict, StoreFault
from host_proxy.store import SqliteStore
from protocol import limits
from protocol.services import SPENT_FOR_MS, SPENT_TABLE, Page, RecordKey, StoredRecord, Write

ROOT = Path(__file__).parents[2]


def key(number: int, table: str = "wallet") -> RecordKey:
    return RecordKey(table, number.to_bytes(32, "big"))


def write(number: int, expected: int, new: int | None = None, value: bytes = b"v", table: str = "wallet") -> Write:
    return Write(key(number, table), expected, expected + 1 if new is None else new, value)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db")
    yield store
    await store.close()


async def test_record_is_created_read_and_replaced(store: SqliteStore) -> None:
    assert await store.get([key(1)]) == [None]
    await store.put([write(1, 0, value=b"a")])
    await store.put([write(1, 1, 5, value=b"b")])
    assert await store.get([key(1)]) == [StoredRecord(5, b"b")]


async def test_tables_do_not_share_ids(store: SqliteStore) -> None:
    await store.put([write(1, 0, table="a"), write(1, 0, 9, table="b")])
    assert await store.get([key(1, "a"), key(1, "b"), key(1, "c")]) == [
        StoredRecord(1, b"v"),
        StoredRecord(9, b"v"),
        None,
    ]


async def test_whatever_takes_several_statements_is_one_transaction(store: SqliteStore) -> None:
    said: list[str] = []
    store._writer.set_trace_callback(lambda statement: said.append(statement.split()[0]))
    await store.put([write(1, 0)])
    assert said == ["INSERT"], "one statement is a transaction by itself"
    for writes in ([write(2, 0), write(3, 0)], [write(4, 0, 2 * SPENT_FOR_MS, table=SPENT_TABLE)]):
        said.clear()
        await store.put(writes)
        assert (said[0], said[-1]) == ("BEGIN", "COMMIT")
    said.clear()
    await asyncio.gather(store.put([write(5, 0)]), store.put([write(6, 0)]))
    assert said == ["BEGIN", "INSERT", "INSERT", "COMMIT"]


async def test_ids_of_a_table_are_listed_page_by_page(store: SqliteStore) -> None:
    numbers = list(range(1, 8))
    random.Random(0).shuffle(numbers)
    await store.put([write(number, 0) for number in numbers] + [write(9, 0, table="other")])
    seen: list[bytes] = []
    while page := await store.ids(Page("wallet", seen[-1] if seen else b"", 3)):
        assert len(page) <= 3
        seen += page
    assert seen == [key(number).id for number in range(1, 8)]
    assert await store.ids(Page("none", b"", 3)) == []


async def test_what_was_spent_is_forgotten_when_nobody_asks_for_it_any_more(store: SqliteStore) -> None:
    first_ms = 10**12
    for number in range(50):
        await store.put([write(number, 0, first_ms + number, table=SPENT_TABLE), write(number, 0, first_ms + number)])
    late_ms = first_ms + 25 + SPENT_FOR_MS
    for number in range(50, 70):
        await store.put([write(number, 0, late_ms, table=SPENT_TABLE)])
    kept = [at.id for at in (key(number, SPENT_TABLE) for number in range(25, 70))]
    assert await store.ids(Page(SPENT_TABLE, b"", 100)) == kept
    assert len(await store.ids(Page("wallet", b"", 100))) == 50, "other tables keep what they have"


@pytest.mark.parametrize(("expected", "new"), [(0, 1), (1, 3), (3, 4), (4, 5)])
async def test_write_on_another_version_conflicts_and_changes_nothing(
    store: SqliteStore, expected: int, new: int
) -> None:
    await store.put([write(1, 0, 2, value=b"kept")])
    with pytest.raises(StoreConflict):
        await store.put([write(1, expected, new, value=b"lost")])
    assert await store.get([key(1)]) == [StoredRecord(2, b"kept")]


async def test_batch_with_one_conflict_writes_none_of_it(store: SqliteStore) -> None:
    await store.put([write(2, 0)])
    with pytest.raises(StoreConflict):
        await store.put([write(1, 0), write(2, 0), write(3, 0)])
    assert await store.get([key(1), key(3)]) == [None, None]


async def test_batch_may_move_one_record_twice(store: SqliteStore) -> None:
    await store.put([write(1, 0, 1, b"a"), write(1, 1, 2, b"b")])
    assert await store.get([key(1)]) == [StoredRecord(2, b"b")]


async def test_of_many_writers_on_one_version_exactly_one_wins(store: SqliteStore) -> None:
    for version in range(5):
        outcomes = await asyncio.gather(
            *(store.put([write(1, version, value=b"%d" % n)]) for n in range(40)), return_exceptions=True
        )
        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, StoreConflict) for outcome in outcomes) == 39
        winner = outcomes.index(None)
        assert await store.get([key(1)]) == [StoredRecord(version + 1, b"%d" % winner)]


async def test_calls_that_wait_together_share_commits_and_no_conflict_spreads(tmp_path: Path) -> None:
    commits: list[int] = []
    store = SqliteStore(tmp_path / "store.db", observe_commit=commits.append)
    await store.put([write(0, 0)])
    outcomes = await asyncio.gather(
        *(store.put([write(n if n % 3 else 0, 0)]) for n in range(300)), return_exceptions=True
    )
    assert [isinstance(outcome, StoreConflict) for outcome in outcomes] == [n % 3 == 0 for n in range(300)]
    assert sum(commits) == 301
    assert len(commits) < 100, "far fewer flushes than calls"
    assert max(commits) <= limits.MAX_STORE_BATCH
    await store.close()


async def test_reader_sees_whole_batches_only(store: SqliteStore) -> None:
    await store.put([write(1, 0), write(2, 0)])

    async def writer() -> None:
        for version in range(1, 60):
            await store.put([write(1, version), write(2, version)])

    writing = asyncio.ensure_future(writer())
    while not writing.done():
        first, second = await store.get([key(1), key(2)])
        assert first == second
    await writing


async def test_values_of_any_bytes_at_the_cap_come_back(store: SqliteStore) -> None:
    value = random.Random(1).randbytes(limits.MAX_RECORD_BYTES)
    await store.put([write(1, 0, value=value), write(2, 0, 2**63 - 1, value=b"")])
    assert await store.get([key(1), key(2)]) == [StoredRecord(1, value), StoredRecord(2**63 - 1, b"")]


async def test_records_are_there_after_a_new_start(tmp_path: Path) -> None:
    for version in range(3):
        store = SqliteStore(tmp_path / "store.db")
        await store.put([write(1, version)])
        await store.close()
    store = SqliteStore(tmp_path / "store.db")
    assert await store.get([key(1)]) == [StoredRecord(3, b"v")]
    await store.close()


async def test_close_finishes_what_waits_and_refuses_more(tmp_path: Path) -> None:
    others = set(threading.enumerate())
    store = SqliteStore(tmp_path / "store.db")
    calls = [asyncio.ensure_future(store.put([write(n, 0)])) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*calls) == [None] * 50
    with pytest.raises(StoreFault) as caught:
        await store.get([key(1)])
    assert caught.value.code == "store-closed"
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name.startswith("store-")]


async def test_calls_beyond_the_cap_are_busy_at_once(store: SqliteStore) -> None:
    calls = [asyncio.ensure_future(store.get([key(1)])) for _ in range(limits.MAX_STORE_WAITING + 10)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    busy = [outcome for outcome in outcomes if isinstance(outcome, StoreFault)]
    assert {outcome.code for outcome in busy} == {"store-busy"}
    assert len(busy) == 10
    assert await store.get([key(1)]) == [None]


async def test_caller_that_gives_up_harms_nobody(store: SqliteStore) -> None:
    tasks = [asyncio.ensure_future(store.put([write(number, 0)])) for number in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*tasks[1::2]) == [None] * 20
        await store.check()


# --- faults ---


async def test_disk_that_refuses_is_a_fault_for_those_who_wait_and_the_store_lives(store: SqliteStore) -> None:
    await store.put([write(1, 0)])
    store._writer.execute("PRAGMA max_page_count = 1")  # the next page is one too many: a full disk
    with pytest.raises(StoreFault) as caught:
        await store.put([write(2, 0, value=bytes(60_000))])
    assert caught.value.code == "store-write"
    store._writer.execute("PRAGMA max_page_count = 1000000")
    await store.put([write(2, 0)])
    assert await store.get([key(1), key(2)]) == [StoredRecord(1, b"v")] * 2


async def test_unwritable_place_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreFault) as caught:
        SqliteStore(tmp_path / "absent" / "store.db")
    assert caught.value.code == "store-open"


async def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"precious" * 1000)
    with pytest.raises(StoreFault):
        SqliteStore(tmp_path / "store.db")
    assert (tmp_path / "store.db").read_bytes() == b"precious" * 1000


async def test_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("CREATE TABLE precious (a)")
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(StoreFault) as caught:
        SqliteStore(tmp_path / "store.db")
    assert caught.value.code == "store-foreign-file"
    assert (tmp_path / "store.db").read_bytes() == before


async def test_schema_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    await SqliteStore(tmp_path / "store.db").close()
    with sqlite3.connect(tmp_path / "store.db") as newer:
        newer.execute("PRAGMA user_version = 1000")
    with pytest.raises(StoreFault) as caught:
        SqliteStore(tmp_path / "store.db")
    assert caught.value.code == "store-newer-schema"


async def test_file_is_for_its_owner_only_and_commits_reach_the_disk(store: SqliteStore, tmp_path: Path) -> None:
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)


# --- a kill in the middle ---

WRITER = """
import asyncio, sys
from pathlib import Path
from host_proxy.store import SqliteStore
from protocol.services import RecordKey, Write

def pair(lane, version):
    value = b"%d" % version * 500
    return [Write(RecordKey(t, lane.to_bytes(32, "big")), version, version + 1, value) for t in ("a", "b")]

async def lane(store, number, version):
    while True:
        await store.put(pair(number, version))
        version += 1
        print(number, version, flush=True)

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    start = int(sys.argv[2])
    await asyncio.gather(*(lane(store, n, start) for n in range(8)))

asyncio.run(main())
"""


def killed_after(lines: int, path: Path) -> dict[int, int]:
    """Runs the writer, kills it after `lines` acknowledgements; the last acknowledged version of each lane."""
    acknowledged = dict.fromkeys(range(8), 0)
    command = [sys.executable, "-c", WRITER, str(path), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        for number, line in enumerate(writer.stdout, start=1):  # goes on after the kill with what was said before it
            words = line.split()
            if line.endswith("\n") and len(words) == 2:
                acknowledged[int(words[0])] = int(words[1])
            if number == lines:
                writer.send_signal(signal.SIGKILL)
    return acknowledged


@pytest.mark.parametrize("lines", [5, 60, 400])
async def test_kill_in_the_middle_of_writing_loses_nothing_acknowledged_and_tears_nothing(
    tmp_path: Path, lines: int
) -> None:
    acknowledged = killed_after(lines, tmp_path / "store.db")
    store = SqliteStore(tmp_path / "store.db")
    for lane, version in acknowledged.items():
        a, b = await store.get([key(lane, "a"), key(lane, "b")])
        assert a == b, "a batch is whole or absent"
        assert (a.version if a else 0) >= version, "what was acknowledged is there"
        if a is not None:
            assert a.value == b"%d" % (a.version - 1) * 500
    assert store._reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await store.close()
