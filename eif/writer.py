"""Writes enclave images: the same parts give the same bytes, and a file appears whole or not at all.

Sections stand in nitro-cli's order: kernel, command line, metadata, ramdisks, signature. Parts are streamed.
"""

import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final

from eif.errors import EifError
from eif.layout import (
    AARCH64_FLAG,
    CRC_OFFSET,
    CURRENT_VERSION,
    DEFAULT_CPUS,
    DEFAULT_MEMORY_BYTES,
    MAX_CONTENT_BYTES,
    MAX_SECTIONS,
    Header,
    SectionType,
    encode_section_header,
)
from eif.metadata import Metadata
from eif.reader import CHUNK_BYTES, Span, opened

MAX_CMDLINE_CHARS: Final = 2047
"""COMMAND_LINE_SIZE of x86_64 and arm64 is 2048 with the final NUL; the kernel cuts what is longer."""


class Architecture(IntEnum):
    """What an image runs on, as the flags of its header."""

    X86_64 = 0
    AARCH64 = AARCH64_FLAG


Source = bytes | Path | Span
"""Where the data of a section come from."""


@dataclass(frozen=True, slots=True)
class ImageParts:
    """What an image is made of."""

    kernel: Source
    """A bzImage for x86_64; an uncompressed Image for aarch64."""
    cmdline: str
    metadata: Metadata
    ramdisks: Sequence[Source]
    """The first is in PCR1, the others are in PCR2; all are in PCR0. Each should end on four bytes (`cpio.padding`)."""
    architecture: Architecture = Architecture.X86_64
    signature: bytes | None = None
    """A section that `signature.sign` made, or None."""


def write_image(path: Path, parts: ImageParts) -> None:
    """Write a version 4 image to `path`; `EifError("eif-cmdline" | "eif-ramdisk-missing" | …)`, and then no file."""
    if not parts.ramdisks:
        raise EifError("eif-ramdisk-missing")
    sections: list[tuple[SectionType, Source]] = [
        (SectionType.KERNEL, parts.kernel),
        (SectionType.CMDLINE, encode_cmdline(parts.cmdline)),
        (SectionType.METADATA, parts.metadata.encode()),
        *((SectionType.RAMDISK, ramdisk) for ramdisk in parts.ramdisks),
    ]
    if parts.signature is not None:
        sections.append((SectionType.SIGNATURE, parts.signature))
    header = Header(CURRENT_VERSION, parts.architecture, DEFAULT_MEMORY_BYTES, DEFAULT_CPUS, (), 0)
    with replacing(path) as stream:
        write_sections(stream, header, sections)


def encode_cmdline(text: str) -> bytes:
    """The section's bytes: as nitro-cli, without white space at the ends; `EifError("eif-cmdline")` unless ASCII."""
    trimmed = text.strip()
    if not (trimmed.isascii() and trimmed.isprintable() and len(trimmed) <= MAX_CMDLINE_CHARS):
        raise EifError("eif-cmdline", f"at most {MAX_CMDLINE_CHARS} characters")
    return trimmed.encode("ascii")


def write_sections(stream: BinaryIO, like: Header, sections: Sequence[tuple[SectionType, Source]]) -> None:
    """Write an image of these sections, in this order, to an empty stream that can seek.

    Version, flags and defaults are those of `like`; sizes and checksum are computed.
    """
    if len(sections) > MAX_SECTIONS:
        raise EifError("eif-section-count", str(len(sections)))
    sizes = tuple(_size(source) for _, source in sections)
    for (kind, _), size in zip(sections, sizes, strict=True):
        if size > MAX_CONTENT_BYTES.get(kind, size):
            raise EifError("eif-section-too-large", kind.label)
    header = Header(like.version, like.flags, like.default_memory_bytes, like.default_cpus, sizes, 0).encode()
    stream.write(header)
    crc32 = zlib.crc32(header[:CRC_OFFSET])
    for (kind, source), size in zip(sections, sizes, strict=True):
        head = encode_section_header(kind, size)
        stream.write(head)
        crc32 = _copy(source, stream, size, zlib.crc32(head, crc32))
    stream.seek(CRC_OFFSET)
    stream.write(crc32.to_bytes(4, "big"))
    stream.seek(0, os.SEEK_END)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends, and disappears when it fails.

    `EifError("output-unwritable")` for what goes wrong with files in the block, too.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w+b") as stream:
                yield stream
                stream.flush()
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise EifError("output-unwritable", f"{path}: {error.strerror}") from None


def _size(source: Source) -> int:
    match source:
        case bytes():
            return len(source)
        case Span():
            return source.size
    try:
        return source.stat().st_size
    except OSError as error:
        raise EifError("input-unreadable", f"{source}: {error.strerror}") from None


def _pieces(source: Source) -> Iterator[bytes]:
    match source:
        case bytes():
            yield source
        case Span():
            yield from source.pieces()
        case Path():
            with opened(source) as stream:
                yield from iter(lambda: stream.read(CHUNK_BYTES), b"")


def _copy(source: Source, stream: BinaryIO, size: int, crc32: int) -> int:
    """Copies exactly `size` bytes and returns the checksum over them, too."""
    for piece in _pieces(source):
        size -= len(piece)
        if size < 0:
            break
        stream.write(piece)
        crc32 = zlib.crc32(piece, crc32)
    if size:
        raise EifError("input-unreadable", "a part changed its size while it was read")
    return crc32
