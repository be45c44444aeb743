"""What more users cost: the store with a thousand and with a million of them, and the enclave's memory for each.

    python -m benchmarks.bench_scale [--users 1000000]

The store is filled with records of the sizes that real users have, then asked what a signature asks of it: for a user
whom nobody has asked for in a while an account, a device and a nonce, and one durable write; for one whom the enclave
still knows that write alone. What more users cost there is held against a whole request of the same kind. A million
users take a minute or two, and three gigabytes of disk.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Figure
from benchmarks.stages import sign_request
from benchmarks.user_memory import CACHED, MANY_MAILS, bytes_of_versions, bytes_per_user, caches_of
from host_proxy.store import SqliteStore
from protocol.services import RecordKey, Write
from simulator.enclaves import SOURCE_ROOT
from tests.appliance import Client, World

_SIZES = {"account": 1250, "address": 100, "device": 720, "nonce": 62}
"""Bytes of a sealed record in each table, as a first login and a signature leave them."""
_FEW = 1000
_SOME = 100_000
_AT_ONCE = 64
_BYTES_PER_USER = 400
_SLOWER = 1.1


def measure(users: int, host_us: float) -> list[Figure]:
    """See `_measure`."""
    return asyncio.run(_measure(users, host_us))


async def _measure(users: int, host_us: float) -> list[Figure]:
    """The cost of a request to the store, and the enclave's bytes for a user. `host_us` is the processor time that a
    `Sign` through HTTP takes the host, its one write included.
    """
    scratch = SOURCE_ROOT / ".chancery"
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-scale-", dir=scratch) as folder:
        few, many = Path(folder) / "few.sqlite", Path(folder) / "many.sqlite"
        await _fill(few, _FEW)
        await _fill(many, users)
        few_us, many_us = await _costs(few, _FEW, many, users)
        forgotten_us, known_us = [await _signature_us(Path(folder), caches) for caches in (CACHED, users)]
        grown, versions = await bytes_per_user(Path(folder)), bytes_of_versions(_ids(_SOME), _SOME)
    forgotten = 1 + (many_us.forgotten - few_us.forgotten) / (host_us + forgotten_us)
    known = 1 + (many_us.known - few_us.known) / (host_us + known_us)
    cpu = "µs of processor time"
    return [
        Figure("Sign of a user whom nobody asked for: enclave", forgotten_us, cpu),
        Figure(f"  store, {_FEW} users", few_us.forgotten, cpu),
        Figure(f"  store, {users} users", many_us.forgotten, cpu),
        Figure("  a whole request, to each other", forgotten, "x", at_most=_SLOWER),
        Figure("Sign of a user whom the enclave knows: enclave", known_us, cpu),
        Figure(f"  store, {_FEW} users", few_us.known, cpu),
        Figure(f"  store, {users} users", many_us.known, cpu),
        Figure("  a whole request, to each other", known, "x", at_most=_SLOWER),
        Figure("enclave, seen versions", versions, "bytes a user"),
        Figure("enclave, all else", grown, "bytes a user"),
        Figure("enclave, together", versions + grown, "bytes a user", at_most=_BYTES_PER_USER),
    ]


def _id(table: str, user: int) -> bytes:
    return hashlib.sha256(f"{table} {user}".encode()).digest()


def _ids(users: int) -> Iterator[bytes]:
    return (_id(table, user) for user in range(users) for table in _SIZES)


async def _fill(path: Path, users: int) -> None:
    """Through the store's own schema, in the order of ids, which is quickest."""
    print(f"filling a store with {users} users", file=sys.stderr)
    await SqliteStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table, size in _SIZES.items():
            connection.executemany("INSERT INTO record VALUES (?, ?, 1, ?)", _rows(table, size, users))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _rows(table: str, size: int, users: int) -> Iterator[tuple[str, bytes, bytes]]:
    value = os.urandom(size)
    for record_id in sorted(_id(table, user) for user in range(users)):
        yield table, record_id, value


