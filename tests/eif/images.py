"""Images for tests, laid out here by hand so that a mistake of the writer does not hide one of the reader."""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from eif import cpio
from eif.metadata import Metadata

KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5
AT = datetime(2026, 6, 1, tzinfo=UTC)
CLAIMS = Metadata("appliance", "1", "1970-01-01T00:00:00+00:00", "chancery-eif", "1", "Linux", "6.12")
Sections = tuple[tuple[int, bytes], ...]


def archive(*entries: cpio.Entry, mtime_s: int = 0) -> bytes:
    """A newc archive."""
    stream = BytesIO()
    cpio.write_archive(entries, stream, mtime_s)
    return stream.getvalue()


BOOT = archive(cpio.directory("dev"), cpio.file("init", b"#!init", 0o755))
APPLICATION = archive(cpio.directory("app"), cpio.file("app/main.py", b"print('hello')\n"), cpio.file("cmd", b"app"))
SECTIONS: Sequence[tuple[int, bytes]] = (
    (KERNEL, b"kernel" * 10),
    (CMDLINE, b"console=ttyS0"),
    (METADATA, CLAIMS.encode()),
    (RAMDISK, BOOT),
    (RAMDISK, APPLICATION),
)


@dataclass(frozen=True)
class Layout:
    """The fields of an image, each of which a test can spoil."""

    sections: Sequence[tuple[int, bytes]] = tuple(SECTIONS)
    magic: bytes = b".eif"
    version: int = 4
    flags: int = 0
    reserved: int = 0
    unused: int = 0
    count: int | None = None
    offsets: Callable[[list[int]], list[int]] = list
    sizes: Callable[[list[int]], list[int]] = list
    section_flags: int = 0
    section_size: int = 0
    """Added to the size in each section header."""
    gap: bytes = b""
    """Before each section."""
    tail: bytes = b""

    def build(self) -> bytes:
        body, offsets, sizes = b"", [], []
        for kind, data in self.sections:
            body += self.gap
            offsets.append(548 + len(body))
            sizes.append(len(data))
            body += struct.pack(">HHQ", kind, self.section_flags, len(data) + self.section_size) + data
        count = len(self.sections) if self.count is None else self.count
        table = [*_filled(self.offsets(offsets)), *_filled(self.sizes(sizes))]
        head = self.magic + struct.pack(">HHQQHH", self.version, self.flags, 1 << 30, 2, self.reserved, count)
        head += struct.pack(">64Q", *table) + struct.pack(">I", self.unused)
        body += self.tail
        return head + struct.pack(">I", zlib.crc32(body, zlib.crc32(head))) + body


def _filled(values: list[int]) -> list[int]:
    return values + [0] * (32 - len(values))


def image(*sections: tuple[int, bytes], **fields: Any) -> bytes:
    """A sound image, or one with these fields spoiled; the checksum always matches."""
    layout = Layout(sections or tuple(SECTIONS))
    return replace(layout, **fields).build()


def with_section(kind: int, data: bytes, number: int = 0) -> tuple[tuple[int, bytes], ...]:
    """The usual sections with the data of one of a kind replaced."""
    places = [place for place, section in enumerate(SECTIONS) if section[0] == kind]
    changed = list(SECTIONS)
    changed[places[number]] = (kind, data)
    return tuple(changed)


def remade(data: bytes) -> bytes:
    """The same image with a checksum that matches."""
    crc32 = zlib.crc32(data[548:], zlib.crc32(data[:544]))
    return data[:544] + crc32.to_bytes(4, "big") + data[548:]


CURVES: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def new_key(algorithm: str = "ES384") -> ec.EllipticCurvePrivateKey:
    """A key of the algorithm's curve."""
    return ec.generate_private_key(CURVES[algorithm])


def certificate(key: Any, *, since: datetime = AT - timedelta(days=1), days: int = 30) -> bytes:
    """A self-signed certificate as PEM."""
    name = x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"), x509.NameAttribute(NameOID.COMMON_NAME, "image signer")]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=days))
        .sign(key, hashes.SHA384())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def pem(key: Any) -> bytes:
    """A private key as PEM without a password."""
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
