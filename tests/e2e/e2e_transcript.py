"""Everything that the host carries, and what must not be in it: taps on the host's side, and the true secrets.

The secrets are those of the very run: whoever knows all holder keys can open whatever the store holds, with the
enclave's own code. The holder keys are taken where the simulated holders make them.
"""

import base64
import hashlib
import os
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enclave import sealing, shamir
from enclave.accounts import Accounts
from enclave.config import Config, Holder
from enclave.deployment import Deployment
from enclave.generations import Generations
from enclave.holders import HolderKeys
from enclave.ports import DataKey
from enclave.records import Records
from enclave.secret import Secret
from enclave.shards import Owner, Shards, ShardSet
from enclave.system import SystemClock
from enclave.versions import SeenVersions
from evm.keccak import keccak256
from host_proxy import egress, framing
from host_proxy.store import SqliteStore
from protocol import frames
from protocol.services import RecordKey
from simulator.kms import faults
from simulator.kms import service as kms_service

PIECE_BYTES = 16


class Transcript:
    """Bytes by the place where they passed. Each place is one stream, so nothing hides between two reads."""

    def __init__(self) -> None:
        self._streams: dict[str, bytearray] = defaultdict(bytearray)
        self._turn = threading.Lock()

    def add(self, place: str, data: bytes) -> None:
        with self._turn:
            self._streams[place] += data

    def streams(self) -> dict[str, bytes]:
        with self._turn:
            return {place: bytes(stream) for place, stream in self._streams.items()}


class _Tee:
    """A reader that tells a transcript what was read."""

    def __init__(self, reader: Any, note: Callable[[bytes], None]) -> None:
        self._reader = reader
        self._note = note

    async def read(self, size: int) -> bytes:
        data: bytes = await self._reader.read(size)
        self._note(data)
        return data


@contextmanager
def tapped() -> Iterator[Transcript]:
    """Every host of this process is listened to: frames of both links in both directions, tunnels, store."""
    transcript = Transcript()
    receive, encode, pump = framing.FrameProtocol.data_received, frames.encode, egress._pump
    get, put = SqliteStore.get, SqliteStore.put

    def data_received(self: framing.FrameProtocol, data: bytes) -> None:
        transcript.add(f"from the enclave, connection {id(self)}", data)
        receive(self, data)

    def encoded(message: Any) -> bytes:
        frame = encode(message)
        transcript.add("to the enclave", frame)
        return frame

    async def pumped(reader: Any, writer: Any, moved: Callable[[int], None]) -> None:
        tee: Any = _Tee(reader, lambda data: transcript.add(f"tunnel {id(reader)}", data))
        await pump(tee, writer, moved)

    async def got(self: SqliteStore, keys: Any) -> Any:
        records = await get(self, keys)
        for record in records:
            transcript.add("store reads", record.value if record else b"")
        return records

    async def written(self: SqliteStore, writes: Any) -> None:
        for write in writes:
            transcript.add("store writes", write.key.table.encode() + write.key.id + write.value)
        await put(self, writes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing.FrameProtocol, "data_received", data_received)
        patch.setattr(framing, "encode", encoded)
        patch.setattr(egress, "_pump", pumped)
        patch.setattr(SqliteStore, "get", got)
        patch.setattr(SqliteStore, "put", written)
        yield transcript


@contextmanager
def holder_keys_noted() -> Iterator[dict[str, bytes]]:
    """The data key of each holder by its key ARN, noted where the simulated KMS discloses it."""
    keys: dict[str, bytes] = {}
    disclose = faults.disclose

    def noting(outcome: Any, *arguments: Any) -> dict[str, Any]:
        if outcome.secret:
            known = keys.setdefault(outcome.members["KeyId"], outcome.secret)
            assert known == outcome.secret, "one key for each holder"
        return disclose(outcome, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kms_service, "disclose", noting)
        yield keys


# --- the true secrets ---


