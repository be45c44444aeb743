"""An identity key and objects signed with it, for tests of the verifying side."""

import hashlib
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.cose import ES256K
from attestation.keys import P256, AuthKey
from attestation.receipt import Receipt, receipt_to_be_signed
from attestation.session import SessionClaims, identity_hash, session_to_be_signed
from attestation.signed import ToBeSigned

NOW_S = 1_772_366_400
SALT = b"salt" * 4
SCOPE = "@1"
IDENTITY = "Email:user@example.com"
EPOCH = b"\x05" * 16


class IdentityKey:
    """A secp256k1 key that signs as the enclave does: over the digest, with low S."""

    def __init__(self, seed: int) -> None:
        self._key = ec.derive_private_key(seed, ec.SECP256K1())
        self.public = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    def signature(self, digest: bytes, *, high_s: bool = False) -> bytes:
        r, s = decode_dss_signature(self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        low = min(s, ES256K.order - s)
        return r.to_bytes(32, "big") + (ES256K.order - low if high_s else low).to_bytes(32, "big")

    def sign(self, unsigned: ToBeSigned) -> bytes:
        return unsigned.attach(self.signature(unsigned.digest))


IDENTITY_KEY = IdentityKey(1001)
OTHER_KEY = IdentityKey(1002)
AUTH_KEY = AuthKey(P256, b"\x03" + hashlib.sha256(b"x").digest())


def claims(**changes: Any) -> SessionClaims:
    return SessionClaims(
        **{
            "issuer": "test-1",
            "subject": identity_hash(SALT, SCOPE, IDENTITY),
            "audience": "https://app.example",
            "scope": SCOPE,
            "auth_key": AUTH_KEY,
            "auth_method": "otp-email",
            "auth_time_s": NOW_S - 5,
            "issued_s": NOW_S,
            "expires_s": NOW_S + 300,
            "cti": b"\x06" * 16,
            "boot_epoch": EPOCH,
        }
        | changes
    )


def session(key: IdentityKey = IDENTITY_KEY, **changes: Any) -> bytes:
    return key.sign(session_to_be_signed(claims(**changes), key.public))


def receipt(**changes: Any) -> Receipt:
    return Receipt(
        **{
            "issuer": "test-1",
            "method": "POST /rpc/Signer/SignMessage",
            "request_hash": hashlib.sha256(b"request").digest(),
            "response_hash": hashlib.sha256(b"response").digest(),
            "status": 200,
            "boot_epoch": EPOCH,
            "sequence": 7,
            "time_ms": NOW_S * 1000,
        }
        | changes
    )


def signed_receipt(key: IdentityKey = IDENTITY_KEY, **changes: Any) -> bytes:
    return key.sign(receipt_to_be_signed(receipt(**changes), key.public))
