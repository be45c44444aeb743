"""Issues session attestations and verifies them: the only maker of a `VerifiedSession` (design section 7, SE-05).

A session says that an auth key belongs to an identity, for one origin in one scope, until it expires. It counts only
in the boot that issued it, for the key, origin and scope that it names, and until it is revoked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from attestation.errors import AttestationError
from attestation.keys import AuthKey
from attestation.session import (
    SessionClaims,
    SessionVerifier,
    VerifiedSessionAttestation,
    session_to_be_signed,
)
from enclave import curve
from enclave.auth_key import Key
from enclave.clock import TrustedClock
from enclave.deployment import DeploymentSecrets
from enclave.devices import Device, DeviceSession, Login
from enclave.errors import Refusal
from protocol import errors

EPOCH_BYTES: Final = 16
_CTI_BYTES: Final = 16
_maker: Final = object()


class VerifiedSession:
    """A session that was verified for this very request. Opening a wallet takes one; only `Sessions` can make one."""

    __slots__ = ("auth_key", "expires_s", "identity_hash", "origin", "scope")

    def __init__(self, maker: object, device: Device, attestation: VerifiedSessionAttestation) -> None:
        if maker is not _maker:
            raise TypeError("a VerifiedSession comes from Sessions.verify")
        self.scope = device.scope
        self.auth_key = device.auth_key
        self.origin = attestation.claims.audience
        self.identity_hash = attestation.claims.subject
        self.expires_s = attestation.claims.expires_s


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose session is issued: identity hash (32 bytes), scope, and the auth key's curve and compressed point."""

    identity_hash: bytes
    scope: str
    auth_key: Key
    public_key: bytes


class Sessions:
    """Everything that involves the identity key."""

    def __init__(
        self,
        deployment: str,
        secrets: DeploymentSecrets,
        epoch: bytes,
        clock: TrustedClock,
        random: Callable[[int], bytes],
    ) -> None:
        self._deployment = deployment
        self._secrets = secrets
        self._clock = clock
        self._random = random
        self._verifier = SessionVerifier(secrets.identity_public_key, is_signed=curve.is_signed)
        self.epoch = epoch

    def issue(self, subject: Subject, origin: str, login: Login, lifetime_s: int) -> DeviceSession:
        """A signed session attestation that ends with the login at the latest; SESSION_EXPIRED if that is now."""
        now_s = self._clock.now_s()
        expires_s = min(now_s + lifetime_s, login.expires_s)
        if expires_s <= now_s:
            raise Refusal(errors.SESSION_EXPIRED)
        claims = SessionClaims(
            issuer=self._deployment,
            subject=subject.identity_hash,
            audience=origin,
            scope=subject.scope,
            auth_key=AuthKey(subject.auth_key.key_type, subject.public_key),
            auth_method=login.method,
            auth_time_s=login.auth_time_s,
            issued_s=now_s,
            expires_s=expires_s,
            cti=self._random(_CTI_BYTES),
            boot_epoch=self.epoch,
        )
        unsigned = session_to_be_signed(claims, self._secrets.identity_public_key)
        signature, _ = curve.sign(self._secrets.identity_key, unsigned.digest, self._secrets.identity_public_key)
        return DeviceSession(claims.cti, origin, unsigned.attach(signature), claims.expires_s, revoked=False)

    def require_login(self, device: Device | None) -> tuple[Device, Login]:
        """The device and its login in this boot; KEY_NOT_FOUND without one, KEY_EXPIRED after its end."""
        if device is None or device.login is None:
            raise Refusal(errors.KEY_NOT_FOUND)
        if device.login.epoch != self.epoch or device.login.expires_s <= self._clock.now_s():
            raise Refusal(errors.KEY_EXPIRED)
        return device, device.login

    def verify(self, device: Device, session: DeviceSession, public_key: bytes, origin: str) -> VerifiedSession:
        """The session, verified for a request that `public_key` has signed and that names `origin`."""
        if session.revoked:
            raise Refusal(errors.SESSION_REVOKED)
        now_s = self._clock.now_s()
        if session.expires_s <= now_s:
            raise Refusal(errors.SESSION_EXPIRED)
        try:
            attestation = self._verifier.verify(session.attestation, now_s=now_s)
        except AttestationError as error:
            expired = error.code == "session-expired"
            raise Refusal(errors.SESSION_EXPIRED if expired else errors.DATA_INTEGRITY_ERROR) from None
        claims = attestation.claims
        same_key = claims.auth_key == AuthKey(device.auth_key.partition(":")[0], public_key)
        same_place = claims.scope == device.scope and claims.audience == origin and claims.boot_epoch == self.epoch
        if not same_key or not same_place or claims.cti != session.cti or claims.issuer != self._deployment:
            raise Refusal(errors.SESSION_MISMATCH)
        return VerifiedSession(_maker, device, attestation)
