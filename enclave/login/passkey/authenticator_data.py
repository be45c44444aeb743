"""What the authenticator signs: for which site, whether a person was there, and its counter (section 6.1).

Read strictly: every byte belongs to something, and what belongs to the other ceremony is not there.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from enclave.errors import Refusal
from enclave.login.passkey.public_key import PasskeyPublicKey, parse_public_key
from protocol import cbor, limits
from protocol.errors import PROOF_VERIFICATION_FAILED, ProtocolError

_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_BACKUP_ELIGIBLE: Final = 0x08
_BACKED_UP: Final = 0x10
_ATTESTED: Final = 0x40
_EXTENSIONS: Final = 0x80
_HEAD_BYTES: Final = 37
_AAGUID_BYTES: Final = 16
_ARRAY_OF_TWO: Final = b"\x82"


def _refuse(why: str) -> NoReturn:
    raise Refusal(PROOF_VERIFICATION_FAILED, f"passkey data {why}")


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential that was just made."""

    id: bytes
    public_key: PasskeyPublicKey


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    """Checked against the site, and with a user who was verified."""

    sign_count: int
    backup_eligible: bool
    credential: NewCredential | None
    """After the ceremony `create` only."""


def parse_authenticator_data(raw: bytes, rp_id: str, *, created: bool) -> AuthenticatorData:
    """The data for `rp_id`, with a new credential when one was `created` and without one otherwise.

    `Refusal` PROOF_VERIFICATION_FAILED: another site, nobody verified, or anything malformed.
    """
    if not _HEAD_BYTES <= len(raw) <= limits.MAX_AUTHENTICATOR_DATA_BYTES:
        _refuse("is malformed")
    flags, sign_count, rest = raw[32], int.from_bytes(raw[33:37], "big"), raw[_HEAD_BYTES:]
    if not hmac.compare_digest(raw[:32], hashlib.sha256(rp_id.encode()).digest()):
        _refuse("is for another site")
    if not (flags & _USER_PRESENT and flags & _USER_VERIFIED):
        _refuse("shows no verified user")
    if flags & _BACKED_UP and not flags & _BACKUP_ELIGIBLE:
        _refuse("is malformed")
    if bool(flags & _ATTESTED) != created:
        _refuse("belongs to another ceremony")
    credential = None
    if created:
        credential = _parse_credential(rest, extensions=bool(flags & _EXTENSIONS))
    elif flags & _EXTENSIONS:
        _require_map(_decode(rest))
    elif rest:
        _refuse("is malformed")
    return AuthenticatorData(sign_count, bool(flags & _BACKUP_ELIGIBLE), credential)


def _parse_credential(data: bytes, *, extensions: bool) -> NewCredential:
    """Section 6.5.1. Where extensions follow the key, the two are read as one CBOR array."""
    start = _AAGUID_BYTES + 2
    size = int.from_bytes(data[_AAGUID_BYTES:start], "big")
    credential_id, rest = data[start : start + size], data[start + size :]
    if not 1 <= size <= limits.MAX_CREDENTIAL_ID_BYTES or len(credential_id) != size:
        _refuse("is malformed")
    if not extensions:
        return NewCredential(credential_id, parse_public_key(_decode(rest)))
    match _decode(_ARRAY_OF_TWO + rest):
        case [key, extended]:
            _require_map(extended)
            return NewCredential(credential_id, parse_public_key(key))
    _refuse("is malformed")


def _decode(data: bytes) -> Any:
    try:
        return cbor.loads(data, max_bytes=limits.MAX_AUTHENTICATOR_DATA_BYTES)
    except ProtocolError:
        _refuse("is malformed")


def _require_map(value: Any) -> None:
    if not isinstance(value, dict):
        _refuse("is malformed")
