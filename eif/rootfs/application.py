"""The second ramdisk: base, our own code and measured configuration, each file on the allow-list (SC-04).

It is two archives, one after the other: the first changes with the packages only, and is kept in the cache.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from eif import cpio
from eif.cache import cache_folder
from eif.cpio import Entry
from eif.debian.build_root import ConfinedRoot
from eif.debian.fetch import Say
from eif.errors import EifError
from eif.rootfs.allow_list import allow_list
from eif.rootfs.base import PACKAGES, Base, compile_modules, files_below

OWN_PACKAGES: Final = ("attestation", "enclave", "evm", "protocol")
CONFIG: Final = "etc/chancery/config.json"

_EMPTY_FOLDERS: Final = {"dev": 0o755, "proc": 0o755, "run": 0o755, "sys": 0o755, "tmp": 0o1777}  # init mounts there
_EXECUTABLE: Final = ("usr/bin/", "usr/lib64/ld-", "usr/lib/x86_64-linux-gnu/ld-")


def base_entries(base: Base) -> list[Entry]:
    """All entries of the ramdisk's first archive: interpreter, libraries, packages; `EifError("rootfs-stranger")`."""
    files = [_entry(base.root, path) for path in files_below(base.root)]
    validate_strangers(files)
    return with_folders(files)


def application_entries(base: Base, source: Path, config: bytes, say: Say) -> list[Entry]:
    """All entries of the second. `source`: the folder with our packages; `config`: the measured configuration.

    `EifError("rootfs-stranger")` names a file that is not on the allow-list; `EifError` with a build code.
    """
    files = [*_own_code(base.compiler, source, say), cpio.file(CONFIG, config)]
    validate_strangers(files)
    return with_folders(files)


def _own_code(compiler: Path, source: Path, say: Say) -> list[Entry]:
    """Our packages, compiled where they will lie by the interpreter that will run them."""
    with tempfile.TemporaryDirectory(dir=cache_folder("rootfs"), ignore_cleanup_errors=True) as name:
        root = Path(name) / "root"
        shutil.copytree(compiler, root, symlinks=True, copy_function=os.link)
        for package in OWN_PACKAGES:
            _copy_allowed(source, package, root / PACKAGES)
        say("compiling the enclave's code")
        confined = ConfinedRoot(root, cache_folder("logs") / "application.log")
        compile_modules(confined, *(f"{PACKAGES}/{package}" for package in OWN_PACKAGES), beside_source=False)
        return [_entry(root, path) for path in files_below(root / PACKAGES)]


def validate_strangers(files: Iterable[Entry]) -> None:
    """`EifError("rootfs-stranger")` unless each is on the allow-list; links of the merged /usr are."""
    allowed = allow_list()
    strangers = [entry.path for entry in files if not allowed.allows(entry.path)]
    if strangers:
        raise EifError("rootfs-stranger", ", ".join(strangers[:5]))


def _copy_allowed(source: Path, package: str, target: Path) -> None:
    if not (source / package).is_dir():
        raise EifError("input-unreadable", f"no package {package} below {source}")
    allowed = allow_list()
    for path in files_below(source / package):
        name = path.relative_to(source)
        if "__pycache__" in name.parts or not allowed.allows(f"{PACKAGES}/{name.as_posix()}"):
            continue
        if path.is_symlink():  # it would be measured as something other than what runs
            raise EifError("rootfs-stranger", f"{name} is a link")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(path.read_bytes())


def _entry(root: Path, path: Path) -> Entry:
    name = path.relative_to(root).as_posix()
    if path.is_symlink():
        return cpio.symlink(name, str(path.readlink()))
    return cpio.file(name, path.read_bytes(), 0o755 if name.startswith(_EXECUTABLE) else 0o644)


def with_folders(files: Iterable[Entry]) -> list[Entry]:
    """The files, every folder on the way to one, and the empty ones."""
    files = list(files)
    names = set(_EMPTY_FOLDERS)
    for entry in files:
        parts = entry.path.split("/")[:-1]
        names |= {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return [*(cpio.directory(name, _EMPTY_FOLDERS.get(name, 0o755)) for name in sorted(names)), *files]
