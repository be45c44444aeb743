"""A Nitro-shaped PKI and documents, made to order: right by default, with exactly the defects that a test asks for."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from attestation import pcr
from attestation.cose import ES384_PROTECTED, encode_sign1, sig_structure
from attestation.roots import TrustRoot

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1000
INSTANCE_ID = "i-0123456789abcdef0"
MODULE_ID = f"{INSTANCE_ID}-enc0123456789abcdef"
ROOT, REGIONAL, ZONAL, INSTANCE, ENCLAVE = range(5)

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(*granted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in granted for name in _USAGES})


AUTHORITY_USAGE = usage("digital_signature", "key_cert_sign", "crl_sign")


def key(name: str, curve: str = "p384") -> Any:
    """A private key for `name`, the same in the whole run."""
    return _key(name, curve)


@cache
def _key(_: str, curve: str) -> Any:
    if curve == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key({"p384": ec.SECP384R1(), "p256": ec.SECP256R1(), "p521": ec.SECP521R1()}[curve])


@dataclass(frozen=True)
class Spec:
    """One certificate. The defaults of `SPECS` make a genuine-looking chain."""

    name: str
    life: timedelta
    ca: bool | None = True
    path_length: int | None = None
    constraints_critical: bool = True
    usage: x509.KeyUsage | None = AUTHORITY_USAGE
    usage_critical: bool = True
    curve: str = "p384"
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA384)
    not_before: datetime | None = None
    not_after: datetime | None = None
    issuer: str | None = None
    signer: str | None = None
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()


SPECS = (
    Spec("root", timedelta(days=10_000)),
    Spec("regional", timedelta(days=20), path_length=2),
    Spec("zonal", timedelta(days=6), path_length=1),
    Spec("instance", timedelta(hours=24), path_length=0, usage=usage("key_cert_sign")),
    Spec(
        "enclave",
        timedelta(hours=3),
        ca=False,
        usage=usage("digital_signature", "content_commitment"),
        usage_critical=False,
    ),
)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(spec: Spec, above: Spec) -> bytes:
    """The certificate of `spec`, issued by `above`."""
    signer = key(spec.signer or above.name, "p384" if spec.signer else above.curve)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(spec.name))
        .issuer_name(_name(spec.issuer or above.name))
        .public_key(key(spec.name, spec.curve).public_key())
        .serial_number(int.from_bytes(spec.name.encode()[:8], "big"))
        .not_valid_before(spec.not_before or NOW - spec.life / 2)
        .not_valid_after(spec.not_after or NOW + spec.life / 2)
    )
    if spec.ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(spec.ca, spec.path_length), spec.constraints_critical)
    if spec.usage is not None:
        builder = builder.add_extension(spec.usage, spec.usage_critical)
    for extension, critical in spec.extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, spec.digest).public_bytes(serialization.Encoding.DER)


def chain(specs: tuple[Spec, ...] = SPECS) -> tuple[bytes, ...]:
    """DER certificates, root first. `specs[0]` issues itself."""
    return tuple(certificate(spec, specs[max(place - 1, 0)]) for place, spec in enumerate(specs))


def defective(place: int, **defects: Any) -> tuple[Spec, ...]:
    """The usual specs with one certificate changed."""
    specs = list(SPECS)
    specs[place] = replace(specs[place], **defects)
    return tuple(specs)


@cache
def good_chain() -> tuple[bytes, ...]:
    return chain()


def root(certificates: tuple[bytes, ...] | None = None) -> TrustRoot:
    return TrustRoot("test root", (certificates or good_chain())[0])


def image(fill: int = 0x11) -> dict[int, bytes]:
    """PCR0, PCR1 and PCR2 of an image."""
    return {index: bytes([fill + index]) * pcr.PCR_BYTES for index in pcr.IMAGE_PCRS}


def payload_fields(certificates: tuple[bytes, ...] | None = None, **changes: Any) -> dict[str, Any]:
    """The payload's members as the hardware orders them. A change to `...` removes the member."""
    ders = certificates or good_chain()
    pcrs = dict.fromkeys(range(16), pcr.ZERO) | image() | {4: pcr.of_instance(INSTANCE_ID)}
    fields = {
        "module_id": MODULE_ID,
        "digest": "SHA384",
        "timestamp": NOW_MS,
        "pcrs": pcrs,
        "certificate": ders[-1],
        "cabundle": list(ders[:-1]),
        "public_key": None,
        "user_data": None,
        "nonce": None,
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def indefinite(payload: bytes) -> bytes:
    """The same map with an indefinite length, as newer firmware makes it."""
    return b"\xbf" + payload[1:] + b"\xff"


def sign(payload: bytes, *, protected: bytes = ES384_PROTECTED, signer: Any = None) -> bytes:
    """The raw signature of the enclave's key."""
    signer = signer or key("enclave")
    r, s = decode_dss_signature(signer.sign(sig_structure(protected, payload), ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


@dataclass(frozen=True)
class DocumentParts:
    """A document before it is put together, for tests that put it together wrongly."""

    payload: bytes
    protected: bytes = ES384_PROTECTED
    signature: bytes = field(default=b"")

    def encode(self, *, tagged: bool = False) -> bytes:
        return encode_sign1(self.protected, self.payload, self.signature or sign(self.payload), tagged=tagged)


def document(certificates: tuple[bytes, ...] | None = None, **changes: Any) -> bytes:
    """A signed document with these payload members."""
    return DocumentParts(cbor2.dumps(payload_fields(certificates, **changes))).encode()
