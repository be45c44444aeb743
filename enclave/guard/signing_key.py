"""The guard's own key: made once in a deployment, in shares like a wallet's, opened for one signature at a time."""

from collections.abc import AsyncIterator, Callable

from enclave import curve
from enclave.errors import Refusal
from enclave.records import Change, Conflict, Record, Records
from enclave.shards import Owner, Shards, ShardSet, read_shard_set
from evm.address import Address, parse_address
from protocol import errors

_TRIES = 4


class GuardKey:
    """Opened by `open`, which finds the key or makes it."""

    def __init__(
        self, records: Records, shards: Shards, shape: tuple[int, int], random: Callable[[int], bytes]
    ) -> None:
        """`shape` is (threshold, count) of the holders."""
        self._records = records
        self._shards = shards
        self._shape = shape
        self._random = random
        self._key = records.key("guard-key")
        self._owner = Owner("guard", "", self._key.id, bytes(32))

    async def address(self) -> Address:
        """Whose signatures these are. The key is made at the first call in a deployment; `Refusal` otherwise."""
        return _address(await self._find_or_create())

    async def sign(self, digest: bytes) -> bytes:
        """`r || s || v` (65 bytes, low s, v 27 or 28) over `digest`; `Refusal` where nothing was signed."""
        shards = await self._find_or_create()
        with await self._shards.open(shards, self._owner) as key:
            compact, parity = curve.sign(key, digest, shards.public_key)
        return compact + bytes([27 + parity])

    async def renew(self) -> None:
        """Split the key anew if it lies under an earlier generation of holder keys, and fill in the shares of holders
        that were away. One conditional write; the key and its address stay. `Refusal`.
        """
        for _ in range(_TRIES):
            record = await self._record()
            if record is None:
                return
            version = self._records.next_version(record.version)
            shards = self._read(record)
            renewed = await self._shards.renew(shards, self._owner, version)
            if renewed is shards:
                return
            try:
                await self._records.save(Change(self._key, record.version, version, renewed.body()))
            except Conflict:  # another worker renewed it first
                continue
            return
        raise Refusal(errors.BUSY)

    async def renewing(self, _after: bytes, _most: int) -> AsyncIterator[bytes]:
        """The walk of a rotation: there is this one key, whatever the store lists."""
        await self.renew()
        nothing_more: tuple[bytes, ...] = ()
        for id_ in nothing_more:
            yield id_

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


def _address(shards: ShardSet) -> Address:
    return parse_address(curve.address(shards.public_key))
