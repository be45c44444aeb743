"""What an enclave signs with its identity key: one COSE_Sign1 form for session attestations and receipts.

The protected header names algorithm, identity key and kind of object (`typ`, RFC 9596), and is compared whole. So an
object of one kind, version or key never passes as another (CB-06, CB-11), and each object has exactly one encoding:
deterministic payload, fixed header, low S.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from attestation.cose import ES256K, Sign1, encode_sign1, parse_sign1, sig_structure, signature_numbers, verify_sign1
from attestation.errors import AttestationError
from attestation.keys import load_identity_key
from protocol import cbor

SESSION_KIND: Final = "application/vnd.chancery.session-attestation.v1+cwt"
RECEIPT_KIND: Final = "application/vnd.chancery.receipt.v1+cbor"

IsSigned = Callable[[bytes, bytes, bytes], bool]
"""Whether a public key (compressed point) made a raw signature (r ‖ s, low S, in range) over a digest."""

_ALGORITHM, _KEY_ID, _TYPE = 1, 4, 16
_KEY_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class ToBeSigned:
    """An object that lacks its signature. The enclave signs `digest` with its own libsecp256k1 code."""

    protected: bytes = field(repr=False)
    payload: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the Sig_structure: the 32 bytes to sign, as ES256K does."""
        return hashlib.sha256(sig_structure(self.protected, self.payload)).digest()

    def attach(self, signature: bytes) -> bytes:
        """The signed object. `signature` is r ‖ s with low S, 64 bytes; the caller has verified it (SE-08)."""
        half = ES256K.order // 2
        if len(signature) != 2 * ES256K.width or not 0 < int.from_bytes(signature[ES256K.width :], "big") <= half:
            raise AttestationError("cose-signature-form")
        return encode_sign1(self.protected, self.payload, signature)


def to_be_signed(kind: str, payload: bytes, identity_key: bytes) -> ToBeSigned:
    """An object of `kind` for the identity key (compressed point, 33 bytes)."""
    return ToBeSigned(protected_header(kind, identity_key), payload)


def protected_header(kind: str, identity_key: bytes) -> bytes:
    """The one protected header of objects of `kind` under this key."""
    return cbor.dumps({_ALGORITHM: ES256K.cose_id, _KEY_ID: key_id(identity_key), _TYPE: kind})


def key_id(identity_key: bytes) -> bytes:
    """The short name of an identity key: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(identity_key).digest()[:_KEY_ID_BYTES]


def verify_signed(
    data: bytes, kind: str, identity_key: bytes, *, max_bytes: int, is_signed: IsSigned | None = None
) -> Sign1:
    """The object in `data`, of `kind` and signed by `identity_key`; `AttestationError` otherwise.

    `is_signed` is another library's word for the curve alone; everything else is checked here.
    """
    sign1 = parse_sign1(data, max_bytes=max_bytes)
    if sign1.protected != protected_header(kind, identity_key):
        raise AttestationError("signed-kind")
    if is_signed is None:
        verify_sign1(sign1, ES256K, load_identity_key(identity_key))
        return sign1
    signature_numbers(sign1.signature, ES256K)
    if not is_signed(identity_key, sign1.signature, ToBeSigned(sign1.protected, sign1.payload).digest):
        raise AttestationError("cose-signature")
    return sign1
