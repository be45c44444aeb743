"""The answer of a browser: `PublicKeyCredential.toJSON()` (Web Authentication section 5.1), untrusted.

Members beyond those that are needed are left alone, because browsers send more; each that is needed has one form.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

from enclave.errors import Refusal
from protocol import canonical_json, cbor, limits
from protocol.base64url import decode_b64u
from protocol.errors import PROOF_VERIFICATION_FAILED, ProtocolError


def _refuse() -> NoReturn:
    raise Refusal(PROOF_VERIFICATION_FAILED, "passkey answer is malformed")


@dataclass(frozen=True, slots=True)
class Assertion:
    """The answer to `navigator.credentials.get`."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Registration:
    """The answer to `navigator.credentials.create`. What an attestation statement says is not asked for."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes


def parse_assertion(text: str) -> Assertion:
    """The assertion in a JSON text; `Refusal` PROOF_VERIFICATION_FAILED."""
    credential_id, response = _parse_credential(text)
    match response:
        case {"clientDataJSON": str(client), "authenticatorData": str(data), "signature": str(signature)}:
            return Assertion(credential_id, _decode(client), _decode(data), _decode(signature))
    _refuse()


def parse_registration(text: str) -> Registration:
    """The registration in a JSON text; `Refusal` PROOF_VERIFICATION_FAILED."""
    credential_id, response = _parse_credential(text)
    match response:
        case {"clientDataJSON": str(client), "attestationObject": str(attestation)}:
            return Registration(credential_id, _decode(client), _authenticator_data(_decode(attestation)))
    _refuse()


def _parse_credential(text: str) -> tuple[bytes, dict[str, Any]]:
    try:
        value = canonical_json.parse(text.encode(), max_bytes=limits.MAX_ANSWER_BYTES)
    except (ProtocolError, UnicodeEncodeError):
        _refuse()
    match value:
        case {"id": str(credential_id), "type": "public-key", "response": dict(response)}:
            return _decode(credential_id), response
    _refuse()


def _decode(text: str) -> bytes:
    raw = decode_b64u(text)
    if raw is None:
        _refuse()
    return raw


def _authenticator_data(attestation: bytes) -> bytes:
    try:
        value = cbor.loads(attestation, max_bytes=limits.MAX_ANSWER_BYTES)
    except ProtocolError:
        _refuse()
    match value:
        case {"fmt": str(), "attStmt": dict(), "authData": bytes(data)} if len(value) == 3:
            return data
    _refuse()
