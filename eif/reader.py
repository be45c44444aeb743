"""Reads an enclave image front to back, once, in constant memory, and refuses every image that two readers could
understand in two ways (SC-03, nitro-platform.md 1.1).

What comes out says what the file holds, not that anybody vouches for it. Damage that only the checksum shows is an
error by default; `allow_damage` leaves the verdict to the caller, as `describe` needs it.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from eif.errors import EifError
from eif.layout import (
    CRC_OFFSET,
    HEADER_BYTES,
    MAX_CONTENT_BYTES,
    SECTION_HEADER_BYTES,
    SINCE,
    Header,
    SectionType,
    parse_header,
    parse_section_header,
)

CHUNK_BYTES: Final = 1 << 20
_ONCE: Final = (SectionType.KERNEL, SectionType.CMDLINE, SectionType.METADATA, SectionType.SIGNATURE)


@dataclass(frozen=True, slots=True)
class SectionStart:
    """A section whose data come next."""

    kind: SectionType
    number: int
    """Counts the sections of this kind from 0, in file order."""
    offset: int
    """Of the data, from the start of the file."""
    size: int

    @property
    def name(self) -> str:
        """`kernel`, `ramdisk 1`."""
        return f"{self.kind.label} {self.number}" if self.kind is SectionType.RAMDISK else self.kind.label


@dataclass(frozen=True, slots=True)
class Section:
    """A section that was read to its end."""

    start: SectionStart
    sha384: bytes
    """Of the data. Registers hash all data in a row; only these digests show where a section ends (AT-11)."""
    content: bytes | None = field(repr=False)
    """The data of a command line, of metadata or of a signature; None for a kernel or a ramdisk."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of sound structure. Its contents are untrusted."""

    header: Header
    sections: tuple[Section, ...]
    crc32: int
    """Computed over the file."""

    @property
    def is_undamaged(self) -> bool:
        """Whether the checksum in the header matches. It protects against accidents, not against anybody."""
        return self.crc32 == self.header.crc32

    def content(self, kind: SectionType) -> bytes | None:
        """The data of the one command line, metadata or signature section; None when there is none."""
        return next((section.content for section in self.sections if section.start.kind is kind), None)


Observer = Callable[[SectionStart, bytes], None]
"""Is shown the data of every section, in order and in pieces."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an open file, read whenever it is asked for."""

    stream: BinaryIO = field(repr=False)
    offset: int
    size: int

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start` on. Others may move the stream in between; a file that shrank gives fewer."""
        at = start
        while at < self.size:
            self.stream.seek(self.offset + at)
            piece = self.stream.read(min(self.size - at, CHUNK_BYTES))
            if not piece:
                return
            yield piece
            at += len(piece)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, for reading; `EifError("input-unreadable")` when it cannot be opened or read."""
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise EifError("input-unreadable", f"{path}: {error.strerror}") from None


def read_image(stream: BinaryIO, observe: Observer | None = None, *, allow_damage: bool = False) -> Image:
    """The image that `stream` holds from here to its end; `EifError` names the rule that it breaks."""
    head = _read_exactly(stream, HEADER_BYTES)
    header = parse_header(head)
    crc32 = zlib.crc32(head[:CRC_OFFSET])
    sections: list[Section] = []
    for size, offset in zip(header.sizes, header.offsets, strict=True):
        head = _read_exactly(stream, SECTION_HEADER_BYTES)
        kind = parse_section_header(head, size)
        number = sum(section.start.kind is kind for section in sections)
        start = SectionStart(kind, number, offset + SECTION_HEADER_BYTES, size)
        _validate_start(start, header.version, sections)
        section, crc32 = _read_section(stream, start, observe, zlib.crc32(head, crc32))
        sections.append(section)
    if stream.read(1):
        raise EifError("eif-trailing")
    _validate_complete({section.start.kind for section in sections}, header.version)
    image = Image(header, tuple(sections), crc32)
    if not image.is_undamaged and not allow_damage:
        raise EifError("eif-crc", f"computed {crc32:08x}, stored {header.crc32:08x}")
    return image


def _read_section(stream: BinaryIO, start: SectionStart, observe: Observer | None, crc32: int) -> tuple[Section, int]:
    digest = hashlib.sha384()
    kept: list[bytes] | None = [] if start.kind in MAX_CONTENT_BYTES else None
    left = start.size
    while left:
        chunk = stream.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise EifError("eif-truncated", f"within the {start.name}")
        left -= len(chunk)
        digest.update(chunk)
        crc32 = zlib.crc32(chunk, crc32)
        if kept is not None:
            kept.append(chunk)
        if observe:
            observe(start, chunk)
    return Section(start, digest.digest(), None if kept is None else b"".join(kept)), crc32


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes; fewer only at the end of the file, also from a pipe that gives them in pieces."""
    data = b""
    while len(data) < size and (piece := stream.read(size - len(data))):
        data += piece
    return data


def _validate_start(start: SectionStart, version: int, before: list[Section]) -> None:
    kind = start.kind
    if version < SINCE.get(kind, version):
        raise EifError("eif-section-version", f"{start.name} in version {version}")
    if kind in _ONCE and start.number > 0:
        raise EifError("eif-section-repeated", start.name)
    if kind is SectionType.RAMDISK and not any(section.start.kind is SectionType.KERNEL for section in before):
        raise EifError("eif-section-order")
    if start.size > MAX_CONTENT_BYTES.get(kind, start.size):
        raise EifError("eif-section-too-large", f"{start.name}: {start.size} bytes, {MAX_CONTENT_BYTES[kind]} allowed")


def _validate_complete(present: set[SectionType], version: int) -> None:
    needed = {SectionType.KERNEL, SectionType.CMDLINE, SectionType.RAMDISK}
    if version >= SINCE[SectionType.METADATA]:
        needed.add(SectionType.METADATA)
    if missing := sorted(needed - present):
        raise EifError("eif-section-missing", missing[0].label)
