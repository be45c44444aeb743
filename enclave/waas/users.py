"""Users of embedded wallets: a session is a device's login, a user an account, whose wallet is new or from before.

Everything is found from the session key that signed: which account, which wallet. What an intent names is compared with
that, never looked up.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from enclave.account import Account, shared_scope
from enclave.account_changes import AccountChanges
from enclave.accounts import Accounts
from enclave.clock import TrustedClock
from enclave.config import Scope
from enclave.devices import Device, Devices, Login
from enclave.errors import Refusal
from enclave.identity import Identity
from enclave.login.issuers import find_client, normalize_issuer
from enclave.login.proofs import ProvenLogin
from enclave.rpc.wallet_call import wallet_rules
from enclave.sequence.new_wallet import NewSigners, new_plan
from enclave.sequence.wallet_records import WalletRecords
from enclave.sessions import Sessions, Subject, VerifiedSession
from enclave.waas.caller import Caller, session_id
from enclave.waas.embedded_wallet import EmbeddedWallet
from enclave.waas.former_users import FormerUsers
from enclave.waas.wallet_v2 import ChildOfParent
from enclave.waas.wallet_v3 import WalletOfPlan
from evm.address import checksum, parse_address
from protocol import errors
from protocol.services import RecordKey


@dataclass(frozen=True, slots=True)
class User:
    """Whose intent it is, all of it verified: the session, its login, the account, the wallet."""

    session: VerifiedSession
    device: Device
    login: Login
    account: Account
    identity: Identity
    wallet: EmbeddedWallet

    @property
    def address(self) -> str:
        """The wallet's address, with its checksum."""
        return checksum(self.wallet.address)

    @property
    def adopter(self) -> str:
        """Who acts for the wallet beside its user, or nothing."""
        adoption = self.wallet.adoption if isinstance(self.wallet, ChildOfParent) else None
        return "" if adoption is None else checksum(adoption.adopter)


