"""Reads ramdisks: newc archives one after another, plain or compressed, with zeros between them.

Strict where the kernel is lenient: the purpose is to say what is in a ramdisk, and a lenient reader could show other
files than the kernel unpacks. Contents are hashed as they pass and can be read again; memory holds the names only.
Source of the form: `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from eif import compression
from eif.cpio import ALIGNMENT, HEADER_BYTES, KIND_MASK, MAGIC, MAX_PATH_BYTES, TRAILER, Kind, padding, validate_path
from eif.errors import EifError
from eif.reader import Span

MAX_ENTRIES: Final = 200_000
"""Of one ramdisk. A Debian with Python and its packages has some ten thousand."""
MAX_NAMES_BYTES: Final = 1 << 25
"""All names and link targets of one ramdisk."""
_NUMBERS: Final = re.compile(rb"[0-9A-Fa-f]{104}")
_ROOT: Final = "."


@dataclass(frozen=True, slots=True)
class Member:
    """An entry as it stands in a ramdisk."""

    path: str
    kind: Kind
    mode: int
    """Permission bits."""
    uid: int
    gid: int
    links: int
    """Names of one file appear as an entry each; usually the last of them holds the content."""
    mtime_s: int
    inode: int
    device: tuple[int, int]
    content: Span
    sha384: bytes
    target: str | None
    """Of a symbolic link."""


class _Cursor:
    """A place in a span."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.at = 0

    def peek(self, size: int) -> bytes:
        """Up to `size` of the next bytes."""
        self.span.stream.seek(self.span.offset + self.at)
        return self.span.stream.read(min(size, self.span.size - self.at))

    def take(self, size: int) -> bytes:
        """Exactly the next `size` bytes."""
        data = self.peek(size)
        if len(data) < size:
            raise EifError("cpio-truncated")
        self.at += size
        return data

    def take_span(self, size: int) -> Span:
        """The next `size` bytes, unread."""
        if size > self.span.size - self.at:
            raise EifError("cpio-truncated")
        span = Span(self.span.stream, self.span.offset + self.at, size)
        self.at += size
        return span

    def take_padding(self) -> None:
        """Zeros up to a multiple of four, counted from the start of the span."""
        if any(self.take(len(padding(self.at)))):
            raise EifError("cpio-malformed", "padding is not zero")

    def skip_zeros(self) -> None:
        """To the next byte that is not zero, or to the end."""
        while data := self.peek(1 << 16):
            rest = data.lstrip(b"\0")
            self.at += len(data) - len(rest)
            if rest:
                return


def read_ramdisk(span: Span, scratch: ExitStack) -> dict[str, Member]:
    """The members of a ramdisk by path, in their order; `EifError("cpio-…" | "compression-…")`.

    A directory may occur again, as the kernel allows; the last one counts. What is compressed is unpacked into files
    that `scratch` closes; the members' contents lie in them.
    """
    members: dict[str, Member] = {}
    names_bytes = 0
    for member in _ramdisk(span, scratch):
        before = members.get(member.path)
        if before is not None and not before.kind is member.kind is Kind.DIRECTORY:
            raise EifError("cpio-repeated", ascii(member.path))
        members[member.path] = member
        names_bytes += len(member.path) + len(member.target or "")
        if len(members) > MAX_ENTRIES or names_bytes > MAX_NAMES_BYTES:
            raise EifError("cpio-too-large")
    return members


def _ramdisk(span: Span, scratch: ExitStack) -> Iterator[Member]:
    cursor = _Cursor(span)
    cursor.skip_zeros()
    while start := cursor.peek(len(MAGIC)):
        if start == MAGIC:
            yield from _archive(cursor)
        elif name := compression.recognize(start):
            inner = _Cursor(_unpacked(cursor, name, scratch))
            inner.skip_zeros()
            while inner.peek(1):
                yield from _archive(inner)
                inner.skip_zeros()
        else:
            raise EifError("cpio-malformed", f"no archive at byte {cursor.at}")
        cursor.skip_zeros()


