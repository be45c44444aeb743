"""Accounts in the store: found by a login or a wallet's address, made at first login, changed one change at a time.

First login writes the login's slot and the account together, on the condition that neither exists: concurrent first
logins get one wallet (the loser reads the winner's), and "not found" is never enough to make a second one (RB-02).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from weakref import WeakValueDictionary

from attestation.lru import Lru
from attestation.session import identity_hash
from enclave import curve
from enclave.account import Account, LoginSlot, is_deleted, read_account, read_slot
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.records import Change, Conflict, Record, Records
from enclave.secret import Secret
from enclave.sessions import VerifiedSession
from enclave.shards import Owner, Shards
from protocol import errors, limits
from protocol.services import RecordKey

_CACHED_ACCOUNTS: Final = 10_000  # public parts and sealed shares
_TRIES: Final = 8  # against other workers; changes of one worker wait for each other

Alter = Callable[[Account], Account]
Evict = Callable[[str], Awaitable[object]]


class Accounts:
    """Finds, creates and changes accounts; opens a wallet key for a verified session and in no other way."""

    def __init__(
        self, records: Records, shards: Shards, shape: tuple[int, int], random: Callable[[int], bytes]
    ) -> None:
        """`shape` is (threshold, count) of the holders."""
        self._records = records
        self._shards = shards
        self._shape = shape
        self._random = random
        self._cache: Lru[bytes, Account] = Lru(_CACHED_ACCOUNTS)
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def find_or_create(self, scope: str, identity: Identity, *, anew: bool = False) -> Account:
        """The account that a login leads to, created with a fresh wallet at first login.

        A closed login is ACCOUNT_CLOSED; with `anew` it gets a fresh wallet, because its owner has asked for one.
        """
        lock = self._locks.setdefault(self._slot_key(scope, identity).id, asyncio.Lock())
        async with lock:  # one at a time, so that not even a store that agrees to everything can make two
            for _ in range(_TRIES):
                slot = await self.slot(scope, identity)
                if slot is not None and slot.account_id is not None:
                    return await self._led_to(slot.account_id, identity)
                if slot is not None and not anew:
                    raise Refusal(errors.ACCOUNT_CLOSED)
                account = await self._new(scope, identity)
                created = Change(account.key, 0, account.version, account.body())
                try:
                    await self._records.save(created, self.point(slot, scope, identity, account.key.id))
                except Conflict:  # a first login elsewhere won; its wallet is the wallet
                    continue
                return self._remember(account)
        raise Refusal(errors.STALE_RECORD)  # the store says "not there", and yet there is something in the way

    async def find(self, scope: str, identity: Identity) -> Account:
        """The account that a login leads to; SIGNER_NOT_FOUND or ACCOUNT_CLOSED where it leads nowhere."""
        slot = await self.slot(scope, identity)
        if slot is None:
            raise Refusal(errors.SIGNER_NOT_FOUND)
        if slot.account_id is None:
            raise Refusal(errors.ACCOUNT_CLOSED)
        return await self._led_to(slot.account_id, identity)

    async def load(self, key: RecordKey) -> Account | None:
        """The account at `key`; None if there is none or it was deleted. Changes of this enclave show at once."""
        account = self._cached(key)
        if account is None:
            fetched = await self._fetch(key)
            account = None if fetched is None else self._remember(fetched)
        return account

    async def find_by_address(self, scope: str, address: str) -> Account | None:
        """The account whose wallet has `address` (lower case) in `scope`, or None."""
        account = await self.load(self._key(scope, address))
        if account is None or (account.address, account.scope) == (address, scope):
            return account
        raise Refusal(errors.DATA_INTEGRITY_ERROR)

    async def slot(self, scope: str, identity: Identity) -> LoginSlot | None:
        """Where a login leads, or None if it never led anywhere."""
        [record] = await self._records.load(self._slot_key(scope, identity))
        return None if record is None else read_slot(record.version, record.body, scope, identity)

    def point(self, slot: LoginSlot | None, scope: str, identity: Identity, account_id: bytes | None) -> Change:
        """The write that makes a login lead to `account_id`, or closes it, in place of what `slot` says."""
        pointed = LoginSlot(0 if slot is None else slot.version, scope, identity, account_id)
        return self._records.change(self._slot_key(scope, identity), pointed.version, pointed.body())

    def replacement(self, account: Account, body: list[Any]) -> Change:
        """The write of `body` in the place of `account`'s record."""
        return self._records.change(account.key, account.version, body)

    def subject(self, account_id: bytes, scope: str, identity: Identity) -> bytes:
        """What a login as `identity` in that account has as its subject; nothing is looked up."""
        return identity_hash(self._records.salt(RecordKey("account", account_id)), scope, identity.text)

    async def change(
        self, key: RecordKey, alter: Alter, *, also: Sequence[Change] = (), evict: Evict | None = None
    ) -> Account:
        """The account after `alter`, written together with `also`, or none of it. `alter` may refuse, or return what
        it was given when there is nothing to do. `evict` ends each device that leaves the list, before the list says
        so. SIGNER_NOT_FOUND, STALE_RECORD, or `Conflict` if `also` is outdated.
        """
        lock = self._locks.setdefault(key.id, asyncio.Lock())
        async with lock:
            for _ in range(_TRIES):
                account = await self._fetch(key)
                if account is None:
                    raise Refusal(errors.SIGNER_NOT_FOUND)
                altered = alter(account)
                if altered is account:
                    return self._remember(account)
                if evict is not None:
                    for device in (device for device in account.devices if device not in altered.devices):
                        await evict(device)
                altered = replace(altered, version=self._records.next_version(account.version))
                try:
                    await self.write(account, Change(key, account.version, altered.version, altered.body()), *also)
                except Conflict:
                    if also:  # may be what it was about: the caller has to look again
                        raise
                    continue
                return self._remember(altered)
        raise Refusal(errors.BUSY)

    async def write(self, account: Account, *changes: Change) -> None:
        """Save `changes` of `account`'s records. Whatever comes of it, the old view is not used again."""
        self._cache.drop(account.key.id)
        try:
            await self._records.save(*changes)
        finally:
            self._cache.drop(account.key.id)  # somebody may have read it meanwhile

    async def renew(self, key: RecordKey) -> None:
        """Renew the shares of the account at `key`, if there is one. BUSY when others keep writing it."""
        for _ in range(_TRIES):
            account = await self._fetch(key)
            if account is None:
                return
            try:
                self._remember(await self._renewed(account))
            except Conflict:
                continue
            return
        raise Refusal(errors.BUSY)

    async def add_device(self, account: Account, device: str, evict: Evict) -> Account:
        """The account with `device` in its list. When the list is full the oldest leaves, and `evict` ends it."""
        if device in account.devices:
            return account

        def added(current: Account) -> Account:
            if device in current.devices:
                return current
            return replace(current, devices=(*current.devices, device)[-limits.MAX_DEVICES_PER_ACCOUNT :])

        return await self.change(account.key, added, evict=evict)

    async def open_wallet(self, session: VerifiedSession, account: Account) -> Secret:
        """The wallet key, for one signature: wipe it at once. Refusals as `require_openable`."""
        current = await self.require_openable(session, account)
        return await self._shards.open(current.shards, current.owner)

    async def require_openable(self, session: VerifiedSession, account: Account) -> Account:
        """The account as it is now: what was changed since `account` was loaded counts. SESSION_MISMATCH unless it is
        the session's, and ACCOUNT_FROZEN.
        """
        current = self._cached(account.key) or await self.load(account.key)
        if current is not None and not self._shards.is_current(current.shards):
            current = await self._fetch(account.key)  # another enclave may have renewed it
        if current is None or current.login(session.identity_hash) is None:
            raise Refusal(errors.SESSION_MISMATCH)
        if session.scope != current.scope and not current.shared:
            raise Refusal(errors.SESSION_MISMATCH)
        current.require_active(self._records.now_s)
        return current

    async def _led_to(self, account_id: bytes, identity: Identity) -> Account:
        account = await self._fetch(RecordKey("account", account_id))
        if account is None or not account.has(identity):  # one of the two records is an old one
            raise Refusal(errors.STALE_RECORD)
        with suppress(Conflict):  # somebody else renewed it or enrolled a device: the next login sees to the rest
            account = await self._renewed(account)
        return self._remember(account)

    def _cached(self, key: RecordKey) -> Account | None:
        account = self._cache.get(key.id)
        return account if account is not None and self._records.is_current(key, account.version) else None

    async def _fetch(self, key: RecordKey) -> Account | None:
        [record] = await self._records.load(key)
        return None if record is None or is_deleted(record.body) else self._read(record)

    async def _new(self, scope: str, identity: Identity) -> Account:
        with curve.random_scalar(self._random) as scalar:
            address = curve.address(curve.public_key(scalar))
            key = self._key(scope, address)
            salt = self._records.salt(key)
            version = self._records.next_version(0)
            owner = Owner("wallet", scope, key.id, identity_hash(salt, scope, identity.text))
            shards = await self._shards.split(scalar, owner, version)
        return Account(key, version, scope, address, salt, identity, shards, (identity,), ())

    async def _renewed(self, account: Account) -> Account:
        """With the shares that a holder has missed, and none of an earlier generation; `Conflict`."""
        version = self._records.next_version(account.version)
        shards = await self._shards.renew(account.shards, account.owner, version)
        if shards is account.shards:
            return account
        renewed = replace(account, shards=shards, version=version)
        await self.write(account, Change(account.key, account.version, version, renewed.body()))
        return renewed

    def _remember(self, account: Account) -> Account:
        if self._records.is_latest(account.key, account.version):  # it may have been overtaken while it was on its way
            self._cache.put(account.key.id, account)
        return account

    def _key(self, scope: str, address: str) -> RecordKey:
        return self._records.key("account", scope, address)

    def _slot_key(self, scope: str, identity: Identity) -> RecordKey:
        return self._records.key("login", scope, identity.text)

    def _read(self, record: Record) -> Account:
        account = read_account(record.key, record.version, record.body, shape=self._shape, salt=self._records.salt)
        if account.key != self._key(account.scope, account.address):
            raise Refusal(errors.DATA_INTEGRITY_ERROR)
        return account