class Users:
    """Opens, finds, lists and ends sessions."""

    def __init__(
        self,
        clock: TrustedClock,
        accounts: Accounts,
        changes: AccountChanges,
        devices: Devices,
        sessions: Sessions,
        wallets: WalletRecords,
        former: FormerUsers,
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._changes = changes
        self._devices = devices
        self._sessions = sessions
        self._wallets = wallets
        self._former = former

    async def open(self, caller: Caller, proven: ProvenLogin) -> User:
        """The user of a login, made at the first one, with a session for the caller's key."""
        scope, identity = caller.scope, proven.identity
        account = await self._accounts.find_or_create(home_of(caller, proven), identity)
        await self._wallet_of(caller, account)
        now_s, whose = self._clock.now_s(), account.subject(identity)
        ends_s = now_s + caller.tenant.session_s
        method = f"Intent-{identity.kind}"
        login = Login(
            account.key.id, account.address, method, now_s, ends_s, self._sessions.epoch, whose, proven.audience
        )
        subject = Subject(whose, scope.scope, caller.key, caller.public_key)
        session = self._sessions.issue(subject, caller.origin, login, caller.tenant.session_s)

        async def evict(name: str) -> None:
            await self._devices.end_login(*account.device_place(name), account.key.id)

        await self._accounts.add_device(account, account.device_name(scope.scope, str(caller.key)), evict)
        await self._devices.enrol(scope.scope, caller.key, login, (session,))
        return await self.require(caller)

    async def require(self, caller: Caller) -> User:
        """The user whose session the caller's key has; KEY_NOT_FOUND, KEY_EXPIRED and the sessions' refusals."""
        found = await self._devices.load(caller.scope.scope, caller.key)
        device, login = self._sessions.require_login(found)
        session = self._sessions.verify(device, device.sessions[0], caller.public_key, caller.origin)
        account = await self._accounts.load(RecordKey("account", login.account_id))
        if account is None or account.address != login.address:
            raise Refusal(errors.SIGNER_NOT_FOUND)
        identity = account.require_login(session.identity_hash)
        if account.scope not in homes(caller.scope):  # the client is no longer shared
            raise Refusal(errors.KEY_EXPIRED)
        return User(session, device, login, account, identity, await self._wallet_of(caller, account))

    async def end(self, caller: Caller, device: str) -> None:
        """End a session of the same user. Of a session that is none, or somebody else's, nothing is said."""
        own = await self._devices.load(caller.scope.scope, caller.key)
        if own is None or own.login is None:
            return
        await self._devices.end_login(caller.scope.scope, device, own.login.account_id)

    async def link(self, user: User, identity: Identity) -> None:
        """Let another identity lead to the user's account; ACCOUNT_ALREADY_LINKED if it leads to one."""
        if user.account.has(identity):
            raise Refusal(errors.ACCOUNT_ALREADY_LINKED)
        try:
            await self._changes.link(user.account, identity)
        except Refusal as refusal:
            if refusal.error is errors.LOGIN_TAKEN:
                raise Refusal(errors.ACCOUNT_ALREADY_LINKED) from None
            raise

    async def unlink(self, user: User, name: str) -> None:
        """Take a login way off the account, by its name, and end its sessions; never the one that is used now."""
        login = next((login for login in user.account.logins if login.text == name), None)
        if login is None or login.text == user.identity.text:
            raise Refusal(errors.INVALID_REQUEST, "no such login")
        await self._changes.unlink(user.account, login)

    def require_fresh(self, user: User) -> None:
        """LOGIN_NOT_FRESH for changes of who may log in, unless the login is a few minutes old at most."""
        self._changes.require_fresh(user.login)

    async def sessions(self, caller: Caller, user: User) -> list[dict[str, Any]]:
        """The user's sessions that have not ended."""
        found = []
        for listed in user.account.devices:
            scope, name = user.account.device_place(listed)
            if scope != caller.scope.scope:  # of another tenant that shares the user
                continue
            device = await self._devices.load(scope, name)
            login = None if device is None else device.login
            if login is None or login.account_id != user.account.key.id or login.epoch != self._sessions.epoch:
                continue
            if login.expires_s > self._clock.now_s():
                found.append(session_json(caller, user, login, session_id(name)))
        return found

    async def _wallet_of(self, caller: Caller, account: Account) -> EmbeddedWallet:
        """The account's wallet. At the first login it is the one that its user had before, or made by the template."""
        scope = caller.scope
        wallet = await self._wallets.load(account.key.id)
        if wallet is not None:
            return WalletOfPlan(wallet)
        former = await self._former.find(scope, account) or await self._former.take_over(scope, account)
        if former is not None:
            return former
        if scope.wallet is None:
            raise Refusal(errors.RIGHT_NOT_GRANTED)
        with wallet_rules():
            plan = new_plan(scope.wallet, parse_address(account.address), NewSigners(None, None, None))
        created, _ = await self._wallets.create(account.key.id, plan)
        return WalletOfPlan(created)


def homes(scope: Scope) -> frozenset[str]:
    """Where accounts of a tenant's users lie: its own scope, and those of the clients that it shares."""
    shared = (shared_scope(normalize_issuer(each.issuer), each.audience) for each in scope.oidc if each.shared_users)
    return frozenset((scope.scope, *shared))


def home_of(caller: Caller, proven: ProvenLogin) -> str:
    """Where the account of a login lies."""
    client = find_client(caller.scope.oidc, proven.identity.issuer, proven.audience) if proven.audience else None
    if client is None or not client.shared_users:
        return caller.scope.scope
    return shared_scope(normalize_issuer(client.issuer), client.audience)


def session_json(caller: Caller, user: User, login: Login, name: str, friendly_name: str = "") -> dict[str, Any]:
    """A session as the wire has it; `identity` is shown as far as the account knows it."""
    identity = user.account.login(login.subject) or user.identity
    return {
        "id": name,
        "projectId": caller.tenant.project_id,
        "userId": f"{caller.tenant.project_id}|{user.address}",
        "identity": identity.wire(),
        "friendlyName": friendly_name,
        "createdAt": _time(login.auth_time_s),
        "refreshedAt": _time(login.auth_time_s),
        "expiresAt": _time(login.expires_s),
    }


def account_json(identity: Identity) -> dict[str, str]:
    """A login way of a user as the wire has it."""
    members = {"id": identity.text, "type": identity.kind, "issuer": identity.issuer, "email": identity.email or ""}
    return {name: value for name, value in members.items() if value}


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