def _unpacked(cursor: _Cursor, name: str, scratch: ExitStack) -> Span:
    """What the compressed stream at the cursor holds; moves the cursor behind it."""
    output = scratch.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  `scratch` closes it
    stream, size = compression.unpacker(name), 0
    try:
        while not stream.is_finished:
            data = cursor.peek(1 << 16)
            if not data:
                raise EifError("compression-malformed", f"{name} stream without an end")
            for piece in stream.unpack(data):
                size += len(piece)
                if size > compression.MAX_UNPACKED_BYTES:
                    raise EifError("compression-too-large")
                output.write(piece)
            cursor.at += len(data) - len(stream.rest)
    except compression.ERRORS:
        raise EifError("compression-malformed", name) from None
    output.flush()
    return Span(output, 0, size)


def _archive(cursor: _Cursor) -> Iterator[Member]:
    """The members of the archive at the cursor, up to its trailer."""
    if cursor.at % ALIGNMENT:
        raise EifError("cpio-malformed", "an archive starts off a multiple of four")
    while True:
        start = cursor.at
        if cursor.take(len(MAGIC)) != MAGIC:
            raise EifError("cpio-malformed", f"no entry at byte {start}")
        digits = cursor.take(HEADER_BYTES - len(MAGIC))
        if not _NUMBERS.fullmatch(digits):
            raise EifError("cpio-malformed", f"numbers of the entry at byte {start}")
        numbers = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
        inode, mode, uid, gid, links, mtime_s, size, _, _, major, minor, name_bytes, check = numbers
        if not 2 <= name_bytes <= MAX_PATH_BYTES + 1 or mode > 0o177777 or check:
            raise EifError("cpio-malformed", f"name length, mode or check of the entry at byte {start}")
        name = cursor.take(name_bytes)
        cursor.take_padding()
        if name == TRAILER.encode() + b"\0":
            if size:
                raise EifError("cpio-malformed", "the trailer has content")
            return
        kind = _kind(mode)
        path = _path(name, kind)
        content = cursor.take_span(size)
        cursor.take_padding()
        target = _target(path, kind, content)
        digest = hashlib.sha384()
        for piece in content.pieces():
            digest.update(piece)
        yield Member(
            path,
            kind,
            mode & ~KIND_MASK,
            uid,
            gid,
            links,
            mtime_s,
            inode,
            (major, minor),
            content,
            digest.digest(),
            target,
        )


def _kind(mode: int) -> Kind:
    try:
        return Kind(mode & KIND_MASK)
    except ValueError:
        raise EifError("cpio-malformed", f"an entry of kind {mode & KIND_MASK:o}") from None


def _path(name: bytes, kind: Kind) -> str:
    """The path in plain form: archivers write `.`, a leading `./`, or a slash behind a directory, too."""
    text, end = name[:-1], name[-1:]
    if end != b"\0":
        raise EifError("cpio-malformed", "a name does not end with NUL")
    try:
        path = text.decode().removeprefix("./")
    except UnicodeDecodeError:
        raise EifError("cpio-path", "not UTF-8") from None
    if kind is Kind.DIRECTORY:
        path = path.removesuffix("/") or _ROOT
        if path == _ROOT:
            return path
    validate_path(path)
    return path


def _target(path: str, kind: Kind, content: Span) -> str | None:
    """The target of a symbolic link; refuses content where the kernel would skip it."""
    if kind is Kind.FILE:
        return None
    if kind is not Kind.SYMLINK:
        if content.size:
            raise EifError("cpio-malformed", f"{path!a} is a {kind.words} with content")
        return None
    data = b"".join(content.pieces()) if content.size <= MAX_PATH_BYTES else b""
    if not data or b"\0" in data:
        raise EifError("cpio-malformed", f"target of {path!a}")
    return data.decode("utf-8", "backslashreplace")
