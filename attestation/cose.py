"""COSE_Sign1 in one strict profile: an array of protected header, empty map, payload and raw signature (RFC 9052 4.2).

The bytes that were received are the bytes that are verified; nothing is re-encoded for that (AT-21). Header bytes are
compared whole by the callers, so there is no header to interpret: no `crit`, no second algorithm, no duplicate label
(AT-03). Signatures are r ‖ s at the width of the curve; DER is refused (AT-04).
"""

from dataclasses import dataclass, field
from typing import Any, Final, Never

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attestation.errors import AttestationError

_TAG_18, _ARRAY_4, _EMPTY_MAP = b"\xd2", b"\x84", b"\xa0"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An ECDSA algorithm of the COSE registry, with the group order that bounds its signatures."""

    cose_id: int
    curve: ec.EllipticCurve
    ecdsa: ec.ECDSA
    width: int
    """Bytes of r and of s."""
    order: int
    low_s: bool
    """Whether s must lie in the lower half: required of our own signatures (SE-07), not of the hardware's (AT-04)."""


ES384: Final = Algorithm(
    cose_id=-35,
    curve=ec.SECP384R1(),
    ecdsa=ec.ECDSA(hashes.SHA384()),
    width=48,
    order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    low_s=False,
)
ES256: Final = Algorithm(
    cose_id=-7,
    curve=ec.SECP256R1(),
    ecdsa=ec.ECDSA(hashes.SHA256()),
    width=32,
    order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    low_s=False,
)
ES256K: Final = Algorithm(
    cose_id=-47,
    curve=ec.SECP256K1(),
    ecdsa=ec.ECDSA(hashes.SHA256()),
    width=32,
    order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    low_s=True,
)

ES384_PROTECTED: Final = cbor2.dumps({1: ES384.cose_id})
"""The protected header of every attestation document: exactly {1: -35}."""


@dataclass(frozen=True, slots=True)
class Sign1:
    """A parsed, unverified COSE_Sign1."""

    protected: bytes
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    """What a COSE_Sign1 signature covers (RFC 9052 4.4), with empty external data."""
    return b"\x84\x6aSignature1" + _byte_string(protected) + b"\x40" + _byte_string(payload)


def encode_sign1(protected: bytes, payload: bytes, signature: bytes, *, tagged: bool = False) -> bytes:
    """The one encoding that `parse_sign1` takes; `tagged` puts tag 18 in front."""
    head = _TAG_18 + _ARRAY_4 if tagged else _ARRAY_4
    return head + _byte_string(protected) + _EMPTY_MAP + _byte_string(payload) + _byte_string(signature)


def _byte_string(value: bytes) -> bytes:
    """A CBOR byte string in its shortest form. By hand: all that is signed goes through here, up to 6 kB at a time."""
    length = len(value)
    if length < 24:
        return bytes((0x40 + length,)) + value
    size, head = (1, b"\x58") if length < 1 << 8 else (2, b"\x59") if length < 1 << 16 else (4, b"\x5a")
    return head + length.to_bytes(size, "big") + value


def parse_sign1(data: bytes, *, max_bytes: int, tag_allowed: bool = False) -> Sign1:
    """The parts of an untagged (or, if allowed, tag-18) COSE_Sign1; `AttestationError("cose-malformed")` otherwise.

    Comparing the re-encoding refuses trailing bytes, indefinite lengths and non-minimal headers in one go (AT-02).
    """
    if len(data) > max_bytes:
        raise AttestationError("cose-malformed", f"larger than {max_bytes} bytes")
    tagged = tag_allowed and data[:1] == _TAG_18
    match loads_strict(data[1:] if tagged else data, max_depth=1):
        case [bytes(protected), dict() as unprotected, bytes(payload), bytes(signature)] if not unprotected:
            if encode_sign1(protected, payload, signature, tagged=tagged) == data:
                return Sign1(protected, payload, signature)
    raise AttestationError("cose-malformed")


def verify_sign1(sign1: Sign1, algorithm: Algorithm, public_key: ec.EllipticCurvePublicKey) -> None:
    """Raise unless `public_key` made the signature. The caller has compared the protected header already."""
    if public_key.curve.name != algorithm.curve.name:
        raise AttestationError("key-malformed", f"not on {algorithm.curve.name}")
    r, s = signature_numbers(sign1.signature, algorithm)
    covered = sig_structure(sign1.protected, sign1.payload)
    try:
        public_key.verify(encode_dss_signature(r, s), covered, algorithm.ecdsa)
    except InvalidSignature:
        raise AttestationError("cose-signature") from None


def signature_numbers(signature: bytes, algorithm: Algorithm) -> tuple[int, int]:
    """r and s of a raw signature, if they have the width and lie in the range that the algorithm demands."""
    width, order = algorithm.width, algorithm.order
    if len(signature) != 2 * width:
        raise AttestationError("cose-signature-form")
    r, s = int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
    if not (0 < r < order and 0 < s <= (order // 2 if algorithm.low_s else order - 1)):
        raise AttestationError("cose-signature-form")
    return r, s


class _EveryTag(dict[int, Any]):
    """A table of semantic decoders that has an entry for every tag: none is ever acted upon (CB-02)."""

    def __missing__(self, _: int) -> Any:
        return _refuse


def _refuse(*_: Any) -> Never:
    raise ValueError("tag")


_EVERY_TAG: Final = _EveryTag()


def loads_strict(data: bytes, *, max_depth: int, allow_indefinite: bool = False) -> Any:
    """One CBOR item without tags, duplicate keys or nesting beyond `max_depth`, or None when malformed.

    Not strict by itself: callers check types and compare the re-encoding, which also finds trailing bytes.
    """
    try:
        return cbor2.loads(
            data,
            max_depth=max_depth,
            allow_indefinite=allow_indefinite,
            allow_duplicate_keys=False,
            semantic_decoders=_EVERY_TAG,
            tag_hook=_refuse,
        )
    except Exception:  # noqa: BLE001  cbor2 raises its own family and, for odd keys, TypeError or ValueError
        return None
