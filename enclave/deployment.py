"""The deployment's own secrets, made once and opened at every boot (design section 6).

One record holds the wrapped holder keys and two sharded scalars: the identity key, which signs session attestations and
receipts, and the record secret, under which everything else is sealed. The record is written only if the store has
none; an enclave that is shown an empty store founds a *new*, visibly different service identity (RB-13): it cannot open
or replace anything of the old one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from enclave import curve
from enclave.errors import BootError, Refusal, StoreConflict
from enclave.holder_key import WrappedHolderKey
from enclave.holders import HolderKeys
from enclave.ports import Store
from enclave.secret import Secret
from enclave.shards import Owner, Shards, ShardSet, read_shard_set
from protocol import cbor
from protocol.errors import ProtocolError
from protocol.services import RecordKey, Write

_FORMAT: Final = "chancery/deployment/1"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class DeploymentSecrets:
    """The opened secrets; they live until the enclave ends."""

    identity_key: Secret
    identity_public_key: bytes
    record_secret: Secret


@dataclass(frozen=True, slots=True)
class _Founded:
    holders: tuple[WrappedHolderKey, ...]
    identity: ShardSet
    record: ShardSet

    def encode(self) -> bytes:
        wrapped = [[w.name, w.ciphertext_blob, w.generation, w.key_check] for w in self.holders]
        return cbor.dumps([_FORMAT, wrapped, self.identity.body(), self.record.body()])


class Deployment:
    """Opens the deployment record, or founds it."""

    def __init__(
        self, name: str, store: Store, holders: HolderKeys, shards: Shards, random: Callable[[int], bytes]
    ) -> None:
        self._name = name
        self._store = store
        self._holders = holders
        self._shards = shards
        self._random = random
        self._key = RecordKey("deployment", hashlib.sha256(f"{_FORMAT}/{name}".encode()).digest())

    async def open(self) -> DeploymentSecrets:
        """The secrets of this deployment. `Refusal`, `PortError` or `BootError` when they cannot be opened."""
        founded = await self._load()
        if founded is None:
            founded = await self._found()
        else:
            self._holders.adopt(founded.holders)
        identity_key = await self._shards.open(founded.identity, self._owner("identity"))
        record_secret = await self._shards.open(founded.record, self._owner("record"))
        return DeploymentSecrets(identity_key, founded.identity.public_key, record_secret)

    async def _load(self) -> _Founded | None:
        [stored] = await self._store.get([self._key])
        if stored is None:
            return None
        try:
            return self._read(cbor.loads(stored.value))
        except (ProtocolError, Refusal):
            raise BootError("deployment-record", "the stored deployment record is damaged") from None

    def _read(self, body: Any) -> _Founded:
        match body:
            case [str(form), list(wrapped), identity, record] if form == _FORMAT:
                shape = {"threshold": self._holders.threshold, "count": self._holders.count}
                holders = tuple(_read_wrapped(item) for item in wrapped)
                return _Founded(holders, read_shard_set(identity, **shape), read_shard_set(record, **shape))
        raise ProtocolError("deployment-record")

    async def _found(self) -> _Founded:
        wrapped = await self._holders.provision()
        founded = _Founded(tuple(wrapped), await self._new("identity"), await self._new("record"))
        try:
            await self._store.put([Write(self._key, 0, _VERSION, founded.encode())])
        except StoreConflict:  # another worker founded it first: its record is the deployment
            theirs = await self._load()
            if theirs is None:
                raise BootError("deployment-record", "the store contradicts itself") from None
            self._holders.adopt(theirs.holders)
            return theirs
        return founded

    async def _new(self, purpose: str) -> ShardSet:
        with curve.random_scalar(self._random) as scalar:
            return await self._shards.split(scalar, self._owner(purpose), _VERSION)

    def _owner(self, purpose: str) -> Owner:
        return Owner(purpose, "", hashlib.sha256(f"{self._name}/{purpose}".encode()).digest(), bytes(32))


def _read_wrapped(body: Any) -> WrappedHolderKey:
    match body:
        case [str(name), bytes(blob), int(generation), bytes(check)]:
            return WrappedHolderKey(name=name, ciphertext_blob=blob, generation=generation, key_check=check)
    raise ProtocolError("deployment-record")
