"""One certificate of a Nitro chain: the library reads it, exact bytes decide what it may contain (AT-08, RFC 5280).

`cryptography` parses the DER, strictly. What the rules compare as bytes is cut out of the same DER: the covered part,
both algorithm identifiers, both names and the key. Only P-384 keys and ECDSA over SHA-384 exist in this profile.
"""

from datetime import datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey

from attestation.errors import AttestationError

_VERSION_3: Final = bytes.fromhex("a003020102")
_ECDSA_WITH_SHA384: Final = bytes.fromhex("300a06082a8648ce3d040303")
_P384_KEY: Final = bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004")  # up to the point's coordinates
_P384_POINT_BYTES: Final = 97
_P384: Final = SECP384R1()


class Certificate(NamedTuple):
    """What the rules of a path look at. The signature is not verified yet."""

    covered: bytes
    """The part that the issuer's signature covers."""
    signature: bytes
    issuer: bytes
    subject: bytes
    """Names as DER: they are compared as bytes."""
    key: EllipticCurvePublicKey
    is_authority: bool
    """Marked as an authority, and marked critically."""
    path_length: int | None
    may_sign_certificates: bool
    may_sign_documents: bool
    not_before_ms: int
    not_after_ms: int


def parse_certificate(der: bytes) -> Certificate:
    """The certificate in `der`, all of it in the profile; `AttestationError("certificate-…")` otherwise."""
    try:
        covered, outer_algorithm = _elements(der, 2)
        version, serial, algorithm, issuer, _, subject, spki = _elements(covered, 7)
        # RFC 5280 4.1.2.1 and 4.1.2.2; the library takes version 1, and a negative serial number with a warning.
        if version != _VERSION_3 or int.from_bytes(serial[2:], "big", signed=True) <= 0:
            raise ValueError("version or serial number")
        certificate = x509.load_der_x509_certificate(der)
        extensions = certificate.extensions
        not_before_ms = _milliseconds(certificate.not_valid_before_utc)
        not_after_ms = _milliseconds(certificate.not_valid_after_utc)
        is_p384 = spki.startswith(_P384_KEY)
        key = EllipticCurvePublicKey.from_encoded_point(_P384, spki[-_P384_POINT_BYTES:]) if is_p384 else None
    except Exception:  # noqa: BLE001  the library has many exceptions for bad certificates, this package one (AT-17)
        raise AttestationError("certificate-malformed") from None
    if algorithm != _ECDSA_WITH_SHA384 or outer_algorithm != _ECDSA_WITH_SHA384:
        raise AttestationError("certificate-algorithm")
    if key is None:
        raise AttestationError("certificate-key")
    constraints, usage = _constraints_and_usage(extensions)
    return Certificate(
        covered=covered,
        signature=certificate.signature,
        issuer=issuer,
        subject=subject,
        key=key,
        is_authority=constraints is not None and constraints.ca,
        path_length=constraints.path_length if constraints else None,
        may_sign_certificates=usage is not None and usage.key_cert_sign,
        may_sign_documents=usage is not None and usage.digital_signature,
        not_before_ms=not_before_ms,
        not_after_ms=not_after_ms,
    )


def _constraints_and_usage(extensions: x509.Extensions) -> tuple[x509.BasicConstraints | None, x509.KeyUsage | None]:
    """The two extensions that decide something. Any other must not be critical, since nobody processes it here."""
    constraints = usage = None
    for extension in extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            if extension.value.ca and not extension.critical:
                raise AttestationError("certificate-authority", "not marked critical")
            constraints = extension.value
        elif isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
        elif extension.critical:
            raise AttestationError("certificate-extension", extension.oid.dotted_string)
    return constraints, usage


def _elements(sequence: bytes, count: int) -> list[bytes]:
    """The first `count` elements of a DER sequence, headers included. Not strict: the library parses the same bytes."""
    at = _content(sequence, 0)[0]
    elements = []
    for _ in range(count):
        end = _content(sequence, at)[1]
        elements.append(sequence[at:end])
        at = end
    return elements


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends (X.690 8.1.3)."""
    length = der[at + 1]
    if length < 0x80:
        return at + 2, at + 2 + length
    start = at + 2 + (length & 0x7F)
    return start, start + int.from_bytes(der[at + 2 : start], "big")


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
