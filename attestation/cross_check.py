"""A second opinion on a COSE signature: pycose, and the pure-Python curve arithmetic beneath it.

Optional and never in the trust path: it comes after our own verification, and can only add a refusal. pycose refuses
ES256K, so for that algorithm it builds the covered bytes, and `ecdsa` (which it depends on) verifies them.
"""

import hashlib
from importlib import import_module
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from attestation.certificate import parse_certificate
from attestation.cose import ES256K, ES384, Algorithm, Sign1, sig_structure
from attestation.document import AttestationDocument
from attestation.errors import AttestationError

_ES256_PROTECTED: Final = b"\xa1\x01\x26"
_CURVES: Final = {"secp384r1": "P384", "secp256r1": "P256"}


def cross_check_document(document: AttestationDocument) -> None:
    """Raise unless the second implementation, too, accepts the document's own signature (not its chain)."""
    cross_check(document.sign1, ES384, parse_certificate(document.certificates[-1]).key)


def cross_check(sign1: Sign1, algorithm: Algorithm, public_key: ec.EllipticCurvePublicKey) -> None:
    """Raise `cross-check-disagrees`, or `cross-check-unavailable` when pycose is not installed."""
    try:
        messages, ecdsa = import_module("pycose.messages"), import_module("ecdsa")
    except ImportError:
        raise AttestationError("cross-check-unavailable", "pycose is not installed") from None
    try:
        message = _message(messages, sign1, algorithm)
        covered = message._create_sig_structure()  # noqa: SLF001  pycose has no public name for it
        if algorithm is ES256K:
            accepted = _verify_es256k(ecdsa, public_key, sign1.signature, covered)
        else:
            message.key = _pycose_key(algorithm, public_key)
            accepted = message.verify_signature()
    except Exception as error:  # noqa: BLE001  whatever a second implementation stumbles over is a disagreement
        raise AttestationError("cross-check-disagrees", type(error).__name__) from None
    if not accepted or covered != sig_structure(sign1.protected, sign1.payload):
        raise AttestationError("cross-check-disagrees")


def _message(messages: Any, sign1: Sign1, algorithm: Algorithm) -> Any:
    """The message as pycose sees it. It cannot parse an ES256K header, but covers one that is put in its place."""
    header = _ES256_PROTECTED if algorithm is ES256K else sign1.protected
    parts = [header, {}, sign1.payload, sign1.signature]
    message = messages.Sign1Message.from_cose_obj(parts, allow_unknown_attributes=False)
    message._phdr_encoded = sign1.protected  # noqa: SLF001
    return message


def _pycose_key(algorithm: Algorithm, public_key: ec.EllipticCurvePublicKey) -> Any:
    curve = getattr(import_module("pycose.keys.curves"), _CURVES[algorithm.curve.name])
    numbers = public_key.public_numbers()
    x, y = (number.to_bytes(algorithm.width, "big") for number in (numbers.x, numbers.y))
    return import_module("pycose.keys").EC2Key(crv=curve, x=x, y=y)


def _verify_es256k(ecdsa: Any, public_key: ec.EllipticCurvePublicKey, signature: bytes, covered: bytes) -> bool:
    numbers = public_key.public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    key = ecdsa.VerifyingKey.from_string(point, curve=ecdsa.SECP256k1)
    return bool(key.verify(signature, covered, hashfunc=hashlib.sha256))
