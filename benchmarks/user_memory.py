"""How many bytes of the enclave's memory each further user takes, once its bounded caches are full."""

import contextlib
import functools
import gc
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from attestation.lru import Lru
from enclave.versions import SeenVersions
from host_proxy.store import SqliteStore
from tests.appliance import Client, World

CACHED = 50
MANY_MAILS = {"mails_per_scope": 1_000_000, "mails_total_per_window": 1_000_000}
_FUNCTION_CACHE = type(functools.lru_cache(lambda: None))


async def bytes_per_user(folder: Path, warm: int = 200, users: int = 600) -> float:
    """Log in and sign once as `users` users beyond those that fill the caches, here made small; what stays of each."""
    with caches_of(CACHED):
        world = World(folder, limits=MANY_MAILS)
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
def caches_of(users: int) -> Iterator[None]:
    """The enclave's caches of what belongs to users hold no more than so many."""
    make = Lru.__init__

    def small(self: Lru[Any, Any], capacity: int) -> None:
        make(self, min(capacity, users))

    with (
        mock.patch.object(Lru, "__init__", small),
        mock.patch("enclave.nonces._CACHED_NONCES", users),
        mock.patch("enclave.versions._FIRST_SLOTS", 1024),  # measured apart, since it grows by steps
    ):
        yield


def bytes_of_versions(ids: Iterable[bytes], users: int) -> float:
    """Of the table of versions seen, for each of `users` to whom the records of `ids` belong."""
    table = SeenVersions()
    for record_id in ids:
        table.rise(record_id, 1)
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
