"""Where downloads and builds are kept: outside the checkout, each under a key of its inputs. Removing it costs time.

`$XDG_CACHE_HOME/chancery`, else `~/.cache/chancery`. What is taken from it is verified anew by its hash, or was made
from inputs whose hashes are its name.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_KEY_CHARS: Final = 20


def cache_folder(name: str = "") -> Path:
    """The folder `name` of the cache, made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "chancery" / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def key_of(*inputs: bytes | str) -> str:
    """A short name for these inputs; equal only if all of them are (each is hashed apart)."""
    digests = (hashlib.sha256(item.encode() if isinstance(item, str) else item).digest() for item in inputs)
    return hashlib.sha256(b"".join(digests)).hexdigest()[:_KEY_CHARS]


def built(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, made once for each `key`; an interrupted build leaves nothing behind.

    `make` gets an empty folder, which becomes `cache/name/key` when it returns. Other processes wait meanwhile.
    """
    parent = cache_folder(name)
    target = parent / key
    with _only_one(parent / f"{key}.lock"):
        if not target.exists():
            work = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=parent))
            try:
                make(work)
                work.chmod(0o755)
                work.rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return target


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