@dataclass(frozen=True, slots=True)
class _Spent:
    """Microseconds of processor time that a request costs a store."""

    forgotten: float
    """Of a user whom nobody has asked for in a while: three records read, one written."""
    known: float
    """Of one whose records the enclave still has: one written."""


async def _costs(few: Path, few_users: int, many: Path, many_users: int) -> tuple[_Spent, _Spent]:
    """What a request costs each store, in turns; the quietest of the rounds."""
    found: dict[str, list[_Spent]] = {"few": [], "many": []}
    source = random.Random(1)
    async with contextlib.AsyncExitStack() as stack:
        stores = SqliteStore(few), SqliteStore(many)
        for store in stores:
            stack.push_async_callback(store.close)
        for _ in range(15):
            found["few"].append(await _round(stores[0], source, few_users))
            found["many"].append(await _round(stores[1], source, many_users))
    few_us, many_us = (
        _Spent(min(one.forgotten for one in spent), min(one.known for one in spent)) for spent in found.values()
    )
    return few_us, many_us


async def _round(store: SqliteStore, source: random.Random, users: int, requests: int = 20 * _AT_ONCE) -> _Spent:
    chosen = [source.sample(range(users), _AT_ONCE) for _ in range(requests // _AT_ONCE)]
    start = time.process_time()
    for group in chosen:
        await asyncio.gather(*(_request(store, user) for user in group))
    forgotten = time.process_time() - start
    known = 0.0
    for group in ([source.randrange(users) for _ in range(_AT_ONCE)] for _ in chosen):
        keys = sorted({_key("nonce", user) for user in group}, key=lambda key: key.id)
        versions = [record.version for record in await store.get(keys) if record is not None]
        start = time.process_time()
        await asyncio.gather(*(_write(store, key, version) for key, version in zip(keys, versions, strict=True)))
        known += (time.process_time() - start) / len(keys) * _AT_ONCE
    return _Spent(forgotten / requests * 1e6, known / requests * 1e6)


def _key(table: str, user: int) -> RecordKey:
    return RecordKey(table, _id(table, user))


async def _request(store: SqliteStore, user: int) -> None:
    for table in ("account", "device"):
        await store.get([_key(table, user)])
    [found] = await store.get([_key("nonce", user)])
    assert found is not None
    await _write(store, _key("nonce", user), found.version)


async def _write(store: SqliteStore, key: RecordKey, version: int) -> None:
    await store.put([Write(key, version, version + 1, bytes(_SIZES["nonce"]))])


async def _signature_us(folder: Path, caches: int, users: int = 2 * CACHED, rounds: int = 15) -> float:
    """Of users of whom the enclave's caches hold `caches`, over a store in memory; the quietest of the rounds."""
    with caches_of(caches):
        world = World(folder, limits={"signatures_per_minute": 1_000_000, **MANY_MAILS})
        await world.boot()
        clients = [Client(world) for _ in range(users)]
        wallets = [(await world.log_in(c, f"user-{n}@example.com"))["signer"] for n, c in enumerate(clients)]
        spent = []
        for nonce in range(1, rounds + 1):
            asked = [sign_request(client, wallet, nonce) for client, wallet in zip(clients, wallets, strict=True)]
            start = time.process_time()
            for request in asked:
                assert (await world.enclave.answer(request)).status == 200
            spent.append((time.process_time() - start) / users)
        await world.stop()
    return min(spent) * 1e6


def main() -> int:
    """Print the figures; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_scale", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument(
        "--host-us", type=float, default=0.0, help="of a Sign, as `make bench` measures it; 0: left out"
    )
    arguments = parser.parse_args()
    figures = measure(arguments.users, arguments.host_us)
    for figure in figures:
        verdict = "" if figure.holds is None else f"  ({figure.target})  {'ok' if figure.holds else 'MISSED'}"
        print(f"{figure.name:<46} {figure.value:10.2f} {figure.unit}{verdict}")
    return 0 if all(figure.holds is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
