"""What an image says and measures, with the members of `nitro-cli describe-eif` (nitro-platform.md 7.5).

One member more, `Chancery`, holds what nitro-cli does not say: the digest of every section, and the checks on the
signature one by one.
"""

from datetime import datetime
from typing import Any, BinaryIO, Final

from cryptography import x509
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from eif.errors import EifError
from eif.layout import MEASURED, SectionType
from eif.measurements import Measured, measure
from eif.metadata import NOT_MEASURED, parse_metadata
from eif.reader import Image
from eif.signature import SignatureFindings, Signer, examine

_NAMES: Final = {
    NameOID.COMMON_NAME: "commonName",
    NameOID.COUNTRY_NAME: "countryName",
    NameOID.LOCALITY_NAME: "localityName",
    NameOID.STATE_OR_PROVINCE_NAME: "stateOrProvinceName",
    NameOID.STREET_ADDRESS: "streetAddress",
    NameOID.ORGANIZATION_NAME: "organizationName",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "organizationalUnitName",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.DOMAIN_COMPONENT: "domainComponent",
}
"""OpenSSL's long names, which nitro-cli prints; others stand as object identifiers."""
_ALGORITHMS: Final = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "ecdsa-with-SHA256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "ecdsa-with-SHA384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "ecdsa-with-SHA512",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "sha256WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "sha384WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "sha512WithRSAEncryption",
}
_OK: Final = "ok"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def describe(stream: BinaryIO, at: datetime) -> dict[str, Any]:
    """The description, as JSON; `EifError` for what is no image. A bad checksum or signature is described, not raised.

    `at` decides only whether the certificate is shown as valid.
    """
    measured = measure(stream, allow_damage=True)
    image = measured.image
    value: dict[str, Any] = {
        "EifVersion": image.header.version,
        "Measurements": measured.to_json(),
        "IsSigned": measured.signature is not None,
    }
    findings = None
    if measured.signature is not None:
        findings = examine(measured.signature, measured.pcrs[0], at)
        value["SigningCertificate"] = _certificate(measured.signature.signer)
    value["CheckCRC"] = image.is_undamaged
    if findings is not None:
        value["SignatureCheck"] = findings.covers_image
    metadata = image.content(SectionType.METADATA)
    if metadata is not None:
        value |= parse_metadata(metadata).describe()
    return value | {"Chancery": _more(measured, findings)}


def problems(description: dict[str, Any]) -> list[str]:
    """The error codes of what was checked and does not hold: the checksum, and a signature's three checks."""
    found = [] if description["CheckCRC"] else ["eif-crc"]
    verdicts = description["Chancery"].get("Signature", {}).values()
    return found + [verdict for verdict in verdicts if verdict != _OK]


def sections_json(image: Image) -> list[dict[str, Any]]:
    """Every section in file order, with the digest that registers do not give."""
    return [
        {
            "Name": section.start.name,
            "Offset": section.start.offset,
            "Size": section.start.size,
            "Sha384": section.sha384.hex(),
            "Measured": section.start.kind in MEASURED,
        }
        for section in image.sections
    ]


def _more(measured: Measured, findings: SignatureFindings | None) -> dict[str, Any]:
    header = measured.image.header
    value: dict[str, Any] = {
        "Architecture": header.architecture,
        "Sections": sections_json(measured.image),
        "NotMeasured": {
            "Members": ["EifVersion", "ImageName", "ImageVersion", "Metadata", "Architecture"],
            "Meaning": NOT_MEASURED,
        },
    }
    if measured.signature is not None and findings is not None:
        value["Signature"] = {
            "Signature": _verdict(findings.signature),
            "CoversMeasuredPCR0": _verdict(findings.measurement),
            "CertificateValid": _verdict(findings.validity),
        }
    return value


def _verdict(error: EifError | None) -> str:
    return _OK if error is None else error.code


def _certificate(signer: Signer) -> dict[str, Any]:
    certificate = signer.certificate
    oid = certificate.signature_algorithm_oid
    return {
        "IssuerName": dict(sorted(dict(map(_attribute, certificate.issuer)).items())),
        "Algorithm": _ALGORITHMS.get(oid, oid.dotted_string),
        "NotBefore": _time(certificate.not_valid_before_utc),
        "NotAfter": _time(certificate.not_valid_after_utc),
        "Signature": certificate.signature.hex(":").upper(),
    }


def _attribute(attribute: x509.NameAttribute[Any]) -> tuple[str, str]:
    value = attribute.value if isinstance(attribute.value, str) else attribute.value.hex()
    return _NAMES.get(attribute.oid, attribute.oid.dotted_string), value


def _time(moment: datetime) -> str:
    """OpenSSL's form, in English whatever the locale: `Jan  2 03:04:05 2026 GMT`."""
    return f"{_MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S} {moment.year} GMT"
