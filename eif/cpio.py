"""Archives in the newc form of cpio, which the kernel unpacks as initial root file system: entries, and the writer.

One set of entries gives one sequence of bytes (SC-01): paths sorted, owner 0:0, one time for all, inode numbers
counted, device numbers of the medium zero. The reader is `cpio_reader.py`. Source of the form: the kernel's
`Documentation/driver-api/early-userspace/buffer-format.rst`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from eif.errors import EifError

MAGIC: Final = b"070701"
HEADER_BYTES: Final = 110
"""The magic and 13 numbers of eight hexadecimal digits."""
TRAILER: Final = "TRAILER!!!"
ALIGNMENT: Final = 4
MAX_NUMBER: Final = 0xFFFF_FFFF
MAX_PATH_BYTES: Final = 4095
"""Of a path or the target of a link: the kernel skips entries whose name, with its NUL, passes PATH_MAX (4096)."""
_CHUNK_BYTES: Final = 1 << 20


class Kind(IntEnum):
    """The type bits of an entry's mode."""

    FIFO = 0o010000
    CHARACTER_DEVICE = 0o020000
    DIRECTORY = 0o040000
    BLOCK_DEVICE = 0o060000
    FILE = 0o100000
    SYMLINK = 0o120000
    SOCKET = 0o140000

    @property
    def words(self) -> str:
        """For people: `character device`."""
        return self.name.lower().replace("_", " ")


