"""The path from a trust root to the enclave's certificate, by explicit rules (AT-07 to AT-09, RFC 5280 section 6.1).

Web PKI validators refuse genuine Nitro chains and let through what must be refused, so every rule stands here: the
order is fixed, each certificate is issued by the one before it, authorities are marked as such, count against path
lengths and may sign certificates, the enclave's certificate may not. What a path proves does not depend on the time,
so proven paths are kept in a bounded cache under their exact bytes; their window of validity is compared with the
clock at every use.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature

from attestation.certificate import Certificate, parse_certificate
from attestation.cose import ES384
from attestation.errors import AttestationError
from attestation.lru import Lru
from protocol import limits


@dataclass(frozen=True, slots=True)
class VerifiedPath:
    """A path whose every link holds, whatever the time. `authorities_left` more may follow its last certificate."""

    last: Certificate
    authorities_left: int
    not_before_ms: int
    not_after_ms: int

    def validate_at(self, time_ms: int) -> None:
        """Raise unless every certificate is valid at `time_ms`; both ends count as valid (RFC 5280 4.1.2.5, AT-09)."""
        if time_ms < self.not_before_ms:
            raise AttestationError("certificate-not-yet-valid")
        if time_ms > self.not_after_ms:
            raise AttestationError("certificate-expired")


class ChainCache:
    """Proven paths by the exact bytes of their certificates.

    Authorities and enclaves are kept apart: what was proven as the end of a chain must not pass as its middle.
    """

    def __init__(self, capacity: int = limits.MAX_VERIFIED_CHAINS) -> None:
        self.authorities: Final = Lru[tuple[bytes, ...], VerifiedPath](capacity)
        self.enclaves: Final = Lru[tuple[bytes, ...], VerifiedPath](capacity)


def verify_chain(certificates: tuple[bytes, ...], cache: ChainCache) -> VerifiedPath:
    """The path of `certificates` (DER, root first, at least two), every link verified; time is not looked at.

    The caller has compared the first with its trust roots. Raises `AttestationError("certificate-…")`.
    """
    path = cache.enclaves.get(certificates)
    if path is None:
        above = _authorities(certificates[:-1], cache)
        path = _extend(above, _enclave(certificates[-1]), above.authorities_left)
        cache.enclaves.put(certificates, path)
    return path


def _authorities(certificates: tuple[bytes, ...], cache: ChainCache) -> VerifiedPath:
    """The path that ends with an authority. Each but the root takes one place of what those above it allow."""
    if len(certificates) == 1:
        return _anchor(certificates[0])
    path = cache.authorities.get(certificates)
    if path is None:
        above = _authorities(certificates[:-1], cache)
        if above.authorities_left < 1:
            raise AttestationError("certificate-path-length", _place(certificates))
        last = _authority(certificates[-1], _place(certificates))
        path = _extend(above, last, min(above.authorities_left - 1, _allowed_below(last)))
        cache.authorities.put(certificates, path)
    return path


@lru_cache(maxsize=8)
def _anchor(root: bytes) -> VerifiedPath:
    """The path of the root alone: trusted as it stands, read once."""
    certificate = _authority(root, "the root")
    return VerifiedPath(certificate, _allowed_below(certificate), certificate.not_before_ms, certificate.not_after_ms)


def _extend(above: VerifiedPath, last: Certificate, authorities_left: int) -> VerifiedPath:
    """`above` with one more certificate, which the last of `above` must have issued."""
    if last.issuer != above.last.subject:
        raise AttestationError("certificate-issuer", "its issuer has another name")
    try:
        above.last.key.verify(last.signature, last.covered, ES384.ecdsa)
    except InvalidSignature:
        raise AttestationError("certificate-issuer", "its signature does not match") from None
    return VerifiedPath(
        last,
        authorities_left,
        max(above.not_before_ms, last.not_before_ms),
        min(above.not_after_ms, last.not_after_ms),
    )


def _authority(der: bytes, place: str) -> Certificate:
    """A certificate that may issue others."""
    certificate = parse_certificate(der)
    if not certificate.is_authority:
        raise AttestationError("certificate-authority", f"{place} is none")
    if not certificate.may_sign_certificates:
        raise AttestationError("certificate-key-usage", f"{place} may not sign certificates")
    return certificate


def _enclave(der: bytes) -> Certificate:
    """The certificate whose key signs documents: no authority in any respect."""
    certificate = parse_certificate(der)
    if certificate.is_authority:
        raise AttestationError("certificate-authority", "the enclave's certificate is one")
    if certificate.may_sign_certificates or not certificate.may_sign_documents:
        raise AttestationError("certificate-key-usage", "the enclave's certificate")
    return certificate


def _allowed_below(authority: Certificate) -> int:
    """How many authorities may follow this one; without a limit of its own, that of the bundle's size."""
    return limits.MAX_CABUNDLE_CERTIFICATES if authority.path_length is None else authority.path_length


def _place(certificates: tuple[bytes, ...]) -> str:
    return f"certificate {len(certificates)} from the root"
