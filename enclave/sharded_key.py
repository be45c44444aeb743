"""A key that belongs to no user: made once, in shares like a wallet's, opened for one signature at a time."""

from collections.abc import Callable

from enclave import curve
from enclave.errors import Refusal
from enclave.records import Change, Conflict, Record, Records
from enclave.shards import Owner, Shards, ShardSet, read_shard_set
from evm.address import Address, parse_address
from protocol import errors
from protocol.services import RecordKey

_TRIES = 4


class ShardedKey:
    """The key in the record at `key`; `owner` is bound into every share of it."""

    def __init__(
        self,
        records: Records,
        shards: Shards,
        shape: tuple[int, int],
        random: Callable[[int], bytes],
        *,
        key: RecordKey,
        owner: Owner,
    ) -> None:
        """`shape` is (threshold, count) of the holders."""
        self._records = records
        self._shards = shards
        self._shape = shape
        self._random = random
        self._key = key
        self._owner = owner

    async def address(self) -> Address:
        """Whose signatures these are. The key is made at the first call; `Refusal` otherwise."""
        return parse_address(curve.address((await self._find_or_create()).public_key))

    async def sign(self, digest: bytes) -> bytes:
        """`r || s || v` (65 bytes, low s, v 27 or 28) over `digest`; `Refusal` where nothing was signed."""
        shards = await self._find_or_create()
        with await self._shards.open(shards, self._owner) as key:
            compact, parity = curve.sign(key, digest, shards.public_key)
        return compact + bytes([27 + parity])

    async def renew(self) -> None:
        """Split the key anew if it lies under an earlier generation of holder keys, and fill in missing shares.

        One conditional write; the key and its address stay. `Refusal`.
        """
        for _ in range(_TRIES):
            record = await self._record()
            if record is None:
                return
            shards, version = self._read(record), self._records.next_version(record.version)
            renewed = await self._shards.renew(shards, self._owner, version)
            if renewed is shards:
                return
            try:
                await self._records.save(Change(self._key, record.version, version, renewed.body()))
            except Conflict:  # another worker renewed it first
                continue
            return
        raise Refusal(errors.BUSY)

    async def _find_or_create(self) -> ShardSet:
        for _ in range(_TRIES):
            record = await self._record()
            if record is not None:
                return self._read(record)
            version = self._records.next_version(0)
            with curve.random_scalar(self._random) as scalar:
                made = await self._shards.split(scalar, self._owner, version)
            try:
                await self._records.save(self._records.change(self._key, 0, made.body()))
            except Conflict:  # another worker made it first: its key is the key
                continue
        raise Refusal(errors.STALE_RECORD)

    async def _record(self) -> Record | None:
        [record] = await self._records.load(self._key)
        return record

    def _read(self, record: Record) -> ShardSet:
        threshold, count = self._shape
        return read_shard_set(record.body, threshold=threshold, count=count)
