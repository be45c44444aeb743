"""The auth key: the device's key that signs every request, P-256 or secp256k1 (identity-instrument.md 1.3, 1.5).

A request is signed over the RFC 8785 form of its `params`. P-256: ECDSA over SHA-256, r || s. secp256k1: EIP-191 over
the 66-character text of the keccak-256 hash, 65 bytes with v in {0, 1, 27, 28}. High-S is accepted here, because
published clients make it; a request is identified by its nonce, not by its signature bytes.
"""

import binascii
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from enclave import curve
from enclave.errors import Refusal
from evm.keccak import keccak256
from protocol.errors import INVALID_SIGNATURE

KeyType = Literal["WebCrypto_Secp256r1", "Ethereum_Secp256k1"]
P256: Final = "WebCrypto_Secp256r1"
SECP256K1: Final = "Ethereum_Secp256k1"

_ADDRESS_BYTES: Final = {P256: 65, SECP256K1: 20}
_ADDRESS_CHARS: Final = len("0x") + 2 * max(_ADDRESS_BYTES.values())
_CACHED: Final = 10_000  # keys, which are public
_PREFIX: Final = b"\x19Ethereum Signed Message:\n66"
_SHA256: Final = ec.ECDSA(SHA256())


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the wire names it: an uncompressed P-256 point or an Ethereum address, as lower-case `0x` hex."""

    key_type: KeyType
    address: str

    def __str__(self) -> str:
        return f"{self.key_type}:{self.address}"

    def wire(self) -> dict[str, str]:
        """The JSON form."""
        return {"keyType": self.key_type, "address": self.address}


def parse_key(value: Any) -> Key | None:
    """The key in a JSON object `{keyType, address}`, or None when it is not a valid one."""
    if type(value) is not dict:
        return None
    key_type, address = value.get("keyType"), value.get("address")
    if key_type not in (P256, SECP256K1) or type(address) is not str or len(address) > _ADDRESS_CHARS:
        return None
    return _parsed(key_type, address)


def parse_key_text(text: str) -> Key | None:
    """The key in its text form `keyType:address`."""
    key_type, _, address = text.partition(":")
    return parse_key({"keyType": key_type, "address": address})


def parse_hex(text: str) -> bytes | None:
    """The bytes of an even number of hex digits, with or without `0x`; None otherwise."""
    try:
        return binascii.unhexlify(text[2:] if text[:2] in ("0x", "0X") else text)
    except ValueError:
        return None


def verify_request_signature(key: Key, signature: str, canonical_params: bytes) -> bytes:
    """The compressed public key that signed `canonical_params`, which is `key`'s; INVALID_SIGNATURE otherwise."""
    raw = parse_hex(signature)
    if raw is None:
        raise Refusal(INVALID_SIGNATURE, "invalid signature format")
    if key.key_type == P256:
        return _verify_p256(key, raw, canonical_params)
    return _verify_secp256k1(key, raw, canonical_params)


def _verify_p256(key: Key, raw: bytes, canonical_params: bytes) -> bytes:
    if len(raw) != 64:
        raise Refusal(INVALID_SIGNATURE, "invalid signature length")
    point = bytes.fromhex(key.address[2:])
    public = _p256(point)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    try:
        if public is None:
            raise InvalidSignature
        public.verify(encode_dss_signature(r, s), canonical_params, _SHA256)
    except InvalidSignature:
        raise Refusal(INVALID_SIGNATURE, "verification failed") from None
    return (b"\x03" if point[64] & 1 else b"\x02") + point[1:33]


def _verify_secp256k1(key: Key, raw: bytes, canonical_params: bytes) -> bytes:
    if len(raw) != 65:
        raise Refusal(INVALID_SIGNATURE, "invalid signature length")
    text = b"0x" + keccak256(canonical_params).hex().encode()
    parity = raw[64] - 27 if raw[64] in (27, 28) else raw[64]
    if parity not in (0, 1):
        raise Refusal(INVALID_SIGNATURE, "verification failed")
    try:
        public = curve.recover(raw[:64], parity, keccak256(_PREFIX + text))
    except curve.CurveError:
        raise Refusal(INVALID_SIGNATURE, "failed to recover public key") from None
    if curve.address(public) != key.address:
        raise Refusal(INVALID_SIGNATURE, "verification failed")
    return public


@lru_cache(maxsize=_CACHED)
def _parsed(key_type: KeyType, address: str) -> Key | None:
    raw = parse_hex(address) if address[:2] in ("0x", "0X") else None
    if raw is None or len(raw) != _ADDRESS_BYTES[key_type]:
        return None
    if key_type == P256 and _p256(raw) is None:
        return None
    return Key(key_type, "0x" + raw.hex())


@lru_cache(maxsize=_CACHED)  # making the object costs as much as a verification
def _p256(point: bytes) -> ec.EllipticCurvePublicKey | None:
    if point[0] != 4:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return None
