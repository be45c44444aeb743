"""Revocation lists, when a relying party supplies them (AT-19).

AWS says that Nitro chains need no revocation check, since they live for hours; nothing here fetches a list. A list
that is supplied is enforced: it must be signed by the authority whose certificates it lists, and be current.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cryptography import x509

from attestation.certificate import parse_certificate
from attestation.document import AttestationDocument
from attestation.errors import AttestationError
from attestation.policy import Aspect, Finding, Moment
from protocol import limits

_PEM: Final = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class NotRevoked:
    """No certificate of the chain stands in `lists` (DER or PEM), and they speak about at least one of them."""

    lists: tuple[bytes, ...]

    def validate(self, document: AttestationDocument, moment: Moment) -> tuple[Finding, ...]:
        lists = [_parse_list(data) for data in self.lists]
        links = list(pairwise(document.certificates))
        covered = sum(_validate_link(issuer, issued, lists, moment) for issuer, issued in links)
        if not covered:
            raise AttestationError("revocation-unknown")
        text = f"no certificate is revoked, as far as the lists go ({covered} of {len(links)})"
        return (Finding(Aspect.REVOCATION, text),)


def _parse_list(data: bytes) -> x509.CertificateRevocationList:
    if len(data) > limits.MAX_REVOCATION_LIST_BYTES:
        raise AttestationError("policy-malformed", "revocation list too large")
    try:
        return x509.load_pem_x509_crl(data) if data.startswith(_PEM) else x509.load_der_x509_crl(data)
    except Exception:  # noqa: BLE001  the library has many exceptions for bad lists, this package one (AT-17)
        raise AttestationError("policy-malformed", "revocation list") from None


def _validate_link(issuer: bytes, issued: bytes, lists: list[x509.CertificateRevocationList], moment: Moment) -> bool:
    """Whether a list speaks about the certificate `issued`; `certificate-revoked` when it says no."""
    authority, certificate = x509.load_der_x509_certificate(issuer), x509.load_der_x509_certificate(issued)
    key = parse_certificate(issuer).key
    try:
        current = [
            each
            for each in lists
            if each.issuer == authority.subject and _is_current(each, moment) and each.is_signature_valid(key)
        ]
        revoked = any(each.get_revoked_certificate_by_serial_number(certificate.serial_number) for each in current)
    except Exception:  # noqa: BLE001  the library reads a list's parts only when they are asked for
        raise AttestationError("policy-malformed", "revocation list") from None
    if revoked:
        raise AttestationError("certificate-revoked", certificate.subject.rfc4514_string())
    return bool(current)


def _is_current(crl: x509.CertificateRevocationList, moment: Moment) -> bool:
    """Whether the list is in force at the time in question (RFC 5280 6.3.3); one without an end never is."""
    if crl.next_update_utc is None:
        return False
    as_of_s = moment.as_of_ms / 1000
    return crl.last_update_utc.timestamp() <= as_of_s <= crl.next_update_utc.timestamp()
