"""Session/Create, Session/List and Session/Revoke: what a device may do, shown to and ended by its owner (SE-05)."""

from typing import Any, Final

from enclave.account import Account
from enclave.accounts import Accounts
from enclave.clock import TrustedClock
from enclave.config import Config
from enclave.devices import Device, Devices
from enclave.errors import Refusal
from enclave.nonces import Nonces
from enclave.rpc import params
from enclave.rpc.authorized import Authorized, Authorizer, session_id, wire_session
from enclave.rpc.envelope import SignedCall
from enclave.sessions import Sessions, Subject
from protocol import errors, limits
from protocol.base64url import encode_b64u
from protocol.services import RecordKey

_CREATE: Final = frozenset({"lifetime"})
_LIST: Final = frozenset[str]()
_REVOKE: Final = frozenset({"device", "session"})


class SessionService:
    """The three methods."""

    def __init__(
        self,
        config: Config,
        clock: TrustedClock,
        authorizer: Authorizer,
        accounts: Accounts,
        devices: Devices,
        sessions: Sessions,
        nonces: Nonces,
    ) -> None:
        self._config = config
        self._clock = clock
        self._authorizer = authorizer
        self._accounts = accounts
        self._devices = devices
        self._sessions = sessions
        self._nonces = nonces

    async def create(self, call: SignedCall) -> dict[str, Any]:
        """Issue a session attestation for an origin. Result `{session, attestation, expires, identity, salt}`.

        `salt` lets its owner show later which identity the attestation's subject stands for.
        """
        caller = await self._authorizer.authorize(call, _CREATE)
        lifetime_s = params.lifetime_s(call.params, self._config)
        account = await self._account(caller)
        account.require_active(self._clock.now_s)
        identity = account.require_login(caller.login.subject)
        await self._consume(caller)
        subject = Subject(caller.login.subject, account.scope, call.auth_key, call.public_key)
        session = self._sessions.issue(subject, caller.origin, caller.login, lifetime_s)
        await self._devices.add_session(account.scope, call.auth_key, session, self._clock.now_s())
        return {
            "session": encode_b64u(session.cti),
            "attestation": encode_b64u(session.attestation),
            "expires": session.expires_s,
            "identity": identity.text,
            "salt": encode_b64u(account.salt),
            "signer": account.address,
        }

    async def list(self, call: SignedCall) -> dict[str, Any]:
        """All devices of the account and their sessions."""
        caller = await self._authorizer.authorize(call, _LIST)
        account = await self._account(caller)
        await self._consume(caller)
        devices = []
        for name in account.devices:
            device = await self._devices.load(account.scope, name)
            if device is not None:
                devices.append(self._wire(device, account, current=name == str(call.auth_key)))
        return {"signer": account.address, "devices": devices}

    async def revoke(self, call: SignedCall) -> dict[str, Any]:
        """End one session of a device of the account, or with no `session` the device's login and all its sessions."""
        caller = await self._authorizer.authorize(call, _REVOKE)
        account = await self._account(caller)
        name = params.text(call.params, "device", max_bytes=limits.MAX_DEVICE_CHARS) or str(call.auth_key)
        cti = session_id(call.params) if call.params.get("session") is not None else None
        if name not in account.devices:
            raise Refusal(errors.SESSION_NOT_FOUND)
        await self._consume(caller)
        target = await self._devices.load(account.scope, name)
        if target is None or target.login is None or target.login.account_id != account.key.id:
            raise Refusal(errors.SESSION_NOT_FOUND)
        device = await self._devices.revoke(account.scope, name, cti)
        return self._wire(device, account, current=name == str(call.auth_key))

    async def _consume(self, caller: Authorized) -> None:
        now_ms = self._clock.monotonic_ms()
        await self._nonces.consume(caller.scope.scope, caller.device.auth_key, caller.nonce, now_ms)

    async def _account(self, caller: Authorized) -> Account:
        account = await self._accounts.load(RecordKey("account", caller.login.account_id))
        if account is None:
            raise Refusal(errors.SIGNER_NOT_FOUND)
        return account

    def _wire(self, device: Device, account: Account, *, current: bool) -> dict[str, Any]:
        login = device.login
        mine = login is not None and login.account_id == account.key.id
        live = mine and login is not None and login.epoch == self._sessions.epoch
        described = {"device": device.auth_key, "current": current, "live": live}
        if login is None or not mine:  # the key has since logged in as somebody else: not this account's to see
            return described | {"sessions": []}
        by = account.login(login.subject)
        times = {
            "login": "" if by is None else by.text,
            "method": login.method,
            "authTime": login.auth_time_s,
            "expires": login.expires_s,
        }
        return described | times | {"sessions": [wire_session(session) for session in device.sessions]}
