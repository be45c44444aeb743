"""What a command found, as one JSON-able value. `render` turns the same value into words; nothing is computed twice.

The members are an interface for machines: they are added to, never renamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from attestation import pcr
from attestation.binding import EnclaveBinding, parse_binding
from attestation.bundle import VerifiedBundle
from attestation.cli.exit_codes import ExitCode
from attestation.cli.policy_file import format_time
from attestation.document import AttestationDocument
from attestation.errors import AttestationError
from attestation.policy import Aspect, Finding
from attestation.verify import VerifiedDocument

_ROLES: Final = ("root", "regional", "zonal", "instance", "enclave")

_HELD: Final = (
    "the chain of certificates starts at a trusted root, and every link holds",
    "every certificate is valid at the time in question",
    "the enclave's own key signed the document (ECDSA P-384, SHA-384)",
    "module id and PCR4 name the same instance",
)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one command: an exit code, and the value that says why."""

    exit_code: ExitCode
    body: dict[str, Any] = field(default_factory=dict)

    def value(self) -> dict[str, Any]:
        """The JSON-able value."""
        return {"verdict": self.exit_code.name.lower(), "exit_code": int(self.exit_code), **self.body}


def refusal(code: ExitCode, error: AttestationError) -> Report:
    """A command that ended with `error`."""
    return Report(code, {"refusal": {"code": error.code, "text": error.text}})


def describe_document(document: AttestationDocument) -> dict[str, Any]:
    """Everything a document says. Nothing here is verified by being listed."""
    return {
        "module_id": document.module_id,
        "instance_id": document.instance_id,
        "timestamp": format_time(document.timestamp_ms),
        "timestamp_ms": document.timestamp_ms,
        "debug_mode": document.is_debug,
        "size": len(document.data),
        "pcrs": {str(index): value.hex() for index, value in sorted(document.pcrs.items())},
        "public_key": _hex(document.public_key),
        "user_data": _hex(document.user_data),
        "nonce": _hex(document.nonce),
        "binding": _describe_binding(document),
    }


def describe_chain(document: AttestationDocument) -> list[dict[str, Any]]:
    """The certificates, root first, as far as they can be read."""
    count = len(document.certificates)
    return [_describe_certificate(der, _role(place, count)) for place, der in enumerate(document.certificates)]


def describe_verified(verified: VerifiedDocument, further: Sequence[Finding] = ()) -> dict[str, Any]:
    """A verdict: who vouched, as of when, what was checked and what was not. `further` findings count as checked."""
    findings = (*verified.findings, *further)
    checked = [
        {"aspect": finding.aspect.value, "text": finding.text}
        for finding in findings
        if finding.aspect is not Aspect.ANY_IMAGE
    ]
    return {
        "root": {"name": verified.root.name, "sha256": verified.root.sha256.hex()},
        "now": format_time(verified.now_ms),
        "as_of": format_time(verified.as_of_ms) if verified.is_archived else None,
        "valid_from": format_time(verified.not_before_ms),
        "valid_until": format_time(verified.not_after_ms),
        "checked": [{"aspect": "genuine", "text": text} for text in _HELD] + checked,
        "not_checked": _not_checked(verified.document, {finding.aspect for finding in findings}),
    }


def _not_checked(document: AttestationDocument, aspects: set[Aspect]) -> list[dict[str, str]]:
    """What nobody asked about, and what follows from that."""
    gaps = []
    if Aspect.IMAGE not in aspects:
        gaps.append(("image", "which code runs: without measurements to compare with, this may be anybody's enclave"))
    if not aspects & {Aspect.NONCE, Aspect.AGE}:
        gaps.append(("freshness", "whether the document was made for you just now: it may be a repeated one"))
    if document.public_key is not None and Aspect.PUBLIC_KEY not in aspects:
        gaps.append(("public-key", "the public key in the document was not compared with anything"))
    if document.user_data is not None and not aspects & {Aspect.USER_DATA, Aspect.BINDING}:
        gaps.append(("user-data", "the user data in the document was not compared with anything"))
    if Aspect.REVOCATION not in aspects:
        gaps.append(("revocation", "whether a certificate was revoked: no list was supplied"))
    return [{"aspect": aspect, "text": text} for aspect, text in gaps]


def describe_bundle(verified: VerifiedBundle) -> dict[str, Any]:
    """The chain from the document to the device key."""
    claims = verified.session.claims
    return {
        "binding": _binding_json(verified.binding),
        "session": {
            "deployment": claims.issuer,
            "subject": claims.subject.hex(),
            "origin": claims.audience,
            "scope": claims.scope,
            "auth_key_type": claims.auth_key.key_type,
            "auth_key": claims.auth_key.public_key.hex(),
            "auth_method": claims.auth_method,
            "authenticated": format_time(claims.auth_time_s * 1000),
            "issued": format_time(claims.issued_s * 1000),
            "expires": format_time(claims.expires_s * 1000),
            "cti": claims.cti.hex(),
        },
        "identity": verified.opening.identity if verified.opening else None,
    }


def _describe_certificate(der: bytes, role: str) -> dict[str, Any]:
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return {
            "role": role,
            "name": str(names[0].value) if names else certificate.subject.rfc4514_string(),
            "serial": f"{certificate.serial_number:x}",
            "not_before": certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "not_after": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "not_after_ms": int(certificate.not_valid_after_utc.timestamp()) * 1000,
        }
    except Exception:  # noqa: BLE001  an unverified certificate may be anything; it is shown as what it is
        return {"role": role, "name": None}


def _role(place: int, count: int) -> str:
    if count == len(_ROLES):
        return _ROLES[place]
    return "root" if place == 0 else "enclave" if place == count - 1 else "authority"


def _describe_binding(document: AttestationDocument) -> dict[str, str] | None:
    try:
        return _binding_json(parse_binding(document.user_data or b""))
    except AttestationError:
        return None


def _binding_json(binding: EnclaveBinding) -> dict[str, str]:
    parts = ("identity_key", "channel_key", "config_hash", "boot_epoch")
    return {"deployment": binding.deployment} | {part: getattr(binding, part).hex() for part in parts}


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def describe_differences(first: dict[str, str], second: dict[str, str]) -> list[dict[str, Any]]:
    """Two sets of registers side by side; those that both sides lack are left out."""
    indices = sorted(set(map(int, first)) | set(map(int, second)))
    return [
        {
            "pcr": index,
            "name": pcr.name(index),
            "first": first.get(str(index)),
            "second": second.get(str(index)),
            "same": first.get(str(index)) == second.get(str(index)),
        }
        for index in indices
    ]
