"""Attestation documents as bytes: what the Nitro Security Module emits, parsed and not yet believed.

Strict CBOR with exactly the liberties of real hardware (nitro-platform.md 3.1, 3.2): untagged or tag 18, the payload a
definite or indefinite map, absent fields null or missing, free fields up to 1,024 bytes. Everything else is refused.
`verify.verify` is what turns a document into something to rely on.
"""

import re
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from types import MappingProxyType
from typing import Any, Final

import cbor2

from attestation import pcr
from attestation.cose import ES384, ES384_PROTECTED, Sign1, loads_strict, parse_sign1
from attestation.errors import AttestationError
from attestation.minted import Minted, require_mint
from protocol import limits

_MINT: Final = object()
_REQUIRED: Final = frozenset({"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"})
_FREE: Final = frozenset({"public_key", "user_data", "nonce"})
_NITROTPM_PCRS: Final = "nitrotpm_pcrs"
_MODULE_ID: Final = re.compile(rf"[\x21-\x7e]{{1,{limits.MAX_MODULE_ID_CHARS}}}\Z")
# No enclave is older than the root (2019) or younger than datetime can say (9999): refuses seconds taken for ms.
_TIMESTAMPS_MS: Final = range(1_546_300_800_000, 253_402_300_800_000)
_INDEFINITE_MAP, _BREAK = b"\xbf", b"\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationDocument(Minted):
    """A parsed document. Nothing in it is verified; only `parse_attestation_document` makes one.

    Absent free fields are None, which differs from empty bytes.
    """

    data: bytes = field(repr=False)
    """The whole document as received."""
    sign1: Sign1 = field(repr=False)
    module_id: str
    timestamp_ms: int
    """Milliseconds since the Unix epoch, by the hypervisor's clock."""
    pcrs: Mapping[int, bytes] = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    """DER, from the root to the enclave's own certificate."""
    public_key: bytes | None = field(repr=False)
    user_data: bytes | None = field(repr=False)
    nonce: bytes | None = field(repr=False)
    mint: InitVar[object]

    def __post_init__(self, mint: object) -> None:
        require_mint(mint, _MINT)

    @property
    def instance_id(self) -> str:
        """The parent instance's id, the first part of the module id."""
        return self.module_id.partition("-enc")[0]

    @property
    def is_debug(self) -> bool:
        """Whether any of PCR0, PCR1 and PCR2 is zero, as debug mode makes them all (AT-12)."""
        return any(self.pcrs[index] == pcr.ZERO for index in pcr.IMAGE_PCRS)


def parse_attestation_document(data: bytes) -> AttestationDocument:
    """The document in `data`, syntax checked and nothing else; `AttestationError` (AT-01 to AT-06)."""
    if len(data) > limits.MAX_ATTESTATION_DOCUMENT_BYTES:
        raise AttestationError("document-too-large")
    sign1 = parse_sign1(data, max_bytes=limits.MAX_ATTESTATION_DOCUMENT_BYTES, tag_allowed=True)
    if sign1.protected != ES384_PROTECTED:
        raise AttestationError("document-algorithm")
    if len(sign1.signature) != 2 * ES384.width:
        raise AttestationError("cose-signature-form")
    fields = _payload(sign1.payload)
    if fields["digest"] != "SHA384":
        raise AttestationError("document-field", "digest")
    return AttestationDocument(
        data=data,
        sign1=sign1,
        module_id=_module_id(fields["module_id"]),
        timestamp_ms=_timestamp(fields["timestamp"]),
        pcrs=_pcrs(fields["pcrs"]),
        certificates=_certificates(fields["cabundle"], fields["certificate"]),
        public_key=_free_field(fields, "public_key"),
        user_data=_free_field(fields, "user_data"),
        nonce=_free_field(fields, "nonce"),
        mint=_MINT,
    )


def _payload(payload: bytes) -> dict[str, Any]:
    """The payload's map. Only its own length may be indefinite: newer firmware does that (AT-06)."""
    indefinite = payload[:1] == _INDEFINITE_MAP
    fields = loads_strict(payload, max_depth=2, allow_indefinite=indefinite)
    if type(fields) is not dict or not all(type(key) is str for key in fields):
        raise AttestationError("document-malformed")
    if _NITROTPM_PCRS in fields:
        raise AttestationError("document-nitrotpm")
    if unlike := (fields.keys() ^ _REQUIRED) - (_FREE & fields.keys()):
        known = sorted(unlike & _REQUIRED)
        raise AttestationError("document-field", f"{known[0]} is missing" if known else "an unknown one")
    _check_types(fields)
    encoded = cbor2.dumps(fields)
    if payload != (_INDEFINITE_MAP + encoded[1:] + _BREAK if indefinite else encoded):
        raise AttestationError("document-malformed", "not in the hardware's encoding")
    return fields


def _check_types(fields: dict[str, Any]) -> None:
    for name, kind in (("module_id", str), ("digest", str), ("timestamp", int), ("pcrs", dict), ("cabundle", list)):
        if type(fields[name]) is not kind:
            raise AttestationError("document-field", name)


def _module_id(value: str) -> str:
    if not _MODULE_ID.match(value):
        raise AttestationError("document-field", "module_id")
    return value


def _timestamp(value: int) -> int:
    if value not in _TIMESTAMPS_MS:
        raise AttestationError("document-field", "timestamp")
    return value


def _pcrs(value: dict[Any, Any]) -> Mapping[int, bytes]:
    if set(map(type, value)) != {int} or min(value) < 0 or max(value) >= pcr.PCR_COUNT:
        raise AttestationError("document-field", "pcrs")
    if set(map(type, value.values())) != {bytes} or set(map(len, value.values())) != {pcr.PCR_BYTES}:
        raise AttestationError("document-field", "pcrs: not 48 bytes each")
    if missing := pcr.BOOT_PCRS - value.keys():
        raise AttestationError("document-field", f"PCR{min(missing)} is missing")
    return MappingProxyType(value)


def _certificates(cabundle: list[Any], certificate: Any) -> tuple[bytes, ...]:
    if not 1 <= len(cabundle) <= limits.MAX_CABUNDLE_CERTIFICATES:
        raise AttestationError("document-field", "cabundle")
    for der in (*cabundle, certificate):
        if type(der) is not bytes or not 1 <= len(der) <= limits.MAX_CERTIFICATE_BYTES:
            raise AttestationError("document-field", "certificate")
    certificates = (*cabundle, certificate)
    if len(set(certificates)) != len(certificates):  # the root would be its own issuer, as often as one likes
        raise AttestationError("document-field", "a certificate occurs twice")
    return certificates


def _free_field(fields: dict[str, Any], name: str) -> bytes | None:
    value = fields.get(name)
    if value is None or (type(value) is bytes and len(value) <= limits.MAX_ATTESTATION_FIELD_BYTES):
        return value
    raise AttestationError("document-field", name)
