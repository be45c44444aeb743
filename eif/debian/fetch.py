"""Fetches pinned files from this machine's Debian mirror into the cache. A file is used only if its SHA-256 is right.

The mirror is the one that apt is configured with, or the one that the caller names; it is trusted for nothing.
"""

import hashlib
import os
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from eif.cache import cache_folder
from eif.debian.lock import ARCHIVES, Pinned
from eif.errors import EifError

_DEADLINE_S: Final = 60.0
_CHUNK_BYTES: Final = 1 << 20
_TRIES: Final = 3

Say = Callable[[str], None]


def fetch(pinned: Iterable[Pinned], say: Say = lambda _: None, mirrors: Mapping[str, str] | None = None) -> list[Path]:
    """Paths of these files in the cache, in their order.

    `EifError("package-unavailable")`: no mirror, or it does not have the file; `EifError("package-hash")`: it sent
    something else under its name.
    """
    folder = cache_folder("packages")
    files = list(pinned)
    missing = [file for file in files if not _is_right(folder / file.sha256, file)]
    if missing:
        bases = mirrors if mirrors is not None else configured_mirrors()
        say(f"fetching {len(missing)} packages ({sum(file.size for file in missing) / 1e6:.0f} MB)")
        for file in missing:
            _download(file, bases, folder)
    return [folder / file.sha256 for file in files]


def configured_mirrors() -> dict[str, str]:
    """Base URL of each archive, from apt's own configuration; archives that it does not name are left out."""
    try:
        done = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name = urllib.parse.urlsplit(line).path.strip("/").rpartition("/")[2]
        if name in ARCHIVES:
            found.setdefault(name, line.rstrip("/"))
    if "debian" in found:  # every mirror of one carries the other beside it, unless apt says where
        found.setdefault("debian-security", f"{found['debian']}-security")
    return found


def _is_right(path: Path, file: Pinned) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _download(file: Pinned, mirrors: Mapping[str, str], folder: Path) -> None:
    if file.archive not in mirrors:
        raise EifError("package-unavailable", f"apt names no mirror of {file.archive}; give one with --mirror")
    url = f"{mirrors[file.archive]}/{urllib.parse.quote(file.path)}"
    for attempt in range(1, _TRIES + 1):
        try:
            content = _get(url, file.size)
        except urllib.error.HTTPError as error:
            raise EifError("package-unavailable", f"{file.file_name}: the mirror answers {error.code}") from None
        except (OSError, urllib.error.URLError) as error:
            if attempt == _TRIES:
                raise EifError("package-unavailable", f"{file.file_name}: {error}") from None
            continue
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise EifError("package-hash", file.file_name)
        _store(content, folder / file.sha256)
        return


def _get(url: str, size: int) -> bytes:
    """At most one byte more than `size`, which then has the wrong hash."""
    with urllib.request.urlopen(url, timeout=_DEADLINE_S) as answer:  # noqa: S310  the scheme is apt's
        content: bytes = answer.read(size + 1)
        return content


def _store(content: bytes, target: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    Path(name).replace(target)
