"""The signature section: a certificate, and a COSE_Sign1 of its key over PCR0 (nitro-platform.md 1.3).

Exactly one signature, in the one encoding that nitro-cli writes and QEMU demands: a map of two, certificate first, both
as arrays of integers. The platform looks at the first element only, so a second one would be read by nobody. Nobody
checks a chain above the certificate: PCR8 names the certificate itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from attestation import cose, pcr
from attestation.cose import Algorithm, Sign1
from attestation.errors import AttestationError
from eif.errors import EifError
from eif.layout import MAX_CONTENT_BYTES, SectionType

MAX_PEM_BYTES: Final = 1 << 16
"""Of a certificate or key as a file."""
ES512: Final = Algorithm(
    cose_id=-36,
    curve=ec.SECP521R1(),
    ecdsa=ec.ECDSA(SHA512()),
    width=66,
    order=0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
    low_s=False,
)
_ALGORITHMS: Final = {algorithm.curve.name: algorithm for algorithm in (cose.ES256, cose.ES384, ES512)}


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate with a key of an allowed curve. Nothing vouches for it."""

    certificate: x509.Certificate
    public_key: ec.EllipticCurvePublicKey

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm for the key's curve."""
        return _ALGORITHMS[self.public_key.curve.name]

    @property
    def pcr8(self) -> bytes:
        """The register that names this certificate."""
        return pcr.of_signer(self.certificate.public_bytes(Encoding.DER))

    def validate_time(self, at: datetime) -> None:
        """Raise unless the certificate is valid at `at`: otherwise the image does not start (errors E36, E39)."""
        if at < self.certificate.not_valid_before_utc:
            raise EifError("certificate-not-yet-valid", f"before {self.certificate.not_valid_before_utc:%Y-%m-%d}")
        if at > self.certificate.not_valid_after_utc:
            raise EifError("certificate-expired", f"{self.certificate.not_valid_after_utc:%Y-%m-%d}")


@dataclass(frozen=True, slots=True)
class ImageSignature:
    """A parsed, unverified signature section."""

    signer: Signer
    sign1: Sign1

    def verify_signature(self) -> None:
        """Raise unless the certificate's key made the signature with the algorithm of its curve."""
        if self.sign1.protected != _protected(self.signer.algorithm):
            raise EifError("signature-algorithm")
        try:
            cose.verify_sign1(self.sign1, self.signer.algorithm, self.signer.public_key)
        except AttestationError as error:
            raise EifError("signature-invalid", error.code) from None

    def verify_measurement(self, pcr0: bytes) -> None:
        """Raise unless what was signed is this PCR0. Says nothing about who signed it."""
        if self.sign1.payload != _payload(pcr0):
            raise EifError("signature-measurement")


@dataclass(frozen=True, slots=True)
class SignatureFindings:
    """What holds of a signature, each apart: None, or why not."""

    signature: EifError | None
    measurement: EifError | None
    validity: EifError | None

    @property
    def covers_image(self) -> bool:
        """nitro-cli's `SignatureCheck`: genuine, and over this image. The time counts only when the image starts."""
        return self.signature is None and self.measurement is None


def examine(found: ImageSignature, pcr0: bytes, at: datetime) -> SignatureFindings:
    """Every check on a signature, so that a report names all that fail."""
    return SignatureFindings(
        signature=_outcome(found.verify_signature),
        measurement=_outcome(partial(found.verify_measurement, pcr0)),
        validity=_outcome(partial(found.signer.validate_time, at)),
    )


def verify_image_signature(data: bytes | None, pcr0: bytes, at: datetime) -> Signer:
    """The signer of an image whose signature section is `data` and whose measured PCR0 is `pcr0`; `EifError`.

    The result names a certificate; whether that is the right one, PCR8 in a policy has to say.
    """
    if data is None:
        raise EifError("signature-missing")
    found = parse_signature(data)
    found.verify_signature()
    found.verify_measurement(pcr0)
    found.signer.validate_time(at)
    return found.signer


def parse_signature(data: bytes) -> ImageSignature:
    """The one signature in a section; `EifError("signature-malformed" | "certificate-…")`."""
    if len(data) > MAX_CONTENT_BYTES[SectionType.SIGNATURE]:
        raise EifError("signature-malformed", "too large")
    match cose.loads_strict(data, max_depth=3):
        case [{"signing_certificate": [*certificate], "signature": [*signature]}]:
            if not all(type(byte) is int and 0 <= byte <= 255 for byte in (*certificate, *signature)):
                raise EifError("signature-malformed")
            pem, sign1 = bytes(certificate), bytes(signature)
        case _:
            raise EifError("signature-malformed")
    if _encode(pem, sign1) != data:  # order, sizes of integers, further members, trailing bytes
        raise EifError("signature-malformed", "not in the one encoding")
    try:
        return ImageSignature(parse_signer(pem), cose.parse_sign1(sign1, max_bytes=len(data)))
    except AttestationError as error:
        raise EifError("signature-malformed", error.code) from None


def parse_signer(pem: bytes) -> Signer:
    """The first certificate of a PEM text, and its key; `EifError("certificate-malformed" | "certificate-key")`."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        # Read lazily by the library: all that this package shows of it, now.
        _ = certificate.issuer, certificate.signature_algorithm_oid, certificate.signature
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        public_key = certificate.public_key()
    except Exception as error:  # noqa: BLE001  the library raises several families for one broken certificate
        raise EifError("certificate-malformed", type(error).__name__) from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or public_key.curve.name not in _ALGORITHMS:
        raise EifError("certificate-key")
    return Signer(certificate, public_key)


def parse_private_key(pem: bytes, signer: Signer) -> ec.EllipticCurvePrivateKey:
    """The signer's private key; `EifError("key-malformed" | "key-mismatch")`. No part of it is in any error."""
    try:
        key = load_pem_private_key(pem, password=None)
    except Exception:  # noqa: BLE001  the library raises several families, and their texts quote the input
        raise EifError("key-malformed") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != signer.public_key:
        raise EifError("key-mismatch")
    return key


def sign(pcr0: bytes, signer: Signer, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signature section for an image that measures as `pcr0`.

    The certificate is written anew from its DER: nothing else that its file held, such as a key, gets into the image.
    """
    algorithm, payload = signer.algorithm, _payload(pcr0)
    protected = _protected(algorithm)
    r, s = decode_dss_signature(key.sign(cose.sig_structure(protected, payload), algorithm.ecdsa))
    raw = r.to_bytes(algorithm.width, "big") + s.to_bytes(algorithm.width, "big")
    return _encode(signer.certificate.public_bytes(Encoding.PEM), cose.encode_sign1(protected, payload, raw))


def now() -> datetime:
    """The time by this machine's clock, at which a certificate has to be valid."""
    return datetime.now(UTC)


def _protected(algorithm: Algorithm) -> bytes:
    return cbor2.dumps({1: algorithm.cose_id})


def _payload(pcr0: bytes) -> bytes:
    return cbor2.dumps({"register_index": 0, "register_value": list(pcr0)})


def _encode(pem: bytes, sign1: bytes) -> bytes:
    return cbor2.dumps([{"signing_certificate": list(pem), "signature": list(sign1)}])


def _outcome(check: Callable[[], None]) -> EifError | None:
    try:
        check()
    except EifError as error:
        return error
    return None
