"""A certificate chain shaped like Amazon's for Nitro Enclaves, under a root that says whose it is.

Trust side: simulator. Five P-384 certificates (nitro-platform.md 3.3): root 30 years, regional 20 days, zonal 6 days,
instance 24 hours, leaf 3 hours, with the subjects, key usages and criticality of the real ones; only the organisation
differs. The root is kept in a folder, so that what trusted it yesterday trusts it today; the rest is issued again
whenever it would run out.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ORGANIZATION: Final = "Chancery Simulator"
REGION: Final = "us-east-1"
ROOT_FILE: Final = "nitro-root.pem"

_ROOT_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)  # fixed, so that tests may set the clock back
_ROOT_LIFE: Final = timedelta(days=30 * 365)
_CRL: Final = "http://crl.simulator.invalid/crl/{}.crl"


def _usage(**granted: bool) -> x509.KeyUsage:
    names = (
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
    return x509.KeyUsage(**{name: granted.get(name, False) for name in names})


_AUTHORITY: Final = _usage(digital_signature=True, key_cert_sign=True, crl_sign=True)


@dataclass(frozen=True, slots=True)
class Rank:
    """One level of the chain below the root. `path_length` None marks the leaf."""

    life: timedelta
    path_length: int | None
    usage: x509.KeyUsage
    subject: str


# Regional, zonal, instance, leaf. The hour on top of 20 days is as in real documents.
_RANKS: Final = (
    Rank(timedelta(days=20, hours=1), 2, _AUTHORITY, "{token}.{region}.aws.nitro-enclaves"),
    Rank(timedelta(days=6), 1, _AUTHORITY, "{token}.zonal.{region}.aws.nitro-enclaves"),
    Rank(timedelta(hours=24), 0, _usage(key_cert_sign=True), "{instance}.{region}.aws.nitro-enclaves"),
    Rank(timedelta(hours=3), None, _usage(digital_signature=True, content_commitment=True), "{module}.{region}.aws"),
)
_SPARE: Final = timedelta(minutes=36)  # a leaf is replaced while it still has a fifth of its life


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether the certificate is valid from `start` to `end`, both included."""
        return self.certificate.not_valid_before_utc <= start and end <= self.certificate.not_valid_after_utc

    def __repr__(self) -> str:
        return f"Issued({self.certificate.subject.rfc4514_string()})"


@dataclass(frozen=True, slots=True)
class Chain:
    """What an attestation document carries: `bundle` starts with the root and ends with the leaf's issuer."""

    leaf: Issued
    bundle: tuple[bytes, ...]


class NitroPki:
    """The simulator's counterpart of Amazon's PKI. Not thread-safe: the simulated module calls it one at a time."""

    def __init__(self, state: Path, *, region: str = REGION) -> None:
        """Load the root from `state`, or make one there (file mode 0600)."""
        self._root = _load_or_make_root(state / ROOT_FILE)
        self._region = region
        self._issued: dict[str, list[Issued]] = {}

    @property
    def root_der(self) -> bytes:
        """The trust root to give to verifiers, as DER."""
        return self._root.der

    def chain(self, module_id: str, now_ms: int) -> Chain:
        """A chain for `module_id` that is valid at `now_ms` and for a while after; cached until it is about to end."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC).replace(microsecond=0)
        below = self._issued.setdefault(module_id, [])
        # A certificate is kept as long as it outlives what it may have to issue now.
        for level, rank in enumerate(_RANKS):
            needed = _SPARE if rank.path_length is None else _RANKS[level + 1].life
            if level >= len(below) or not below[level].covers(now, now + needed):
                del below[level:]
                issuer = below[-1] if below else self._root
                below.append(_issue(issuer, rank, self._subject(rank, module_id), now))
        *authorities, leaf = below
        return Chain(leaf, (self._root.der, *(authority.der for authority in authorities)))

    def _subject(self, rank: Rank, module_id: str) -> str:
        return rank.subject.format(
            token=secrets.token_hex(8),
            region=self._region,
            instance=module_id.partition("-enc")[0],
            module=module_id,
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Not AWS"),
            # X.520 allows 64 characters; a module id with its region fits.
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )


def _issue(issuer: Issued, rank: Rank, subject: str, now: datetime) -> Issued:
    key = ec.generate_private_key(ec.SECP384R1())
    is_authority = rank.path_length is not None
    builder = (
        _builder(_name(subject), issuer.certificate.subject, key)
        .not_valid_before(now)
        .not_valid_after(now + rank.life)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=rank.path_length), critical=True)
        .add_extension(rank.usage, critical=is_authority)
    )
    if is_authority:  # the real leaf has no key identifiers either
        identifier = x509.SubjectKeyIdentifier.from_public_key(issuer.key.public_key())
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if rank.usage.crl_sign:
        point = x509.UniformResourceIdentifier(_CRL.format(issuer.certificate.serial_number))
        builder = builder.add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint([point], None, None, None)]), critical=False
        )
    return Issued(builder.sign(issuer.key, hashes.SHA384()), key)


def _load_or_make_root(path: Path) -> Issued:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _publish(path, _pem(_make_root()))
    data = path.read_bytes()
    key = serialization.load_pem_private_key(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path.name} does not hold an elliptic-curve key")
    return Issued(x509.load_pem_x509_certificate(data), key)


def _make_root() -> Issued:
    key = ec.generate_private_key(ec.SECP384R1())
    name = _name("aws.nitro-enclaves")
    certificate = (
        _builder(name, name, key)
        .not_valid_before(_ROOT_FROM)
        .not_valid_after(_ROOT_FROM + _ROOT_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_AUTHORITY, critical=True)
        .sign(key, hashes.SHA384())
    )
    return Issued(certificate, key)


def _pem(issued: Issued) -> Sequence[bytes]:
    return (
        issued.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        issued.certificate.public_bytes(serialization.Encoding.PEM),
    )


def _publish(path: Path, parts: Sequence[bytes]) -> None:
    """Create `path` in one step; of two processes that start together the first wins, and both load its root."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
