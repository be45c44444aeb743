"""Accounts: one sealed record for each identity in a scope, holding the wallet's shares and the list of device keys.

An account is created at first login by a write that demands "no record yet", so concurrent first logins get one wallet
(the loser reads the winner's), and "not found" is never enough to make a second one (RB-02).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from attestation.lru import Lru
from attestation.session import identity_hash
from enclave import curve
from enclave.errors import Refusal
from enclave.identity import Identity, read_identity
from enclave.records import Conflict, Record, Records, first
from enclave.secret import Secret
from enclave.sessions import VerifiedSession
from enclave.shards import Owner, Shards, ShardSet, read_shard_set
from protocol import errors, limits
from protocol.services import RecordKey

_CACHED_ACCOUNTS: Final = 10_000  # public parts and sealed shares


@dataclass(frozen=True, slots=True)
class Account:
    """An opened account record. `address` is the wallet's, lower case; `devices` are `keyType:address` texts."""

    key: RecordKey
    version: int
    scope: str
    identity: Identity
    salt: bytes
    address: str
    shards: ShardSet
    devices: tuple[str, ...]

    @property
    def identity_hash(self) -> bytes:
        """The subject of this account's session attestations: a salted hash, 32 bytes."""
        return identity_hash(self.salt, self.scope, self.identity.text)

    @property
    def owner(self) -> Owner:
        """What the wallet's shares are bound to."""
        return Owner("wallet", self.scope, self.key.id, self.identity_hash)

    def record(self) -> Record:
        """The record to save in place of the one that was loaded."""
        body = [self.scope, self.identity.body(), self.address, self.shards.body(), list(self.devices)]
        return Record(self.key, self.version + 1, body)


class Accounts:
    """Finds, creates and changes accounts; opens a wallet key for a verified session and in no other way."""

    def __init__(
        self, records: Records, shards: Shards, shape: tuple[int, int], random: Callable[[int], bytes]
    ) -> None:
        """`shape` is (threshold, count) of the holders."""
        self._records = records
        self._shards = shards
        self._threshold, self._count = shape
        self._random = random
        self._cache: Lru[bytes, Account] = Lru(_CACHED_ACCOUNTS)

    def key(self, scope: str, identity: Identity) -> RecordKey:
        """Where the account of `identity` in `scope` lies."""
        return self._records.key("account", scope, identity.text)

    async def find_or_create(self, scope: str, identity: Identity) -> Account:
        """The account, created with a fresh wallet at first login."""
        key = self.key(scope, identity)
        while True:
            [record] = await self._records.load(key)
            if record is not None:
                return self._remember(await self._mended(self._read(record)))
            account = await self._new(key, scope, identity)
            index = first(self._address_key(scope, account.address), [key.id])
            try:
                await self._records.save(account.record(), index)
            except Conflict:  # a concurrent first login won; its wallet is the wallet
                continue
            return self._remember(replace(account, version=1))

    async def load(self, key: RecordKey) -> Account | None:
        """The account at `key`, or None. Answered from the cache: what it shows (shares, address) never goes stale."""
        cached = self._cache.get(key.id)
        if cached is not None:
            return cached
        [record] = await self._records.load(key)
        return None if record is None else self._remember(self._read(record))

    async def find_by_address(self, scope: str, address: str) -> Account | None:
        """The account whose wallet has `address` (lower case) in `scope`, or None."""
        [index] = await self._records.load(self._address_key(scope, address))
        if index is None:
            return None
        match index.body:
            case [bytes(id_)]:
                account = await self.load(RecordKey("account", id_))
                if account is not None and account.address == address and account.scope == scope:
                    return account
        raise Refusal(errors.DATA_INTEGRITY_ERROR)

    async def add_device(self, account: Account, device: str) -> Account:
        """The account with `device` in its list; the oldest leaves when the list is full."""
        while device not in account.devices:
            devices = (*account.devices, device)[-limits.MAX_DEVICES_PER_ACCOUNT :]
            changed = replace(account, devices=devices)
            self._cache.drop(account.key.id)
            try:
                await self._records.save(changed.record())
            except Conflict:
                current = await self.load(account.key)
                if current is None:
                    raise Refusal(errors.STALE_RECORD) from None
                account = current
                continue
            return self._remember(replace(changed, version=account.version + 1))
        return account

    async def open_wallet(self, session: VerifiedSession, account: Account) -> Secret:
        """The wallet key, for one signature: wipe it at once. SESSION_MISMATCH unless it is the session's."""
        if session.scope != account.scope or session.identity_hash != account.identity_hash:
            raise Refusal(errors.SESSION_MISMATCH)
        return await self._shards.open(account.shards, account.owner)

    async def _new(self, key: RecordKey, scope: str, identity: Identity) -> Account:
        with curve.random_scalar(self._random) as scalar:
            address = curve.address(curve.public_key(scalar))
            salt = self._records.salt(key)
            owner = Owner("wallet", scope, key.id, identity_hash(salt, scope, identity.text))
            shards = await self._shards.split(scalar, owner, record_version=1)
        return Account(key, 0, scope, identity, salt, address, shards, ())

    async def _mended(self, account: Account) -> Account:
        shards = await self._shards.mend(account.shards, account.owner, account.version + 1)
        if shards is account.shards:
            return account
        mended = replace(account, shards=shards)
        try:
            await self._records.save(mended.record())
        except Conflict:  # somebody else mended or enrolled a device; theirs is as good
            return account
        return replace(mended, version=account.version + 1)

    def _remember(self, account: Account) -> Account:
        self._cache.put(account.key.id, account)
        return account

    def _address_key(self, scope: str, address: str) -> RecordKey:
        return self._records.key("address", scope, address)

    def _read(self, record: Record) -> Account:
        match record.body:
            case [str(scope), identity, str(address), shards, list(devices)] if _all_text(devices):
                account = Account(
                    key=record.key,
                    version=record.version,
                    scope=scope,
                    identity=read_identity(identity),
                    salt=self._records.salt(record.key),
                    address=address,
                    shards=read_shard_set(shards, threshold=self._threshold, count=self._count),
                    devices=tuple(devices),
                )
                if account.key == self.key(scope, account.identity):
                    return account
        raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _all_text(values: list[Any]) -> bool:
    return all(type(value) is str for value in values)
