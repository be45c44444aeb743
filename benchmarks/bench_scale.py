"""What more users cost: the store with a thousand and with a million of them, and the enclave's memory for each.

    python -m benchmarks.bench_scale [--users 1000000]

The store is filled with records of the sizes that real users have, then asked what a signature asks of it: an account
and a device that nobody has asked for in a while, and one durable write of a nonce. The enclave's memory is what stays
for each further user once its bounded caches are full. A million users take two minutes and three gigabytes of disk.
"""

import argparse
import asyncio
import contextlib
import functools
import gc
import hashlib
import os
import random
import sqlite3
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

from attestation.lru import Lru
from benchmarks.report import Figure
from benchmarks.stages import sign_request
from enclave.versions import SeenVersions
from host_proxy.store import SqliteStore
from protocol.services import RecordKey, Write
from simulator.enclaves import SOURCE_ROOT
from tests.appliance import Client, World

_SIZES = {"account": 1250, "address": 100, "device": 720, "nonce": 62}
"""Bytes of a sealed record in each table, as a first login and a signature leave them."""
_FEW = 1000
_AT_ONCE = 64
_BYTES_PER_USER = 400
_SLOWER = 1.1
_CACHED = 50
_FUNCTION_CACHE = type(functools.lru_cache(lambda: None))


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
        sign_us = await _signature_us(Path(folder))
        grown, versions = await _bytes_per_user(Path(folder)), _bytes_of_versions()
    return [
        Figure(f"store, {_FEW} users", few_us, "µs of processor time a request"),
        Figure(f"store, {users} users", many_us, "µs of processor time a request"),
        Figure("enclave, one signature", sign_us, "µs of processor time"),
        Figure("a whole request, to each other", 1 + (many_us - few_us) / (host_us + sign_us), "x", at_most=_SLOWER),
        Figure("enclave, seen versions", versions, "bytes a user"),
        Figure("enclave, all else", grown, "bytes a user"),
        Figure("enclave, together", versions + grown, "bytes a user", at_most=_BYTES_PER_USER),
    ]


def _id(table: str, user: int) -> bytes:
    return hashlib.sha256(f"{table} {user}".encode()).digest()


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


async def _costs(few: Path, few_users: int, many: Path, many_users: int) -> tuple[float, float]:
    """Microseconds for a request to each store, in turns; the quietest of the rounds."""
    rounds: list[tuple[float, float]] = []
    stores = SqliteStore(few), SqliteStore(many)
    source = random.Random(1)
    try:
        for _ in range(15):
            spent = [
                await _round(store, source, users) for store, users in zip(stores, (few_users, many_users), strict=True)
            ]
            rounds.append((spent[0], spent[1]))
    finally:
        for store in stores:
            await store.close()
    few_us, many_us = map(min, zip(*rounds, strict=True))
    return few_us, many_us


async def _round(store: SqliteStore, source: random.Random, users: int, requests: int = 20 * _AT_ONCE) -> float:
    start = time.process_time()
    for _ in range(requests // _AT_ONCE):
        await asyncio.gather(*(_request(store, user) for user in source.sample(range(users), _AT_ONCE)))
    return (time.process_time() - start) / requests * 1e6


async def _request(store: SqliteStore, user: int) -> None:
    account, device, nonce = (RecordKey(table, _id(table, user)) for table in ("account", "device", "nonce"))
    await store.get([account])
    await store.get([device])
    [found] = await store.get([nonce])
    if found is not None:
        await store.put([Write(nonce, found.version, found.version + 1, bytes(_SIZES["nonce"]))])


async def _signature_us(folder: Path, signatures: int = 20 * _AT_ONCE) -> float:
    world = World(folder, limits={"signatures_per_minute": 1_000_000})
    await world.boot()
    client = Client(world)
    wallet = (await world.log_in(client))["signer"]
    asked = [sign_request(client, wallet, nonce) for nonce in range(1, signatures + 1)]
    spent = []
    for batch in range(0, signatures, _AT_ONCE):
        start = time.process_time()
        for request in asked[batch : batch + _AT_ONCE]:
            assert (await world.enclave.answer(request)).status == 200
        spent.append((time.process_time() - start) / len(asked[batch : batch + _AT_ONCE]))
    await world.stop()
    return min(spent) * 1e6


async def _bytes_per_user(folder: Path, warm: int = 200, users: int = 600) -> float:
    """Log in and sign once as `users` users beyond those that fill the caches, here made small; what stays of each."""
    with _small_caches():
        world = World(folder, limits={"mails_per_scope": 1_000_000, "mails_total_per_window": 1_000_000})
        store = SqliteStore(folder / "store.sqlite")  # its records are not in the memory that counts
        world.store = store  # type: ignore[assignment]
        await world.boot()
        tracemalloc.start()
        for number in range(warm):
            await _touch(world, number)
        before = await _settled(world, warm)
        for number in range(warm + 1, warm + 1 + users):
            await _touch(world, number)
        grown = await _settled(world, warm + 1 + users) - before
        tracemalloc.stop()
        await world.stop()
        await store.close()
    return grown / users


@contextlib.contextmanager
def _small_caches() -> Iterator[None]:
    make = Lru.__init__

    def small(self: Lru[Any, Any], capacity: int) -> None:
        make(self, min(capacity, _CACHED))

    with (
        mock.patch.object(Lru, "__init__", small),
        mock.patch("enclave.nonces._CACHED_NONCES", _CACHED),
        mock.patch("enclave.versions._FIRST_SLOTS", 1024),  # measured apart, since it grows by steps
    ):
        yield


def _bytes_of_versions(users: int = 100_000) -> float:
    table = SeenVersions()
    for user in range(users):
        for name in _SIZES:
            table.rise(_id(name, user), 1)
    return table.size_bytes / users


async def _settled(world: World, number: int) -> int:
    """Bytes in use once windows of time have passed, caches of functions are empty, and one more user came."""
    await world.pass_time(3600)
    await _touch(world, number)
    for cache in [item for item in gc.get_objects() if isinstance(item, _FUNCTION_CACHE)]:
        cache.cache_clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _touch(world: World, number: int) -> None:
    client = Client(world)
    result = await world.log_in(client, f"user-{number}@example.com")
    await client.sign(result["signer"]["address"], number.to_bytes(32, "big"))
    world.mailer.sent.clear()


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
        print(f"{figure.name:<24} {figure.value:10.2f} {figure.unit}{verdict}")
    return 0 if all(figure.holds is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
