"""secp256k1 through libsecp256k1: the only place where a private scalar meets arithmetic (MS-04).

Scalars are 32-byte `Secret`s and never become Python integers or `bytes`. The library's own functions add and
multiply them in constant time; signatures use RFC 6979 nonces, are low-S (SE-07, SE-08) and are checked before release.
"""

from typing import Any, Final

from coincurve._libsecp256k1 import ffi as _ffi
from coincurve._libsecp256k1 import lib as _lib

from enclave.secret import Secret
from evm.keccak import keccak256

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SCALAR_BYTES: Final = 32
POINT_BYTES: Final = 33
_UNCOMPRESSED_BYTES: Final = 65

_context: Any = _lib.secp256k1_context_create(_lib.SECP256K1_CONTEXT_NONE)


class CurveError(Exception):
    """A scalar, point or signature is not valid, or the library failed. Carries no values."""


def blind(seed: bytes) -> None:
    """Randomise the context against side channels; call once at boot with 32 random bytes."""
    if len(seed) != SCALAR_BYTES or not _lib.secp256k1_context_randomize(_context, seed):
        raise CurveError("context")


def random_scalar(random: Any) -> Secret:
    """A uniform non-zero scalar; `random(32)` is drawn again in the 2^-128 case that it is out of range."""
    while True:
        scalar = Secret.take(bytearray(random(SCALAR_BYTES)))
        if _lib.secp256k1_ec_seckey_verify(_context, _pointer(scalar)):
            return scalar
        scalar.wipe()


def copy_scalar(scalar: Secret) -> Secret:
    """A second secret with the same scalar."""
    copy = Secret(SCALAR_BYTES)
    copy.view[:] = scalar.view
    return copy


def add_scalar(scalar: Secret, other: Secret) -> None:
    """scalar := scalar + other (mod n). `CurveError` if that is zero."""
    if not _lib.secp256k1_ec_seckey_tweak_add(_context, _pointer(scalar), _pointer(other)):
        raise CurveError("scalar")


def multiply_scalar(scalar: Secret, public_factor: int) -> None:
    """scalar := scalar * public_factor (mod n); the factor is public and not zero."""
    factor = (public_factor % ORDER).to_bytes(SCALAR_BYTES, "big")
    if not _lib.secp256k1_ec_seckey_tweak_mul(_context, _pointer(scalar), factor):
        raise CurveError("scalar")


def public_key(scalar: Secret) -> bytes:
    """The 33-byte compressed point scalar * G; `CurveError` for zero or out of range."""
    point = _ffi.new("secp256k1_pubkey *")
    if not _lib.secp256k1_ec_pubkey_create(_context, point, _pointer(scalar)):
        raise CurveError("scalar")
    return _serialize(point, _lib.SECP256K1_EC_COMPRESSED, POINT_BYTES)


def evaluate_commitments(commitments: tuple[bytes, ...], index: int) -> bytes:
    """The point sum(commitments[j] * index^j): what a share's public key must be (Feldman). All public values."""
    terms = []
    for power, commitment in enumerate(commitments):
        term = _parse(commitment)
        factor = pow(index, power, ORDER).to_bytes(SCALAR_BYTES, "big")
        if not _lib.secp256k1_ec_pubkey_tweak_mul(_context, term, factor):
            raise CurveError("point")
        terms.append(term)
    total = _ffi.new("secp256k1_pubkey *")
    if not _lib.secp256k1_ec_pubkey_combine(_context, total, terms, len(terms)):
        raise CurveError("point")
    return _serialize(total, _lib.SECP256K1_EC_COMPRESSED, POINT_BYTES)


def sign(scalar: Secret, digest: bytes, public: bytes) -> tuple[bytes, int]:
    """`(r || s, y parity)` of a 32-byte digest. It is recovered and compared with `public` first."""
    if len(digest) != SCALAR_BYTES:
        raise CurveError("digest")
    signature = _ffi.new("secp256k1_ecdsa_recoverable_signature *")
    if not _lib.secp256k1_ecdsa_sign_recoverable(_context, signature, digest, _pointer(scalar), _ffi.NULL, _ffi.NULL):
        raise CurveError("scalar")
    output, parity = _ffi.new("unsigned char[64]"), _ffi.new("int *")
    _lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(_context, output, parity, signature)
    compact = bytes(_ffi.buffer(output))
    if recover(compact, parity[0], digest) != public:
        raise CurveError("fault")
    return compact, parity[0]


def recover(compact: bytes, parity: int, digest: bytes) -> bytes:
    """The compressed public key that made `compact` (64 bytes) over `digest`; `CurveError` if there is none."""
    if len(compact) != 64 or not 0 <= parity <= 3 or len(digest) != SCALAR_BYTES:
        raise CurveError("signature")
    signature = _ffi.new("secp256k1_ecdsa_recoverable_signature *")
    if not _lib.secp256k1_ecdsa_recoverable_signature_parse_compact(_context, signature, compact, parity):
        raise CurveError("signature")
    point = _ffi.new("secp256k1_pubkey *")
    if not _lib.secp256k1_ecdsa_recover(_context, point, signature, digest):
        raise CurveError("signature")
    return _serialize(point, _lib.SECP256K1_EC_COMPRESSED, POINT_BYTES)


def is_signed(public: bytes, compact: bytes, digest: bytes) -> bool:
    """Whether `public` (compressed) made `compact` (64 bytes, low s) over `digest`; `CurveError` if it is no point."""
    signature = _ffi.new("secp256k1_ecdsa_signature *")
    if len(compact) != 64 or len(digest) != SCALAR_BYTES:
        return False
    if not _lib.secp256k1_ecdsa_signature_parse_compact(_context, signature, compact):
        return False
    return bool(_lib.secp256k1_ecdsa_verify(_context, signature, digest, _parse(public)))


def address(public: bytes) -> str:
    """The Ethereum address of a compressed public key: `0x` and 40 lower-case hex digits."""
    point = _serialize(_parse(public), _lib.SECP256K1_EC_UNCOMPRESSED, _UNCOMPRESSED_BYTES)
    return "0x" + keccak256(point[1:])[12:].hex()


def _pointer(secret: Secret) -> Any:
    return _ffi.from_buffer("unsigned char[32]", secret.view, require_writable=True)


def _parse(public: bytes) -> Any:
    point = _ffi.new("secp256k1_pubkey *")
    if len(public) != POINT_BYTES or not _lib.secp256k1_ec_pubkey_parse(_context, point, public, POINT_BYTES):
        raise CurveError("point")
    return point


def _serialize(point: Any, form: int, size: int) -> bytes:
    output, length = _ffi.new("unsigned char[]", size), _ffi.new("size_t *", size)
    _lib.secp256k1_ec_pubkey_serialize(_context, output, length, point, form)
    return bytes(_ffi.buffer(output, size))
