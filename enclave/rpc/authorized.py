"""What our own methods demand of every call, beside its signature (SE-01, SE-02).

The signed `params` name the method, scope, origin, nonce and an expiry near the present, so a request means one thing
at one place, once. Unknown members are refused (CB-08).
"""

from dataclasses import dataclass
from typing import Any, Final

from enclave.clock import TrustedClock
from enclave.config import Config, Scope
from enclave.devices import Device, Devices, DeviceSession, Login
from enclave.errors import Refusal
from enclave.rpc import params
from enclave.rpc.envelope import SignedCall
from enclave.sessions import Sessions, VerifiedSession
from protocol import errors, limits
from protocol.base64url import decode_b64u, encode_b64u

_COMMON: Final = frozenset({"method", "scope", "origin", "nonce", "expires"})


@dataclass(frozen=True, slots=True)
class Authorized:
    """A call by a logged-in device. The nonce has been checked for form and is not yet consumed."""

    scope: Scope
    origin: str
    device: Device
    login: Login
    nonce: int


class Authorizer:
    """Checks the common members and finds the device's login and session."""

    def __init__(self, config: Config, clock: TrustedClock, devices: Devices, sessions: Sessions) -> None:
        self._config = config
        self._clock = clock
        self._devices = devices
        self._sessions = sessions

    async def authorize(self, call: SignedCall, members: frozenset[str]) -> Authorized:
        """The call of a device that is logged in. `members` are the method's own."""
        unknown = call.params.keys() - _COMMON - members
        if unknown:
            params.invalid("unknown member")
        if params.text(call.params, "method", max_bytes=limits.MAX_METHOD_CHARS) != call.path:
            params.invalid("method is not the one called")
        scope = self._scope(call)
        origin = params.text(call.params, "origin", max_bytes=limits.MAX_ORIGIN_CHARS)
        if origin not in scope.origins:
            raise Refusal(errors.SESSION_MISMATCH, "origin is not one of the scope's")
        nonce = params.nonce(call.params)
        require_fresh(call.params.get("expires"), self._clock.now_ms(), self._config.limits.request_window_s)
        device, login = self._sessions.require_login(await self._devices.load(scope.scope, call.auth_key))
        return Authorized(scope, origin, device, login, nonce)

    def session(self, call: SignedCall, authorized: Authorized) -> VerifiedSession:
        """The session that `params.session` names, verified for this call."""
        session = authorized.device.session(session_id(call.params))
        return self._sessions.verify(authorized.device, session, call.public_key, authorized.origin)

    def own_session(self, call: SignedCall, authorized: Authorized) -> VerifiedSession:
        """The session that `params.session` names, or else the one that was issued with the login."""
        if call.params.get("session") is not None:
            return self.session(call, authorized)
        if not authorized.device.sessions:
            raise Refusal(errors.SESSION_NOT_FOUND)
        own = authorized.device.sessions[0]
        return self._sessions.verify(authorized.device, own, call.public_key, authorized.origin)

    def _scope(self, call: SignedCall) -> Scope:
        if not call.params.get("scope"):
            raise Refusal(errors.INVALID_REQUEST, "valid scope is required")
        return params.scope(call, self._config)


def require_fresh(expires: Any, now_ms: int, window_s: int) -> None:
    """REQUEST_EXPIRED unless `expires` (milliseconds) lies ahead, by no more than the window."""
    if type(expires) is not int:
        params.invalid("expires is required")
    if not 0 < expires - now_ms <= window_s * 1000:
        raise Refusal(errors.REQUEST_EXPIRED)


def session_id(members: dict[str, Any]) -> bytes:
    """The `session` member: 16 bytes in unpadded base64url."""
    cti = decode_b64u(params.text(members, "session"))
    if cti is None or len(cti) != 16:
        params.invalid("invalid session")
    return cti


def wire_session(session: DeviceSession) -> dict[str, Any]:
    """What `Session/List` says of a session."""
    return {
        "session": encode_b64u(session.cti),
        "origin": session.origin,
        "expires": session.expires_s,
        "revoked": session.revoked,
    }
