"""Enclave certificates that are odd in one place and rightly signed all the same: only reading them can refuse them."""

from collections.abc import Iterator
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.certificate import parse_certificate
from tests.attestation import pki
from tests.attestation.pki import ENCLAVE

VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = range(8)
_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040303")


def der(tag: int, *contents: bytes) -> bytes:
    """One element."""
    content = b"".join(contents)
    size = len(content)
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, size] if size < 0x80 else [tag, 0x80 | len(digits), *digits]) + content


def elements(data: bytes) -> list[bytes]:
    """The elements that follow one another in `data`, which is right DER."""
    found = []
    while data:
        end = 2 + data[1]
        if data[1] & 0x80:
            size = data[1] & 0x7F
            end = 2 + size + int.from_bytes(data[2 : 2 + size], "big")
        found.append(data[:end])
        data = data[end:]
    return found


def inside(element: bytes) -> bytes:
    """The content of a constructed element."""
    return element[2 + (element[1] & 0x7F if element[1] & 0x80 else 0) :]


@cache
def right_parts() -> tuple[bytes, ...]:
    """What the covered part of the right certificate holds."""
    return tuple(elements(inside(parse_certificate(pki.good_chain()[ENCLAVE]).covered)))


def signed(content: bytes) -> bytes:
    """The certificate that covers `content`, signed by the right issuer."""
    covered = der(0x30, content)
    signature = pki.key("instance").sign(covered, ec.ECDSA(hashes.SHA384()))
    return der(0x30, covered, _ALGORITHM, der(0x03, b"\0", signature))


def extension(number: int, value: bytes, *between: bytes) -> bytes:
    """The extension 2.5.29.`number`; `between` is what stands for its criticality."""
    return der(0x30, der(0x06, bytes([0x55, 0x1D, number])), *between, der(0x04, value))


CRITICAL = der(0x01, b"\xff")
CONSTRAINTS = extension(19, der(0x30), CRITICAL)
USAGE = extension(15, der(0x03, b"\x06\xc0"))
START, END = der(0x17, b"260301000000Z"), der(0x17, b"260301230000Z")


def _extensions(*listed: bytes) -> bytes:
    return der(0xA3, der(0x30, *listed))


ODDITIES: dict[str, tuple[int, bytes]] = {
    "nothing": (EXTENSIONS, _extensions(CONSTRAINTS, USAGE)),
    "no version": (VERSION, b""),
    "version 1": (VERSION, der(0xA0, der(0x02, b"\0"))),
    "version 2": (VERSION, der(0xA0, der(0x02, b"\1"))),
    "version 4": (VERSION, der(0xA0, der(0x02, b"\3"))),
    "serial number zero": (SERIAL, der(0x02, b"\0")),
    "serial number below zero": (SERIAL, der(0x02, b"\x80")),
    "serial number padded": (SERIAL, der(0x02, b"\0\1")),
    "serial number empty": (SERIAL, der(0x02)),
    "serial number of 20 bytes": (SERIAL, der(0x02, b"\x7f" * 20)),
    "algorithm with parameters": (ALGORITHM, der(0x30, inside(_ALGORITHM), b"\x05\0")),
    "issuer empty": (ISSUER, der(0x30)),
    "subject empty": (SUBJECT, der(0x30)),
    "subject of numbers": (SUBJECT, der(0x30, der(0x02, b"\1"))),
    "validity of three": (VALIDITY, der(0x30, START, END, END)),
    "validity of one": (VALIDITY, der(0x30, START)),
    "validity in another form": (VALIDITY, der(0x30, START, der(0x18, b"20260301230000Z"))),
    "30 February": (VALIDITY, der(0x30, der(0x17, b"260230000000Z"), END)),
    "29 February of no leap year": (VALIDITY, der(0x30, der(0x17, b"250229000000Z"), END)),
    "29 February of a leap year": (VALIDITY, der(0x30, der(0x17, b"240229000000Z"), END)),
    "hour 24": (VALIDITY, der(0x30, START, der(0x17, b"260301240000Z"))),
    "second 60": (VALIDITY, der(0x30, START, der(0x17, b"260301235960Z"))),
    "month 13": (VALIDITY, der(0x30, START, der(0x17, b"261301000000Z"))),
    "no seconds": (VALIDITY, der(0x30, START, der(0x17, b"2603012359Z"))),
    "an offset": (VALIDITY, der(0x30, START, der(0x17, b"260301235959+0000"))),
    "a fraction": (VALIDITY, der(0x30, START, der(0x18, b"20260301235959.5Z"))),
    "no Z": (VALIDITY, der(0x30, START, der(0x17, b"260301235959"))),
    "key with bits to spare": (KEY, right_parts()[KEY].replace(b"\x03\x62\0", b"\x03\x62\1")),
    "key as a compressed point": (KEY, right_parts()[KEY][:-97] + b"\2" + right_parts()[KEY][-96:]),
    "key off the curve": (KEY, right_parts()[KEY][:-1] + bytes([right_parts()[KEY][-1] ^ 1])),
    "no extensions": (EXTENSIONS, b""),
    "an empty list of extensions": (EXTENSIONS, _extensions()),
    "unique ids": (EXTENSIONS, b"\x81\x02\0\1" + b"\x82\x02\0\1" + _extensions(CONSTRAINTS, USAGE)),
    "unique ids in the other order": (EXTENSIONS, b"\x82\x02\0\1\x81\x02\0\1" + _extensions(CONSTRAINTS, USAGE)),
    "usage twice": (EXTENSIONS, _extensions(CONSTRAINTS, USAGE, USAGE)),
    "constraints twice": (EXTENSIONS, _extensions(CONSTRAINTS, CONSTRAINTS, USAGE)),
    "criticality said to be false": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, USAGE[-4:], b"\1\1\0"))),
    "criticality neither true nor false": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, USAGE[-4:], b"\1\1\1"))),
    "no authority, said so": (EXTENSIONS, _extensions(extension(19, der(0x30, b"\1\1\0"), CRITICAL), USAGE)),
    "no authority with a path length": (
        EXTENSIONS,
        _extensions(extension(19, der(0x30, b"\2\1\0"), CRITICAL), USAGE),
    ),
    "authority below zero": (
        EXTENSIONS,
        _extensions(extension(19, der(0x30, CRITICAL, b"\2\1\x80"), CRITICAL), USAGE),
    ),
    "constraints with more": (EXTENSIONS, _extensions(extension(19, der(0x30) + b"\5\0", CRITICAL), USAGE)),
    "usage of no bits": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, b"\3\1\0"))),
    "usage with bits to spare": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, b"\3\2\7\xc0"))),
    "usage with nine bits": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, b"\3\3\7\xc8\x80"))),
    "usage to encipher only": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, b"\3\2\0\xc1"))),
    "usage to encipher in agreement": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, b"\3\2\0\xc9"))),
    "usage as a number": (EXTENSIONS, _extensions(CONSTRAINTS, extension(15, b"\2\1\1"))),
    "something after the extensions": (EXTENSIONS, _extensions(CONSTRAINTS, USAGE) + b"\5\0"),
}
"""By name: the part of the right certificate to replace, and with what."""

OTHER_CODES = {"algorithm with parameters", "key with bits to spare"}
"""Those that break two rules at once; verifiers may differ in the one that they name."""


def certificates() -> Iterator[tuple[str, bytes]]:
    """Every odd certificate, by name."""
    for name, (place, part) in ODDITIES.items():
        parts = list(right_parts())
        parts[place] = part
        yield name, signed(b"".join(parts))
