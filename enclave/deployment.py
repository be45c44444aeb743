"""The deployment's own secrets, made once and opened at every boot (design section 6).

One record holds the wrapped holder keys of each generation in use and two sharded scalars: the identity key, which
signs session attestations and receipts, and the record secret, under which everything else is sealed. The record is
founded only if the store has none; an enclave that is shown an empty store founds a *new*, visibly different service
identity (RB-13): it cannot open or replace anything of the old one. Afterwards only rotation changes it, by writes that
name the version that they replace, and within a boot an older one is refused.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from enclave import curve
from enclave.errors import BootError, Refusal, StoreConflict, StoreError
from enclave.generations import Generation, Generations
from enclave.holder_key import WrappedHolderKey
from enclave.holders import HolderKeys
from enclave.ports import Store
from enclave.secret import Secret
from enclave.shards import Owner, Shards, ShardSet, read_shard_set
from enclave.versions import Step, Versions, claim
from protocol import cbor, errors
from protocol.errors import ProtocolError
from protocol.services import RecordKey, Write

_FORMAT: Final = "chancery/deployment/2"
_FIRST_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class DeploymentSecrets:
    """The opened secrets; they live until the enclave ends."""

    identity_key: Secret
    identity_public_key: bytes
    record_secret: Secret


@dataclass(frozen=True, slots=True)
class Founded:
    """The opened form of the record: generations, the last one current, and the two sharded scalars."""

    version: int
    generations: tuple[Generation, ...]
    identity: ShardSet
    record: ShardSet

    @property
    def current(self) -> int:
        """The number of the current generation."""
        return self.generations[-1].number

    def encode(self) -> bytes:
        """What the store keeps."""
        generations = [
            [made.superseded_s, [[w.name, w.ciphertext_blob, w.generation, w.key_check] for w in made.wrapped]]
            for made in self.generations
        ]
        return cbor.dumps([_FORMAT, generations, self.identity.body(), self.record.body()])


class Deployment:
    """Opens the deployment record, or founds it, and changes its generations."""

    def __init__(
        self,
        name: str,
        store: Store,
        generations: Generations,
        shards: Shards,
        random: Callable[[int], bytes],
        versions: Versions,
    ) -> None:
        """`versions`: of which records which has been seen in this boot."""
        self._name = name
        self._store = store
        self._generations = generations
        self._shards = shards
        self._random = random
        self._key = RecordKey("deployment", hashlib.sha256(f"{_FORMAT}/{name}".encode()).digest())
        self._versions = versions
        generations.learn_from(self.learn)

    async def open(self) -> DeploymentSecrets:
        """The secrets of this deployment. `Refusal`, `PortError` or `BootError` when they cannot be opened."""
        founded = await self.load() or await self._found()
        identity_key = await self._shards.open(founded.identity, self._owner("identity"))
        record_secret = await self._shards.open(founded.record, self._owner("record"))
        return DeploymentSecrets(identity_key, founded.identity.public_key, record_secret)

    async def load(self) -> Founded | None:
        """The record as the store has it, its generations adopted. `StoreError`, `BootError`, or STALE_RECORD."""
        [stored] = await self._store.get([self._key])
        if (0 if stored is None else stored.version) < self._versions.floor(self._key.id):
            raise Refusal(errors.STALE_RECORD)
        if stored is None:
            return None
        try:
            founded = self._read(stored.version, cbor.loads(stored.value))
        except (ProtocolError, Refusal):
            raise BootError("deployment-record", "the stored deployment record is damaged") from None
        self._generations.adopt(founded.generations)
        self._versions.rise(self._key.id, stored.version)
        return founded

    async def learn(self) -> None:
        """Adopt generations that another enclave has made. What is wrong with the record is as if it had none."""
        with contextlib.suppress(StoreError, BootError, Refusal):
            await self.load()

    async def rotate(self, founded: Founded, secrets: DeploymentSecrets, now_s: int) -> None:
        """Put a new generation on top, with the deployment's own secrets split anew under it. `BootError`, `Refusal`
        BUSY when somebody else changed the record first, or `StoreError`, after which it is unknown.
        """
        keys, made = await self._generations.provision(founded.current + 1)
        version = founded.version + 1
        *earlier, last = founded.generations
        generations = (*earlier, replace(last, superseded_s=now_s), made)
        with _closed_on_failure(keys):
            identity = await self._split(secrets.identity_key, "identity", version, keys)
            record = await self._split(secrets.record_secret, "record", version, keys)
            if not await self._write(founded.version, Founded(version, generations, identity, record)):
                raise Refusal(errors.BUSY)
        self._generations.use(keys, generations)

    async def retire(self, founded: Founded, numbers: Collection[int]) -> None:
        """Forget generations that nothing lies under any more. `Refusal` BUSY, or `StoreError`."""
        kept = tuple(made for made in founded.generations if made.number not in numbers)
        if not await self._write(founded.version, replace(founded, version=founded.version + 1, generations=kept)):
            raise Refusal(errors.BUSY)
        self._generations.adopt(kept)

    async def _write(self, expected: int, founded: Founded) -> bool:
        """Whether the record is now `founded`; not when somebody else wrote it first. `StoreError`: unknown."""
        steps = [Step(self._key.id, expected, founded.version)]
        await claim(self._versions, steps)
        try:
            if self._versions.floor(self._key.id) > expected:
                return False
            await self._store.put([Write(self._key, expected, founded.version, founded.encode())])
            return self._versions.agree(steps)
        except StoreConflict:
            return False
        finally:
            self._versions.release(steps)

    def _read(self, version: int, body: Any) -> Founded:
        match body:
            case [str(form), list(generations), identity, record] if form == _FORMAT and generations:
                current = self._generations.current
                shape = {"threshold": current.threshold, "count": current.count}
                made = tuple(map(_read_generation, generations))
                return Founded(version, made, read_shard_set(identity, **shape), read_shard_set(record, **shape))
        raise ProtocolError("deployment-record")

    async def _found(self) -> Founded:
        keys, made = await self._generations.found()
        with _closed_on_failure(keys):
            identity, record = await self._new("identity", keys), await self._new("record", keys)
            founded = Founded(_FIRST_VERSION, (made,), identity, record)
            if await self._write(0, founded):
                self._generations.use(keys, founded.generations)
                return founded
        keys.close()
        theirs = await self.load()  # another worker founded it first: its record is the deployment
        if theirs is None:
            raise BootError("deployment-record", "the store contradicts itself")
        return theirs

    async def _new(self, purpose: str, keys: HolderKeys) -> ShardSet:
        with curve.random_scalar(self._random) as scalar:
            return await self._split(scalar, purpose, _FIRST_VERSION, keys)

    async def _split(self, scalar: Secret, purpose: str, version: int, keys: HolderKeys) -> ShardSet:
        return await self._shards.split(scalar, self._owner(purpose), version, keys)

    def _owner(self, purpose: str) -> Owner:
        return Owner(purpose, "", hashlib.sha256(f"{self._name}/{purpose}".encode()).digest(), bytes(32))


@contextlib.contextmanager
def _closed_on_failure(keys: HolderKeys) -> Iterator[None]:
    """Keys that nothing will lie under do not stay in memory."""
    try:
        yield
    except BaseException:
        keys.close()
        raise


def _read_generation(body: Any) -> Generation:
    match body:
        case [int() | None as superseded_s, list(wrapped)] if wrapped:
            return Generation(tuple(map(_read_wrapped, wrapped)), superseded_s)
    raise ProtocolError("deployment-record")


def _read_wrapped(body: Any) -> WrappedHolderKey:
    match body:
        case [str(name), bytes(blob), int(generation), bytes(check)]:
            return WrappedHolderKey(name=name, ciphertext_blob=blob, generation=generation, key_check=check)
    raise ProtocolError("deployment-record")
