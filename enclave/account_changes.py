"""What owners do with their accounts: link and unlink logins, remove devices, freeze, thaw, delete (ADR 0035, 0036).

Rules and writes; who may call was settled before. Every change is one write, all or nothing, durable on return, and
what it takes away is gone from the next request on.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from enclave.account import Account, Freeze, deleted_body
from enclave.accounts import Accounts, Alter
from enclave.clock import TrustedClock
from enclave.config import Limits
from enclave.devices import Devices, Login
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.login.notices import Notice, Notices
from enclave.records import Change, Conflict
from protocol import errors, limits

_TRIES: Final = 8


class AccountChanges:
    """Changes to one account at a time."""

    def __init__(
        self, accounts: Accounts, devices: Devices, clock: TrustedClock, settings: Limits, notices: Notices
    ) -> None:
        self._accounts = accounts
        self._devices = devices
        self._clock = clock
        self._settings = settings
        self._notices = notices

    def require_fresh(self, login: Login) -> None:
        """LOGIN_NOT_FRESH unless the login is a few minutes old at most."""
        if self._clock.now_s() - login.auth_time_s > self._settings.fresh_login_s:
            raise Refusal(errors.LOGIN_NOT_FRESH)

    async def link(self, account: Account, identity: Identity) -> Account:
        """Let `identity`, which was proven in this very call, lead to `account`. LOGIN_TAKEN, USAGE_LIMIT_EXCEEDED, or
        INVALID_REQUEST where tenants share the account: it has the one login that they share.
        """
        if account.shared:
            raise Refusal(errors.INVALID_REQUEST, "a shared account has one login")

        def linked(current: Account) -> Account:
            current.require_active(self._clock.now_s)
            if current.has(identity):
                return current
            if len(current.logins) >= limits.MAX_LOGINS_PER_ACCOUNT:
                raise Refusal(errors.USAGE_LIMIT_EXCEEDED)
            return replace(current, logins=(*current.logins, identity))

        for _ in range(_TRIES):
            slot = await self._accounts.slot(account.scope, identity)
            if slot is not None and slot.account_id not in (None, account.key.id):
                raise Refusal(errors.LOGIN_TAKEN)
            pointed = self._accounts.point(slot, account.scope, identity, account.key.id)
            try:
                changed = await self._accounts.change(account.key, linked, also=[pointed])
            except Conflict:
                continue
            if not account.has(identity):
                await self._notices.tell(changed, Notice.LINKED)
            return changed
        raise Refusal(errors.BUSY)

    async def unlink(self, account: Account, login: Identity) -> Account:
        """Close `login`, and end what its devices hold. LAST_LOGIN, INVALID_REQUEST if it does not lead here."""

        def unlinked(current: Account) -> Account:
            current.require_active(self._clock.now_s)
            if not current.has(login):
                raise Refusal(errors.INVALID_REQUEST, "no such login")
            if len(current.logins) == 1:
                raise Refusal(errors.LAST_LOGIN)
            return current.without(login)

        changed = await self._closing(account, (login,), unlinked)
        for device in changed.devices:
            await self._devices.end_login(*account.device_place(device), account.key.id, account.subject(login))
        await self._notices.tell(account, Notice.UNLINKED)
        return changed

    async def remove_devices(self, account: Account, names: Collection[str]) -> Account:
        """Take devices off the list, and end what they hold of this account first."""

        def removed(current: Account) -> Account:
            kept = tuple(device for device in current.devices if device not in names)
            return current if kept == current.devices else replace(current, devices=kept)

        async def evict(device: str) -> None:
            await self._devices.end_login(*account.device_place(device), account.key.id)

        return await self._accounts.change(account.key, removed, evict=evict)

    async def freeze(self, account: Account) -> Account:
        """From now on nothing is signed. Frozen already: from now on anew, and no longer about to thaw."""
        now_s = self._clock.now_s()
        changed = await self._accounts.change(account.key, lambda current: replace(current, freeze=Freeze(now_s)))
        await self._notices.tell(changed, Notice.FROZEN)
        return changed

    async def thaw(self, account: Account, login: Login) -> Account:
        """Set the end of a freeze, a delay from now, once the owner was told. LOGIN_NOT_FRESH for a login from before
        the freeze; the refusals of `Notices.require_told`.
        """

        def thawing(current: Account) -> Account:
            freeze = current.freeze
            if freeze is None or freeze.thaw_s is not None:
                return current
            _require_later(login, freeze)
            return replace(current, freeze=replace(freeze, thaw_s=self._clock.now_s() + self._settings.account_delay_s))

        if thawing(account) is not account:
            await self._notices.require_told(account, Notice.THAWING)
        return await self._accounts.change(account.key, thawing)

    async def delete(self, account: Account, login: Login) -> None:
        """Replace a frozen account by a tombstone and close all its logins. NOT_DUE, LOGIN_NOT_FRESH.

        `account` must be as the store has it: INVALID_REQUEST if it was changed meanwhile.
        """
        freeze, now_s = account.freeze, self._clock.now_s()
        if freeze is None or freeze.thaw_s is not None or now_s < freeze.since_s + self._settings.account_delay_s:
            raise Refusal(errors.NOT_DUE)
        _require_later(login, freeze)
        tombstone = self._accounts.replacement(account, deleted_body(account.scope, account.address, now_s))
        try:
            await self._accounts.write(account, tombstone, *await self._closed(account, account.logins))
        except Conflict:
            raise Refusal(errors.BUSY) from None
        for device in account.devices:
            await self._devices.end_login(*account.device_place(device), account.key.id)
        await self._notices.tell(account, Notice.DELETED)

    async def _closing(self, account: Account, logins: Collection[Identity], alter: Alter) -> Account:
        for _ in range(_TRIES):
            also = await self._closed(account, logins)
            try:
                return await self._accounts.change(account.key, alter, also=also)
            except Conflict:
                continue
        raise Refusal(errors.BUSY)

    async def _closed(self, account: Account, logins: Collection[Identity]) -> list[Change]:
        """The writes that close the slots of `logins`. STALE_RECORD for one that does not lead to `account`."""
        changes = []
        for login in logins:
            slot = await self._accounts.slot(account.scope, login)
            if slot is None or slot.account_id != account.key.id:
                raise Refusal(errors.STALE_RECORD)
            changes.append(self._accounts.point(slot, account.scope, login, None))
        return changes


def _require_later(login: Login, freeze: Freeze) -> None:
    """A login from before the freeze, or from its very second, may be what the owner wanted to stop."""
    if login.auth_time_s <= freeze.since_s:
        raise Refusal(errors.LOGIN_NOT_FRESH)
