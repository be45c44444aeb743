"""Public keys that attestations name: the device's auth key and the deployment's identity key.

Both travel as compressed points. Syntax is checked where they are parsed; whether a point lies on its curve is checked
by the code that uses the key, and by `load_identity_key`.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from attestation.errors import AttestationError

POINT_BYTES: Final = 33
P256: Final = "WebCrypto_Secp256r1"
SECP256K1: Final = "Ethereum_Secp256k1"
"""Key types by their names on the wire (identity-instrument.md 1.3)."""

_COSE_CURVES: Final = {P256: 1, SECP256K1: 8}  # RFC 9053 7.1, RFC 8812 3.1
_KTY, _CRV, _X, _Y = 1, -1, -2, -3
_EC2: Final = 2


class AuthKey(NamedTuple):
    """The device's key: its type and its compressed point (33 bytes)."""

    key_type: str
    public_key: bytes


def encode_cose_key(key: AuthKey) -> dict[int, Any]:
    """The COSE_Key of `key`, with the sign of y in place of y (RFC 9053 7.1.1)."""
    key_type, point = key
    _require_point(point)
    if key_type not in _COSE_CURVES:
        raise AttestationError("key-malformed", "type")
    return {_KTY: _EC2, _CRV: _COSE_CURVES[key_type], _X: point[1:], _Y: point[0] == 3}


def parse_cose_key(value: Any) -> AuthKey:
    """The key that `encode_cose_key` made into `value`."""
    match value:
        case {1: 2, -1: 1 | 8 as curve, -2: bytes(x), -3: bool(sign)} if len(value) == 4 and len(x) == POINT_BYTES - 1:
            return AuthKey(P256 if curve == 1 else SECP256K1, (b"\x03" if sign else b"\x02") + x)
    raise AttestationError("key-malformed")


@lru_cache(maxsize=64)
def load_identity_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """The secp256k1 key of a compressed point; `AttestationError("key-malformed")` when it lies on no curve."""
    _require_point(point)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), point)
    except ValueError:
        raise AttestationError("key-malformed") from None


def _require_point(point: bytes) -> None:
    if len(point) != POINT_BYTES or point[0] not in (2, 3):
        raise AttestationError("key-malformed")
