"""The enclave image file: header, section headers, and the numbers of the format (nitro-platform.md 1.1).

Everything is big-endian. A header of 548 bytes is followed by the sections, back to back, each a header of 12 bytes
and its data. The header's table repeats where each section starts and how long its data are. Limits of the format
stand here, each with its source.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from eif.errors import EifError

MAGIC: Final = b".eif"
VERSIONS: Final = (2, 3, 4)
"""0 and 1 were never released; 2 has a checksum, 3 adds signatures, 4 adds metadata and demands them."""
CURRENT_VERSION: Final = 4
AARCH64_FLAG: Final = 1
"""Bit 0 of the flags: set for aarch64, clear for x86_64. The others are reserved."""
MAX_SECTIONS: Final = 32
"""Entries of the header's table."""
DEFAULT_MEMORY_BYTES: Final = 1 << 30
DEFAULT_CPUS: Final = 2
"""What nitro-cli writes; the platform reads neither."""

_HEADER: Final = struct.Struct(f">4sHHQQHH{MAX_SECTIONS}Q{MAX_SECTIONS}QII")
_SECTION: Final = struct.Struct(">HHQ")
HEADER_BYTES: Final = _HEADER.size
SECTION_HEADER_BYTES: Final = _SECTION.size
CRC_OFFSET: Final = HEADER_BYTES - 4
"""The last field of the header: CRC-32 over everything but itself."""


class SectionType(IntEnum):
    """What a section holds. 0 is invalid, and everything above 5 unknown to the platform."""

    KERNEL = 1
    CMDLINE = 2
    RAMDISK = 3
    SIGNATURE = 4
    METADATA = 5

    @property
    def label(self) -> str:
        """For people and for JSON: `ramdisk`."""
        return self.name.lower()


MEASURED: Final = frozenset({SectionType.KERNEL, SectionType.CMDLINE, SectionType.RAMDISK})
"""What PCR0 covers. Nothing measures the header, metadata or signatures."""

SINCE: Final = {SectionType.SIGNATURE: 3, SectionType.METADATA: 4}
"""The version that brought a type of section."""

MAX_CONTENT_BYTES: Final = {
    SectionType.CMDLINE: 4096,  # twice COMMAND_LINE_SIZE of x86_64 and arm64: the kernel cuts what is longer
    SectionType.SIGNATURE: 32768,  # the platform's own bound, which QEMU shares
    SectionType.METADATA: 1 << 20,  # Docker's description of one container image takes some kilobytes
}
"""Sections that are kept in memory while an image is read; the others are bounded by the file alone."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first 548 bytes, without the parts that are constant or zero."""

    version: int
    flags: int
    default_memory_bytes: int
    default_cpus: int
    sizes: tuple[int, ...]
    """Bytes of data of each section, in file order."""
    crc32: int
    """As stored, not as computed."""

    @property
    def architecture(self) -> str:
        """What the flags say; not measured."""
        return "aarch64" if self.flags & AARCH64_FLAG else "x86_64"

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each section header stands when the sections follow each other without gaps."""
        offsets, at = [], HEADER_BYTES
        for size in self.sizes:
            offsets.append(at)
            at += SECTION_HEADER_BYTES + size
        return tuple(offsets)

    def encode(self) -> bytes:
        """The bytes of the header."""
        unused = (0,) * (MAX_SECTIONS - len(self.sizes))
        fixed = (MAGIC, self.version, self.flags, self.default_memory_bytes, self.default_cpus, 0, len(self.sizes))
        return _HEADER.pack(*fixed, *self.offsets, *unused, *self.sizes, *unused, 0, self.crc32)


def parse_header(data: bytes) -> Header:
    """The header in these 548 bytes; `EifError` unless its table describes sections without gaps or overlaps.

    AWS's reader walks the sections and ignores the table, QEMU's seeks by the table. A file in which both do not agree
    is two images, of which one was measured.
    """
    if len(data) < HEADER_BYTES:
        raise EifError("eif-truncated", "within the header")
    magic, version, flags, memory_bytes, cpus, reserved, count, *table, unused, crc32 = _HEADER.unpack(data)
    if magic != MAGIC:
        raise EifError("eif-magic")
    if version not in VERSIONS:
        raise EifError("eif-version", str(version))
    if flags & ~AARCH64_FLAG:
        raise EifError("eif-flags", f"{flags:#06x}")
    if not 1 <= count <= MAX_SECTIONS:
        raise EifError("eif-section-count", str(count))
    offsets, sizes = table[:MAX_SECTIONS], table[MAX_SECTIONS:]
    if reserved or unused or any(offsets[count:]) or any(sizes[count:]):
        raise EifError("eif-reserved", "in the header")
    header = Header(version, flags, memory_bytes, cpus, tuple(sizes[:count]), crc32)
    if tuple(offsets[:count]) != header.offsets:
        raise EifError("eif-section-table", "offsets of the header")
    return header


def encode_section_header(kind: SectionType, size: int) -> bytes:
    """The 12 bytes in front of a section's data."""
    return _SECTION.pack(kind, 0, size)


def parse_section_header(data: bytes, size: int) -> SectionType:
    """The type in these 12 bytes; `EifError` when they disagree with the `size` in the header's table."""
    if len(data) < SECTION_HEADER_BYTES:
        raise EifError("eif-truncated", "within a section header")
    kind, flags, own_size = _SECTION.unpack(data)
    try:
        section = SectionType(kind)
    except ValueError:
        raise EifError("eif-section-type", str(kind)) from None
    if flags:
        raise EifError("eif-section-flags", section.label)
    if own_size != size:
        raise EifError("eif-section-table", f"size of the {section.label}")
    return section
