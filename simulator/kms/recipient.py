"""The `Recipient` of a call: a genuine attestation document and the RSA key inside it.

Genuine is all that is decided here, with the production verifier under the roots that the simulator was given (SM-02).
Which measurements are acceptable, debug ones included, is for the key policy; freshness is not asked for, because the
real service is reported to accept a replayed document (nitro-platform.md 6.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from attestation.errors import AttestationError
from attestation.policy import AnyImage, AnyOf, DebugImage
from attestation.roots import TrustRoot
from attestation.verify import verify
from simulator.kms.errors import validation_error

_ANY_GENUINE: Final = AnyOf((AnyImage(), DebugImage()))
_RSA_BITS: Final = frozenset({2048, 3072, 4096})  # that KMS takes the larger two is not established


@dataclass(frozen=True, slots=True)
class AttestedRecipient:
    """What a genuine document says: its locked registers, and the key that answers are sealed for."""

    pcrs: Mapping[int, bytes]
    public_key: RSAPublicKey


def verify_recipient(
    document: bytes, roots: Sequence[TrustRoot], now_ms: int, *, accept_expired: bool
) -> AttestedRecipient:
    """The recipient in a genuine `document`; `AwsError` (ValidationException) otherwise.

    With `accept_expired` the chain is judged at the document's own time: what the real service does is not known.
    """
    try:
        verified = verify(document, _ANY_GENUINE, now_ms, roots, as_of="document" if accept_expired else None)
    except AttestationError as error:
        raise validation_error(f"The attestation document is not valid: {error.code}") from None
    return AttestedRecipient(verified.document.pcrs, _rsa_key(verified.document.public_key))


def _rsa_key(spki: bytes | None) -> RSAPublicKey:
    try:
        key = load_der_public_key(spki or b"")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size not in _RSA_BITS:
        raise validation_error("The attestation document holds no RSA public key that answers can be encrypted to")
    return key
