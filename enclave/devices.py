"""Devices: one sealed record for each auth key in a scope, with its login and its sessions (design section 7, SE-05).

A login replaces what the key held before. Logins and sessions of another boot count as ended (RB-08): whatever the
store was rolled back to while the enclave was down, nothing old can sign again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from attestation.lru import Lru
from enclave.auth_key import Key
from enclave.errors import Refusal
from enclave.records import Conflict, Record, Records
from protocol import errors, limits
from protocol.services import RecordKey

_CACHED_DEVICES: Final = 10_000  # opened records, no secrets in them


@dataclass(frozen=True, slots=True)
class Login:
    """A completed login of a device key: whose it is, how and when it was proven, and until when it counts.

    `subject` is the account's word for the identity that was proven (`Account.subject`); `audience` is the client id
    for which an identity provider vouched, empty for a login by mail.
    """

    account_id: bytes
    address: str
    method: str
    auth_time_s: int
    expires_s: int
    epoch: bytes
    subject: bytes
    audience: str


@dataclass(frozen=True, slots=True)
class DeviceSession:
    """An issued session attestation and whether it was revoked."""

    cti: bytes
    origin: str
    attestation: bytes
    expires_s: int
    revoked: bool


@dataclass(frozen=True, slots=True)
class Device:
    """An opened device record. `sessions[0]` was issued with the login, for clients whose wire names no session."""

    key: RecordKey
    version: int
    scope: str
    auth_key: str
    login: Login | None
    sessions: tuple[DeviceSession, ...]

    def body(self) -> list[Any]:
        """What the record keeps."""
        login = None
        if self.login is not None:
            known = self.login
            login = [known.account_id, known.address, known.method, known.auth_time_s, known.expires_s]
            login += [known.epoch, known.subject, known.audience]
        sessions = [[s.cti, s.origin, s.attestation, s.expires_s, s.revoked] for s in self.sessions]
        return [self.scope, self.auth_key, login, sessions]

    def session(self, cti: bytes) -> DeviceSession:
        """The session with this id; SESSION_NOT_FOUND otherwise."""
        for session in self.sessions:
            if session.cti == cti:
                return session
        raise Refusal(errors.SESSION_NOT_FOUND)


class Devices:
    """Loads and changes device records, with a bounded cache of opened ones."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._cache: Lru[tuple[str, str], Device] = Lru(_CACHED_DEVICES)  # by scope and auth key

    def key(self, scope: str, auth_key: Key | str) -> RecordKey:
        """Where the record of `auth_key` in `scope` lies."""
        return self._records.key("device", scope, str(auth_key))

    async def load(self, scope: str, auth_key: Key | str) -> Device | None:
        """The device record, or None if this key never logged in."""
        cached = self._cache.get((scope, str(auth_key)))
        if cached is not None and self._records.is_current(cached.key, cached.version):
            return cached
        [record] = await self._records.load(self.key(scope, auth_key))
        return None if record is None else self._remember(_read(record, scope, str(auth_key)))

    async def enrol(self, scope: str, auth_key: Key, login: Login, sessions: tuple[DeviceSession, ...]) -> Device:
        """Replace whatever `auth_key` held by this login and its first session."""
        return await self._change(scope, auth_key, lambda device: replace(device, login=login, sessions=sessions))

    async def add_session(self, scope: str, auth_key: Key, session: DeviceSession, now_s: int) -> Device:
        """Add a session; expired ones leave first, then the oldest but the login's own."""

        def added(device: Device) -> Device:
            if device.login is None or not device.sessions:
                raise Refusal(errors.KEY_NOT_FOUND)
            own, *others = device.sessions
            live = [other for other in others if other.expires_s > now_s and not other.revoked]
            kept = live[-(limits.MAX_SESSIONS_PER_DEVICE - 2) :]
            return replace(device, sessions=(own, *kept, session))

        return await self._change(scope, auth_key, added)

    async def revoke(self, scope: str, auth_key: str, cti: bytes | None) -> Device:
        """Revoke one session, or with None the login and all of them. Durable on return; counts at once."""

        def revoked(device: Device) -> Device:
            if cti is not None:
                device.session(cti)
            sessions = tuple(replace(s, revoked=s.revoked or cti in (None, s.cti)) for s in device.sessions)
            return replace(device, login=None if cti is None else device.login, sessions=sessions)

        return await self._change(scope, auth_key, revoked)

    async def end_login(self, scope: str, auth_key: str, account_id: bytes, subject: bytes | None = None) -> None:
        """Revoke what `auth_key` holds of an account, or of one login to it; what it holds of others stays."""
        device = await self.load(scope, auth_key)
        login = None if device is None else device.login
        if login is not None and login.account_id == account_id and subject in (None, login.subject):
            await self.revoke(scope, auth_key, None)

    async def _change(self, scope: str, auth_key: Key | str, change: Callable[[Device], Device]) -> Device:
        for _ in range(4):
            device = await self.load(scope, auth_key)
            if device is None:
                device = Device(self.key(scope, auth_key), 0, scope, str(auth_key), None, ())
            changed = change(device)
            # Whatever happens to the write, the old view is not used again.
            self._cache.drop((device.scope, device.auth_key))
            write = self._records.change(device.key, device.version, changed.body())
            try:
                await self._records.save(write)
            except Conflict:
                continue
            return self._remember(replace(changed, version=write.version))
        raise Refusal(errors.BUSY)

    def _remember(self, device: Device) -> Device:
        known = self._cache.get((device.scope, device.auth_key))
        if known is not None and known.version > device.version:
            return known
        self._cache.put((device.scope, device.auth_key), device)
        return device


def _read(record: Record, scope: str, auth_key: str) -> Device:
    match record.body:
        case [str(stored_scope), str(stored_key), login, list(sessions)]:
            if stored_scope == scope and stored_key == auth_key:
                read = tuple(map(_read_session, sessions))
                return Device(record.key, record.version, scope, auth_key, _read_login(login), read)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_login(body: Any) -> Login | None:
    match body:
        case None:
            return None
        case [bytes(account), str(address), str(method), int(auth_time), int(expires), bytes(epoch), *rest]:
            match rest:
                case [bytes(subject), str(audience)]:
                    return Login(account, address, method, auth_time, expires, epoch, subject, audience)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _read_session(body: Any) -> DeviceSession:
    match body:
        case [bytes(cti), str(origin), bytes(attestation), int(expires_s), bool(revoked)]:
            return DeviceSession(cti, origin, attestation, expires_s, revoked)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)
