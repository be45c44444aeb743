"""Session attestations: the enclave's signed statement that an auth key belongs to a verified identity (design 7).

CWT claims (RFC 8392) in the form of `signed`: issuer is the deployment, subject the salted identity hash, `cnf` the
auth key (RFC 8747), audience the origin. Not usable for another origin, scope, auth key or boot, nor after expiry;
revocation is the enclave's business. This file is the verifying side and the format; the enclave signs.
"""

import hashlib
import re
from dataclasses import InitVar, dataclass, field
from typing import Any, Final

from attestation.binding import BOOT_EPOCH_BYTES, is_deployment
from attestation.errors import AttestationError
from attestation.keys import AuthKey, encode_cose_key, parse_cose_key
from attestation.lru import Lru
from attestation.minted import Minted, require_mint
from attestation.signed import SESSION_KIND, IsSigned, ToBeSigned, to_be_signed, verify_signed
from protocol import cbor, limits
from protocol.errors import ProtocolError

SUBJECT_BYTES: Final = 32
CTI_BYTES: Final = 16
SALT_BYTES: Final = range(16, 65)
SKEW_S: Final = limits.MAX_FUTURE_SKEW_MS // 1000

_MINT: Final = object()
_IDENTITY_CONTEXT: Final = "chancery/identity-hash/1"
# Registered claims (RFC 8392, 8747, 9200), then private ones.
_ISS, _SUB, _AUD, _EXP, _IAT, _CTI, _CNF, _SCOPE = 1, 2, 3, 4, 6, 7, 8, 9
_AUTH_METHOD, _AUTH_TIME, _BOOT_EPOCH = -70_001, -70_002, -70_003
_CLAIMS: Final = frozenset({_ISS, _SUB, _AUD, _EXP, _IAT, _CTI, _CNF, _SCOPE, _AUTH_METHOD, _AUTH_TIME, _BOOT_EPOCH})
_COSE_KEY: Final = 1
_TIMES_S: Final = range(1, 253_402_300_800)  # to the year 9999
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClaims:
    """What a session attestation says. A value out of range cannot be built (`claims-malformed`, TI-07)."""

    issuer: str
    """The deployment id."""
    subject: bytes
    """`identity_hash` of the identity, 32 bytes."""
    audience: str
    """The origin for which the session counts."""
    scope: str
    auth_key: AuthKey
    auth_method: str
    auth_time_s: int
    """When the identity was verified; may be the clock of an identity provider."""
    issued_s: int
    expires_s: int
    """The first second in which the session no longer counts (RFC 8392 3.1.4)."""
    cti: bytes
    """Names this attestation, 16 bytes; what revocation refers to."""
    boot_epoch: bytes

    def __post_init__(self) -> None:
        rules = {
            "issuer": is_deployment(self.issuer),
            "subject": len(self.subject) == SUBJECT_BYTES,
            "audience": _is_text(self.audience, limits.MAX_ORIGIN_CHARS),
            "scope": _is_text(self.scope, limits.MAX_SCOPE_CHARS),
            "auth_method": _is_text(self.auth_method, limits.MAX_AUTH_METHOD_CHARS),
            "auth_time_s": self.auth_time_s in _TIMES_S and self.auth_time_s <= self.issued_s + SKEW_S,
            "issued_s": self.issued_s in _TIMES_S,
            "expires_s": self.expires_s in _TIMES_S
            and 0 < self.expires_s - self.issued_s <= limits.MAX_SESSION_LIFETIME_S,
            "cti": len(self.cti) == CTI_BYTES,
            "boot_epoch": len(self.boot_epoch) == BOOT_EPOCH_BYTES,
        }
        for name, holds in rules.items():
            if not holds:
                raise AttestationError("claims-malformed", name)
        encode_cose_key(self.auth_key)

    def encode(self) -> bytes:
        """The CWT claims set, in deterministic CBOR."""
        return cbor.dumps(
            {
                _ISS: self.issuer,
                _SUB: self.subject.hex(),
                _AUD: self.audience,
                _EXP: self.expires_s,
                _IAT: self.issued_s,
                _CTI: self.cti,
                _CNF: {_COSE_KEY: encode_cose_key(self.auth_key)},
                _SCOPE: self.scope,
                _AUTH_METHOD: self.auth_method,
                _AUTH_TIME: self.auth_time_s,
                _BOOT_EPOCH: self.boot_epoch,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionExpectations:
    """What a relying party knows already; None means that it does not ask."""

    issuer: str | None = None
    audience: str | None = None
    scope: str | None = None
    auth_key: AuthKey | None = None
    boot_epoch: bytes | None = None

    def validate(self, claims: SessionClaims) -> None:
        """Raise `AttestationError("session-mismatch")` when a claim is not the expected one."""
        for name in self.__slots__:
            expected = getattr(self, name)
            if expected is not None and getattr(claims, name) != expected:
                raise AttestationError("session-mismatch", name)


ANYTHING: Final = SessionExpectations()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSessionAttestation(Minted):
    """A session attestation whose signature, time and expectations held. Only a verifier of this module makes one."""

    claims: SessionClaims
    data: bytes = field(repr=False)
    verified_s: int
    """The second for which it was verified."""
    mint: InitVar[object]

    def __post_init__(self, mint: object) -> None:
        require_mint(mint, _MINT)


def session_to_be_signed(claims: SessionClaims, identity_key: bytes) -> ToBeSigned:
    """The attestation of `claims`, to be signed by the identity key (compressed point, 33 bytes)."""
    return to_be_signed(SESSION_KIND, claims.encode(), identity_key)


def verify_session_attestation(
    data: bytes, identity_key: bytes, *, now_s: int, expected: SessionExpectations = ANYTHING
) -> VerifiedSessionAttestation:
    """The attestation in `data`, signed by `identity_key`, valid at `now_s` and as expected; `AttestationError`."""
    return SessionVerifier(identity_key, capacity=1).verify(data, now_s=now_s, expected=expected)


class SessionVerifier:
    """Verifies session attestations of one identity key, each signature once.

    What a signature proves does not change, so claims are kept under the exact bytes, in a bounded map. Time and
    expectations are checked at every call.
    """

    def __init__(
        self,
        identity_key: bytes,
        *,
        capacity: int = limits.MAX_VERIFIED_SESSIONS,
        is_signed: IsSigned | None = None,
    ) -> None:
        """`is_signed`: see `attestation.signed.verify_signed`."""
        self._identity_key = identity_key
        self._is_signed = is_signed
        self._proven = Lru[bytes, SessionClaims](capacity)

    def verify(
        self, data: bytes, *, now_s: int, expected: SessionExpectations = ANYTHING
    ) -> VerifiedSessionAttestation:
        """As `verify_session_attestation`."""
        claims = self._proven.get(data)
        if claims is None:
            claims = self._prove(data)
            self._proven.put(data, claims)
        if now_s >= claims.expires_s:
            raise AttestationError("session-expired")
        if claims.issued_s > now_s + SKEW_S:
            raise AttestationError("session-not-yet-valid")
        expected.validate(claims)
        return VerifiedSessionAttestation(claims=claims, data=data, verified_s=now_s, mint=_MINT)

    def _prove(self, data: bytes) -> SessionClaims:
        limit = limits.MAX_SESSION_ATTESTATION_BYTES
        sign1 = verify_signed(data, SESSION_KIND, self._identity_key, max_bytes=limit, is_signed=self._is_signed)
        return parse_session_claims(sign1.payload)


def parse_session_claims(payload: bytes) -> SessionClaims:
    """The claims set in `payload`, unverified; `AttestationError("claims-malformed")` for any other encoding."""
    try:
        claims = cbor.loads(payload, max_bytes=limits.MAX_SESSION_ATTESTATION_BYTES)
    except ProtocolError:
        raise AttestationError("claims-malformed") from None
    if type(claims) is not dict or claims.keys() != _CLAIMS:
        raise AttestationError("claims-malformed", "not exactly the known claims")
    _check_types(claims)
    confirmation = claims[_CNF]
    if confirmation.keys() != {_COSE_KEY}:
        raise AttestationError("claims-malformed", "cnf")
    return SessionClaims(
        issuer=claims[_ISS],
        subject=_subject(claims[_SUB]),
        audience=claims[_AUD],
        scope=claims[_SCOPE],
        auth_key=parse_cose_key(confirmation[_COSE_KEY]),
        auth_method=claims[_AUTH_METHOD],
        auth_time_s=claims[_AUTH_TIME],
        issued_s=claims[_IAT],
        expires_s=claims[_EXP],
        cti=claims[_CTI],
        boot_epoch=claims[_BOOT_EPOCH],
    )


def identity_hash(salt: bytes, scope: str, identity: str) -> bytes:
    """The subject of an identity: SHA-256 over salt (16 to 64 bytes), scope and the identity's text, unambiguously."""
    if len(salt) not in SALT_BYTES:
        raise AttestationError("claims-malformed", "salt")
    return hashlib.sha256(cbor.dumps([_IDENTITY_CONTEXT, salt, scope, identity])).digest()


def _check_types(claims: dict[int, Any]) -> None:
    for kind, labels in (
        (str, (_ISS, _SUB, _AUD, _SCOPE, _AUTH_METHOD)),
        (int, (_EXP, _IAT, _AUTH_TIME)),
        (bytes, (_CTI, _BOOT_EPOCH)),
        (dict, (_CNF,)),
    ):
        for label in labels:
            if type(claims[label]) is not kind:
                raise AttestationError("claims-malformed", f"claim {label}")


def _subject(text: str) -> bytes:
    """CWT wants a text; 64 lower-case hex digits are the only one for a hash."""
    if re.fullmatch(rf"[0-9a-f]{{{2 * SUBJECT_BYTES}}}", text) is None:
        raise AttestationError("claims-malformed", "subject")
    return bytes.fromhex(text)


def _is_text(value: str, max_chars: int) -> bool:
    return len(value) <= max_chars and _PRINTABLE.match(value) is not None