class _KnownKeys:
    """Port `Kms` of one who knows all holder keys."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys

    async def generate_data_key(self, holder: Holder, context: Mapping[str, str]) -> DataKey:
        raise AssertionError("nothing new is made")

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        return Secret.take(bytearray(self._keys[holder.key_arn]))


@contextmanager
def _secrets_noted(found: dict[str, bytes]) -> Iterator[None]:
    """Whatever enclave code derives, opens or combines inside the block."""

    def noting(what: str, make: Callable[..., Secret]) -> Callable[..., Secret]:
        def made(*arguments: Any) -> Secret:
            secret = make(*arguments)
            found[f"{what} {len(found)}"] = bytes(secret.view)
            return secret

        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "derive", noting("derived key", sealing.derive))
        patch.setattr(sealing, "open_secret", noting("share", sealing.open_secret))
        patch.setattr(shamir, "combine", noting("combined scalar", shamir.combine))
        yield


@dataclass(frozen=True, slots=True)
class Opened:
    """What one who knows all holder keys gets out of a store: secrets by name, and the addresses of the wallets."""

    secrets: dict[str, bytes]
    wallets: set[str]


async def opened_with(keys: Mapping[str, bytes], config: Config, store_file: Path) -> Opened:
    """Holder keys, all shares, identity key, record secret, wallet keys, and every key that is derived on the way."""
    found = {f"holder key {arn}": key for arn, key in keys.items()}
    store = SqliteStore(store_file)
    clock = SystemClock()
    generations = Generations(
        lambda generation: HolderKeys(
            _KnownKeys(keys),
            deployment=config.deployment,
            holders=config.holders,
            threshold=config.threshold,
            clock=clock,
            lease_s=60,
            generation=generation,
        )
    )
    shards = Shards(generations, config.deployment, os.urandom)
    deployment = Deployment(config.deployment, store, generations, shards, os.urandom, SeenVersions())
    shape = (config.threshold, len(config.holders))
    addresses = set()

    async def all_shares(shares: ShardSet, owner: Owner) -> None:
        await generations.current.refresh()
        for index in range(1, shape[1] + 1):
            shards._open(generations.current, shares, owner, index)

    with _secrets_noted(found):
        secrets = await deployment.open()
        founded = await deployment.load()
        assert founded is not None
        await all_shares(founded.identity, deployment._owner("identity"))
        await all_shares(founded.record, deployment._owner("record"))
        records = Records(store, secrets.record_secret, config.deployment, clock.wall_ms, os.urandom)
        accounts = Accounts(records, shards, shape, os.urandom)
        for key in record_keys(store_file, "account"):
            account = await accounts.load(key)
            assert account is not None
            await all_shares(account.shards, account.owner)
            with await shards.open(account.shards, account.owner) as wallet_key:
                found[f"wallet key {account.address}"] = bytes(wallet_key.view)
            addresses.add(account.address)
    generations.close()
    await store.close()
    return Opened(found, addresses)


def record_keys(store_file: Path, table: str | None = None) -> list[RecordKey]:
    """Where the records in a store's file lie."""
    with closing(sqlite3.connect(store_file)) as database:
        rows = database.execute("SELECT name, id FROM record").fetchall()
    return [RecordKey(name, id_) for name, id_ in rows if table in (None, name)]


# --- searching ---


def spellings(value: bytes) -> Iterator[tuple[str, bytes]]:
    """`value` in every form in which it might be written down."""
    yield "raw", value
    yield "reversed", value[::-1]
    yield "hex", value.hex().encode()
    yield "HEX", value.hex().upper().encode()
    yield "decimal", str(int.from_bytes(value, "big")).encode()
    for shift in range(3):  # base64 of something longer that holds the value
        text = base64.b64encode(bytes(shift) + value)
        inner = text[-(-shift * 8 // 6) + (shift > 0) : len(text) - 4]
        yield f"base64+{shift}", inner
        yield f"base64url+{shift}", inner.replace(b"+", b"-").replace(b"/", b"_")


def pieces(secret: bytes) -> Iterable[bytes]:
    """The parts of a secret that are looked for; a secret cut in two is still a secret."""
    return [secret[start : start + PIECE_BYTES] for start in range(0, len(secret) - PIECE_BYTES + 1, PIECE_BYTES)]


def secrets_in(streams: Mapping[str, bytes], secrets: Mapping[str, bytes]) -> list[str]:
    """Which of `secrets` appear where, and how they are written."""
    return [
        f"{name} in {place}, {spelling}"
        for name, secret in secrets.items()
        for piece in pieces(secret)
        for spelling, text in spellings(piece)
        for place, stream in streams.items()
        if text in stream
    ]


def canaries_in(streams: Mapping[str, bytes], canaries: Mapping[str, str]) -> list[str]:
    """Which of `canaries` appear where: as they are, in another spelling, or as a hash that anybody can compute."""
    found = []
    for name, canary in canaries.items():
        plain = canary.encode()
        forms = [*spellings(plain), ("lower case", plain.lower())]
        for hash_name, digest in (("sha256", hashlib.sha256(plain).digest()), ("keccak256", keccak256(plain))):
            forms += [(f"{hash_name} {spelling}", text) for spelling, text in spellings(digest)]
        for place, stream in streams.items():
            found += [f"{name} in {place}, {spelling}" for spelling, text in forms if text in stream]
    return found