KIND_MASK: Final = 0o170000
_DEVICES: Final = frozenset({Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE})
_WRITABLE: Final = _DEVICES | {Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry to write. Made with `file`, `directory`, `symlink` or `character_device`."""

    path: str
    """Relative to the root, in plain form: `usr/bin/python3`, no leading slash, no `.` or `..`."""
    kind: Kind
    mode: int
    """Permission bits, with set-user-id, set-group-id and sticky: 0 to 0o7777."""
    content: bytes | Path = field(default=b"", repr=False)
    """Of a file, as bytes or as a file on disk, read while writing; of a link, its target."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""


def file(path: str, content: bytes | Path, mode: int = 0o644) -> Entry:
    """A regular file. `content` as a `Path` is streamed; it must not change while it is written."""
    return Entry(path, Kind.FILE, mode, content)


def directory(path: str, mode: int = 0o755) -> Entry:
    """A directory."""
    return Entry(path, Kind.DIRECTORY, mode)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link. Links have no permissions of their own; 0777 is what the kernel shows."""
    return Entry(path, Kind.SYMLINK, 0o777, target.encode("utf-8", "surrogateescape"))


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """A device node, such as `dev/console`, 5:1."""
    return Entry(path, Kind.CHARACTER_DEVICE, mode, device=(major, minor))


def write_archive(entries: Iterable[Entry], stream: BinaryIO, mtime_s: int) -> int:
    """Write one archive with its trailer and return its length in bytes, a multiple of four.

    Raises `EifError("cpio-path" | "cpio-repeated" | "cpio-entry" | "input-unreadable")`, perhaps after bytes were
    written. Every directory on the way to an entry must be an entry, since the kernel makes none by itself.
    """
    if not 0 <= mtime_s <= MAX_NUMBER:
        raise EifError("cpio-entry", "the time does not fit 32 bits")
    ordered = sorted(entries, key=lambda entry: entry.path.encode("utf-8", "surrogatepass"))
    _validate_set(ordered)
    written = 0
    for inode, entry in enumerate(ordered, start=1):
        written += _write_entry(entry, stream, inode, mtime_s)
    return written + _write_head(stream, TRAILER, {"nlink": 1})


def padding(length: int, alignment: int = ALIGNMENT) -> bytes:
    """The zero bytes that bring `length` to a multiple of `alignment`.

    Between archives zeros are legal, and loaders place ramdisks back to back, so each should end on a multiple of 4.
    """
    return bytes(-length % alignment)


def validate_path(path: str) -> None:
    """`EifError("cpio-path")` unless `path` is relative, in plain form and of a length that the kernel takes."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise EifError("cpio-path", "not UTF-8") from None
    parts = path.split("/")
    if "\0" in path or path == TRAILER or len(encoded) > MAX_PATH_BYTES or not {"", ".", ".."}.isdisjoint(parts):
        raise EifError("cpio-path", ascii(path[:80]))


def _validate_set(ordered: list[Entry]) -> None:
    directories, seen = {""}, set()
    for entry in ordered:
        validate_path(entry.path)
        if entry.path in seen:
            raise EifError("cpio-repeated", ascii(entry.path))
        if entry.path.rpartition("/")[0] not in directories:
            raise EifError("cpio-entry", f"{entry.path!a} is in no directory of the archive")
        seen.add(entry.path)
        if entry.kind is Kind.DIRECTORY:
            directories.add(entry.path)
        _validate_entry(entry)


def _validate_entry(entry: Entry) -> None:
    """Refuses what the form cannot say, and what the kernel would ignore."""
    has_content = entry.content != b""
    good = {
        "kind": entry.kind in _WRITABLE,
        "mode": 0 <= entry.mode <= 0o7777,
        "device": entry.device == (0, 0) or entry.kind in _DEVICES,
        "device number": all(0 <= number <= MAX_NUMBER for number in entry.device),
        "content": not has_content or entry.kind in (Kind.FILE, Kind.SYMLINK),
        "target": entry.kind is not Kind.SYMLINK or _is_target(entry.content),
    }
    if wrong := [name for name, holds in good.items() if not holds]:
        raise EifError("cpio-entry", f"{wrong[0]} of {entry.path!a}")


def _is_target(content: bytes | Path) -> bool:
    return isinstance(content, bytes) and 0 < len(content) <= MAX_PATH_BYTES and b"\0" not in content


def _write_entry(entry: Entry, stream: BinaryIO, inode: int, mtime_s: int) -> int:
    try:
        source = BytesIO(entry.content) if isinstance(entry.content, bytes) else entry.content.open("rb")
    except OSError as error:
        raise EifError("input-unreadable", f"{entry.path!a}: {error.strerror}") from None
    with source:
        size = len(entry.content) if isinstance(entry.content, bytes) else os.fstat(source.fileno()).st_size
        if size > MAX_NUMBER:
            raise EifError("cpio-entry", f"size of {entry.path!a}")
        fields = {
            "ino": inode,
            "mode": entry.kind | entry.mode,
            "nlink": 2 if entry.kind is Kind.DIRECTORY else 1,
            "mtime": mtime_s,
            "filesize": size,
            "rdevmajor": entry.device[0],
            "rdevminor": entry.device[1],
        }
        written = _write_head(stream, entry.path, fields) + _copy(source, stream, size, entry.path)
    end = padding(size)
    stream.write(end)
    return written + len(end)


_FIELDS: Final = (
    "ino", "mode", "uid", "gid", "nlink", "mtime", "filesize",
    "devmajor", "devminor", "rdevmajor", "rdevminor", "namesize", "check",
)  # fmt: skip


def _write_head(stream: BinaryIO, path: str, fields: dict[str, int]) -> int:
    """The header and the name with its NUL, filled up to four bytes. Fields that are not given are zero."""
    name = path.encode() + b"\0"
    given = fields | {"namesize": len(name)}
    head = MAGIC + b"".join(b"%08X" % given.get(field_name, 0) for field_name in _FIELDS) + name
    head += padding(len(head))
    stream.write(head)
    return len(head)


def _copy(source: BinaryIO, stream: BinaryIO, size: int, path: str) -> int:
    """Exactly `size` bytes, and then the end: a file that grows or shrinks meanwhile would shift all that follows."""
    left = size
    while left and (chunk := source.read(min(left, _CHUNK_BYTES))):
        stream.write(chunk)
        left -= len(chunk)
    if left or source.read(1):
        raise EifError("input-unreadable", f"{path!a} changed while it was read")
    return size
