"""Public keys of passkeys: three algorithms, each in its one form (RFC 9053; Web Authentication section 5.8.5)."""

from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from enclave.errors import Refusal
from protocol import cbor, limits
from protocol.errors import PROOF_VERIFICATION_FAILED, ProtocolError

_ES256_BYTES: Final = 32
_EDDSA_BYTES: Final = 32

_PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey


def _refuse() -> NoReturn:
    raise Refusal(PROOF_VERIFICATION_FAILED, "passkey key is not accepted")


@dataclass(frozen=True, slots=True)
class PasskeyPublicKey:
    """A key and its COSE form, which is what records keep."""

    encoded: bytes
    key: _PublicKey

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return when the key signed `message`. `Refusal` PROOF_VERIFICATION_FAILED."""
        try:
            match self.key:
                case ec.EllipticCurvePublicKey():
                    self.key.verify(signature, message, ec.ECDSA(SHA256()))
                case Ed25519PublicKey():
                    self.key.verify(signature, message)
                case rsa.RSAPublicKey():
                    self.key.verify(signature, message, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            raise Refusal(PROOF_VERIFICATION_FAILED, "passkey signature is invalid") from None


def parse_public_key(members: Any) -> PasskeyPublicKey:
    """The key in a decoded COSE_Key: ES256 on P-256, EdDSA on Ed25519, or RS256. `Refusal` for any other.

    Type, algorithm and curve have to fit together, and no member may be there that does not belong.
    """
    try:
        return PasskeyPublicKey(cbor.dumps(members), _load(members))
    except ValueError:  # a point off the curve, an impossible modulus
        _refuse()


def read_public_key(encoded: bytes) -> PasskeyPublicKey:
    """The key that `PasskeyPublicKey.encoded` kept."""
    try:
        return parse_public_key(cbor.loads(encoded))
    except ProtocolError:
        _refuse()


def _load(members: Any) -> _PublicKey:
    names = set(members) if isinstance(members, dict) else set()
    match members:
        case {1: 2, 3: -7, -1: 1, -2: bytes(x), -3: bytes(y)} if len(names) == 5:
            if len(x) == len(y) == _ES256_BYTES:
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
        case {1: 1, 3: -8, -1: 6, -2: bytes(x)} if len(names) == 4:
            if len(x) == _EDDSA_BYTES:
                return Ed25519PublicKey.from_public_bytes(x)
        case {1: 3, 3: -257, -1: bytes(n), -2: bytes(e)} if len(names) == 4:
            return _load_rsa(int.from_bytes(n, "big"), int.from_bytes(e, "big"), len(n))
    _refuse()


def _load_rsa(modulus: int, exponent: int, size: int) -> rsa.RSAPublicKey:
    strong = limits.MIN_RSA_BITS <= modulus.bit_length() <= limits.MAX_RSA_BITS and 2**16 < exponent < 2**32
    if not strong or size != (modulus.bit_length() + 7) // 8:
        _refuse()
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()
