"""Accounts: one sealed record for each identity in a scope, holding the wallet's shares and the list of device keys.

An account is created at first login by a write that demands "no record yet", so concurrent first logins get one wallet
(the loser reads the winner's), and "not found" is never enough to make a second one (RB-02).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from attestation.lru import Lru
from attestation.session import identity_hash
from enclave import curve
from enclave.errors import Refusal
from enclave.identity import Identity, read_identity
from enclave.records import Change, Conflict, Record, Records
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
    identity_hash: bytes = field(init=False)
    """The subject of this account's session attestations: a salted hash, 32 bytes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity_hash", identity_hash(self.salt, self.scope, self.identity.text))

    @property
    def owner(self) -> Owner:
        """What the wallet's shares are bound to."""
        return Owner("wallet", self.scope, self.key.id, self.identity_hash)

    def body(self) -> list[Any]:
        """What the record keeps."""
        return [self.scope, self.identity.body(), self.address, self.shards.body(), list(self.devices)]


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
        [record] = await self._records.load(key)
        if record is None:
            account = await self._new(key, scope, identity)
            index = self._records.change(self._address_key(scope, account.address), 0, [key.id])
            try:
                await self._records.save(Change(key, 0, account.version, account.body()), index)
                return self._remember(account)
            except Conflict:  # a concurrent first login won; its wallet is the wallet
                [record] = await self._records.load(key)
            if record is None:  # the store says "not there", and yet there is something in the way
                raise Refusal(errors.STALE_RECORD)
        return self._remember(await self._mended(self._read(record)))

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
            changed = replace(account, devices=devices, version=self._records.next_version(account.version))
            self._cache.drop(account.key.id)
            try:
                await self._save(account, changed)
            except Conflict:
                current = await self.load(account.key)
                if current is None or current.version <= account.version:  # a newer one must be in the way
                    raise Refusal(errors.STALE_RECORD) from None
                account = current
                continue
            return self._remember(changed)
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
            version = self._records.next_version(0)
            shards = await self._shards.split(scalar, owner, version)
        return Account(key, version, scope, identity, salt, address, shards, ())

    async def _mended(self, account: Account) -> Account:
        version = self._records.next_version(account.version)
        shards = await self._shards.mend(account.shards, account.owner, version)
        if shards is account.shards:
            return account
        mended = replace(account, shards=shards, version=version)
        try:
            await self._save(account, mended)
        except Conflict:  # somebody else mended or enrolled a device; theirs is as good
            return account
        return mended

    async def _save(self, account: Account, changed: Account) -> None:
        await self._records.save(Change(account.key, account.version, changed.version, changed.body()))

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
