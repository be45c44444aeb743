"""Account/*: what owners see of their account and do with it. Each call acts under a session (ADR 0035, 0036).

A call names its `session`, or acts under the one that was issued with the login. Whatever changes who gets in also
takes a login of the last few minutes.
"""

from dataclasses import dataclass
from typing import Any, Final

from enclave.account import Account
from enclave.account_changes import AccountChanges
from enclave.accounts import Accounts
from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.login.proofs import LoginProofs
from enclave.nonces import Nonces
from enclave.rpc import params
from enclave.rpc.authorized import Authorized, Authorizer
from enclave.rpc.envelope import SignedCall
from protocol import errors, limits
from protocol.services import RecordKey

_SESSION: Final = frozenset({"session"})
_LINK: Final = _SESSION | {"identityType", "authMode", "verifier", "answer"}


@dataclass(frozen=True, slots=True)
class _Owner:
    """A call by a device of an account, under a verified session; its nonce has been spent."""

    caller: Authorized
    account: Account


class AccountService:
    """The seven methods."""

    def __init__(
        self,
        clock: TrustedClock,
        authorizer: Authorizer,
        accounts: Accounts,
        changes: AccountChanges,
        proofs: LoginProofs,
        nonces: Nonces,
    ) -> None:
        self._clock = clock
        self._authorizer = authorizer
        self._accounts = accounts
        self._changes = changes
        self._proofs = proofs
        self._nonces = nonces

    async def get(self, call: SignedCall) -> dict[str, Any]:
        """The account as `_wire` has it."""
        owner = await self._owner(call, _SESSION)
        return self._wire(owner, owner.account)

    async def remove_devices(self, call: SignedCall) -> dict[str, Any]:
        """End `devices` (names as Session/List shows them), or without it all but the caller's."""
        names = _device_names(call.params)
        owner = await self._owner(call, _SESSION | {"devices"})
        others = [device for device in owner.account.devices if device != str(call.auth_key)]
        changed = await self._changes.remove_devices(owner.account, others if names is None else names)
        return self._wire(owner, changed)

    async def link(self, call: SignedCall) -> dict[str, Any]:
        """Let another identity log in to this account. This device key has started a login of it with CommitVerifier;
        here is its end, in the members of CompleteAuth.
        """
        answer = params.login_answer(call.params)
        owner = await self._owner(call, _LINK)
        params.require_login_channel(call, owner.caller.scope)
        self._changes.require_fresh(owner.caller.login)
        owner.account.require_active(self._clock.now_s)
        proven = await self._proofs.prove(owner.caller.scope, call.auth_key, answer, linking=True)
        return self._wire(owner, await self._changes.link(owner.account, proven.identity))

    async def unlink(self, call: SignedCall) -> dict[str, Any]:
        """Close one of the account's logins, named by `login` as Account/Get shows it. Never the last one."""
        name = params.text(call.params, "login", max_bytes=limits.MAX_IDENTITY_BYTES)
        owner = await self._owner(call, _SESSION | {"login"})
        self._changes.require_fresh(owner.caller.login)
        login = next((login for login in owner.account.logins if login.text == name), None)
        if login is None:
            raise Refusal(errors.INVALID_REQUEST, "no such login")
        return self._wire(owner, await self._changes.unlink(owner.account, login))

    async def freeze(self, call: SignedCall) -> dict[str, Any]:
        """Stop all signing at once."""
        owner = await self._owner(call, _SESSION)
        return self._wire(owner, await self._changes.freeze(owner.account))

    async def unfreeze(self, call: SignedCall) -> dict[str, Any]:
        """Let the account thaw after the configured delay; takes a login from after the freeze."""
        owner = await self._owner(call, _SESSION)
        return self._wire(owner, await self._changes.thaw(owner.account, owner.caller.login))

    async def delete(self, call: SignedCall) -> dict[str, Any]:
        """Delete a frozen account after the configured delay; `signer` spells out the wallet's address."""
        address = params.text(call.params, "signer").lower()
        owner = await self._owner(call, _SESSION | {"signer"})
        if address != owner.account.address:
            raise Refusal(errors.INVALID_REQUEST, "signer is not this account's")
        await self._changes.delete(owner.account, owner.caller.login)
        return {"signer": owner.account.address, "state": "deleted"}

    async def _owner(self, call: SignedCall, members: frozenset[str]) -> _Owner:
        caller = await self._authorizer.authorize(call, members)
        self._authorizer.own_session(call, caller)
        account = await self._accounts.load(RecordKey("account", caller.login.account_id))
        if account is None:
            raise Refusal(errors.SIGNER_NOT_FOUND)
        account.require_login(caller.login.subject)
        now_ms = self._clock.monotonic_ms()
        await self._nonces.consume(caller.scope.scope, caller.device.auth_key, caller.nonce, now_ms)
        return _Owner(caller, account)

    def _wire(self, owner: _Owner, account: Account) -> dict[str, Any]:
        logins = [
            {"login": login.text} | login.wire() | {"current": account.subject(login) == owner.caller.login.subject}
            for login in account.logins
        ]
        described: dict[str, Any] = {"signer": account.address, "state": "active"}
        if account.is_frozen(self._clock.now_s()) and account.freeze is not None:
            described |= {"state": "frozen", "frozenSince": account.freeze.since_s}
            if account.freeze.thaw_s is not None:
                described["thawsAt"] = account.freeze.thaw_s
        return described | {"logins": logins, "devices": list(account.devices)}


def _device_names(members: dict[str, Any]) -> list[str] | None:
    """The `devices` member: at most as many names as an account has devices (SE-15)."""
    value = members.get("devices")
    if value is None:
        return None
    if not isinstance(value, list) or any(type(name) is not str for name in value):
        params.undecodable("devices")
    if len(value) > limits.MAX_DEVICES_PER_ACCOUNT or any(len(name) > limits.MAX_DEVICE_CHARS for name in value):
        params.invalid("too many devices")
    return value
