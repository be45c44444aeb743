"""P-256 for passkeys, by the library that the enclave has for device keys (ADR 18)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256


def verify_p256(digest: bytes, r: int, s: int, x: bytes, y: bytes) -> bool:
    """Whether (r, s) is the signature of the key (x, y) on a digest of 32 bytes; False for a point off the curve."""
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    try:
        numbers.public_key().verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))
    except (InvalidSignature, ValueError):
        return False
    return True
