"""TLS certificates of the simulated outside world: KMS endpoints, identity providers, mail servers.

Trust side: simulator. One authority with an ECDSA P-256 key, kept in a folder (mode 0600) apart from the NSM's PKI,
so that what vouches for a server never vouches for a measurement. Certificates carry every extension that a strict
RFC 5280 check asks for. Tests make wrong ones with the same functions: other dates, another name, another authority
(a second `TlsAuthority.create()`), self-signed.
"""

import ipaddress
import os
import secrets
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

STATE_FILE: Final = "tls-authority.pem"

_AUTHORITY_LIFE: Final = timedelta(days=3650)
_SERVER_LIFE: Final = timedelta(days=90)
_BACKDATE: Final = timedelta(days=2)  # for clocks that are behind, and for certificates that are to look expired


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate and its private key, both in PEM."""

    certificate_pem: str
    key_pem: str

    def __repr__(self) -> str:
        return "ServerCertificate(<redacted>)"

    def server_context(self) -> ssl.SSLContext:
        """A context for a listener, TLS 1.2 or newer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # ssl reads keys from files only: this one is of mode 0600 and gone on return.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(self.certificate_pem + self.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context


class TlsAuthority:
    """Issues server certificates."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, common_name: str = "Chancery Simulator TLS") -> Self:
        """A new authority that lives in memory only."""
        key = ec.generate_private_key(ec.SECP256R1())
        now, name = datetime.now(UTC), _name(common_name)
        builder = (
            _builder(name, name, key.public_key(), now - _BACKDATE, now + _AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load_or_create(cls, folder: Path) -> Self:
        """The authority of a state folder, so that clients that trust it today trust it after a restart."""
        path = folder / STATE_FILE
        if not path.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            cls.create()._save(path)  # noqa: SLF001  its own constructor
        data = path.read_bytes()
        key = load_pem_private_key(data, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{path.name} does not hold an elliptic-curve key")
        return cls(key, x509.load_pem_x509_certificate(data))

    @property
    def certificate_pem(self) -> str:
        """What clients take as their only root."""
        return _pem(self._certificate)

    def issue(
        self, *names: str, not_before: datetime | None = None, not_after: datetime | None = None
    ) -> ServerCertificate:
        """A certificate for host names and IP addresses, valid from the day before yesterday for 90 days."""
        key = ec.generate_private_key(ec.SECP256R1())
        start = not_before or datetime.now(UTC) - _BACKDATE
        builder = _server_builder(names, self._certificate.subject, key.public_key(), start, not_after)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = builder.add_extension(issuer_id, critical=False).sign(self._key, hashes.SHA256())
        return ServerCertificate(_pem(certificate), _key_pem(key))

    def issue_expired(self, *names: str) -> ServerCertificate:
        """A certificate that ended yesterday."""
        return self.issue(*names, not_after=datetime.now(UTC) - timedelta(days=1))

    def _save(self, path: Path) -> None:
        """Create `path` in one step; of two processes that start together the first wins, and both load its key."""
        staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(_key_pem(self._key) + self.certificate_pem)
            os.link(staged, path)
        except FileExistsError:
            pass
        finally:
            staged.unlink()


def issue_self_signed(*names: str) -> ServerCertificate:
    """A certificate that nobody but itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - _BACKDATE
    builder = _server_builder(names, _name(names[0]), key.public_key(), start, None)
    return ServerCertificate(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def _server_builder(
    names: tuple[str, ...],
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime | None,
) -> x509.CertificateBuilder:
    return (
        _builder(_name(names[0]), issuer, key, start, end or start + _SERVER_LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
