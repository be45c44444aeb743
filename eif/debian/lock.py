"""Locks of archive files: each line pins one file by SHA-256 and size (SC-05). Pure.

    <sha256> <size> <archive> <path below the archive>

`archive` is `debian` or `debian-security`; which mirror serves them is a matter of the machine (`fetch.py`). `#` starts
a comment. A version that a mirror no longer has makes the fetch fail; `make image-lock` pins newer ones.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eif.errors import EifError

ARCHIVES: Final = ("debian", "debian-security")
LOCKS: Final = Path(__file__).with_name("locks")
_LINE: Final = re.compile(r"([0-9a-f]{64}) ([0-9]{1,10}) ([a-z-]+) (pool/[A-Za-z0-9.+_~/-]{1,200})\Z")


@dataclass(frozen=True, slots=True)
class Pinned:
    """One file of the archive. `size` in bytes; `path` begins with `pool/`."""

    sha256: str
    size: int
    archive: str
    path: str

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def package(self) -> str:
        """The package's name: what stands before the first underscore."""
        return self.file_name.partition("_")[0]

    @property
    def version(self) -> str:
        """Version as in the file name, without epoch."""
        return self.file_name.removesuffix(".deb").split("_")[1]

    def __str__(self) -> str:
        return f"{self.sha256} {self.size} {self.archive} {self.path}"


def parse_lock(text: str) -> tuple[Pinned, ...]:
    """The files that `text` pins, in its order; `EifError("lock-malformed")`."""
    pinned = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or match[3] not in ARCHIVES or ".." in match[4]:
            raise EifError("lock-malformed", f"line {number}")
        pinned.append(Pinned(match[1], int(match[2]), match[3], match[4]))
    return tuple(pinned)


def format_lock(pinned: Iterable[Pinned], comment: str) -> str:
    """The text of a lock, sorted by path, so that a change shows as few lines as it has packages."""
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *(str(file) for file in sorted(pinned, key=lambda file: file.path))]) + "\n"


def read_lock(name: str) -> tuple[Pinned, ...]:
    """The lock called `name` of this package; `EifError("lock-malformed")`."""
    return parse_lock((LOCKS / f"{name}.lock").read_text())
