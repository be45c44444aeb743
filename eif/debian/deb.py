"""Reads .deb files: an `ar` archive (deb(5)) with `data.tar.xz` or `data.tar.zst` in it. Nothing of it is executed.

The content is pinned by hash, so the bounds here are against mistakes, not against attackers.
"""

import io
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

from eif.errors import EifError

_AR_MAGIC: Final = b"!<arch>\n"
_LARGEST_DATA: Final = 1 << 31


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Each entry of the package's file tree with its content (empty unless it is a regular file), in its order.

    Names are relative, without leading `./`. `EifError("package-malformed")`.
    """
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=_data(stream), mode="r|") as archive:
            for entry in archive:
                entry.name = entry.name.removeprefix("./").rstrip("/")
                if entry.name in ("", "."):
                    continue
                if entry.name.startswith("/") or ".." in entry.name.split("/"):
                    raise EifError("package-malformed", f"{path.name}: {entry.name}")
                file = archive.extractfile(entry) if entry.isreg() else None
                yield entry, file.read() if file else b""
    except (tarfile.TarError, lzma.LZMAError, zstandard.ZstdError, EOFError, ValueError) as error:
        raise EifError("package-malformed", f"{path.name}: {error}") from None


def _data(stream: BinaryIO) -> BinaryIO:
    """The uncompressed tar of the package's files."""
    if stream.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise EifError("package-malformed", "no ar archive")
    while header := stream.read(60):
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if size > _LARGEST_DATA:
            raise EifError("package-malformed", "a member is too large")
        if name == "data.tar.xz":
            return io.BytesIO(lzma.decompress(stream.read(size)))
        if name == "data.tar.zst":
            return io.BytesIO(zstandard.ZstdDecompressor().decompressobj().decompress(stream.read(size)))
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise EifError("package-malformed", "no data")


def unpack(path: Path, root: Path) -> None:
    """Write the package's files below `root`; owners, times and special modes are not kept.

    A directory that is a symbolic link in `root` already (`lib` to `usr/lib`) is followed inside `root`.
    """
    for entry, content in members(path):
        target = _inside(root, entry.name)
        if entry.isdir():
            if not target.is_symlink():
                target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink() or target.exists():
            target.unlink()
        if entry.issym():
            target.symlink_to(entry.linkname)
        elif entry.islnk():
            target.hardlink_to(_inside(root, entry.linkname.removeprefix("./")))
        elif entry.isreg():
            target.write_bytes(content)
            target.chmod(entry.mode & 0o755 | 0o200)


def _inside(root: Path, name: str) -> Path:
    """Where `name` lies when links of the root's own top level are followed, as they would be in it."""
    top, _, rest = name.partition("/")
    link = root / top
    if rest and link.is_symlink():
        return root / link.readlink() / rest
    return root / name
