"""The part of the root file system that is not ours: interpreter, libraries, packages. Kept in the cache.

Everything is compiled by the image's own interpreter, and the modules of others are there in compiled form only: half
the size, and a start without compiling.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eif.cache import built, cache_folder, key_of
from eif.debian.build_root import WORK, BuildRoot, ConfinedRoot, unpack_packages
from eif.debian.fetch import Say, fetch
from eif.debian.lock import LOCKS
from eif.debian.lock import read_lock as read_debian_lock
from eif.rootfs import allow_list, wheels

PACKAGES: Final = "usr/lib/python3/dist-packages"
INTERPRETER: Final = "/usr/bin/python3.13"
_RECIPE: Final = "3"
_CACHE: Final = "rootfs"
_ROOT: Final = "root"
_COMPILER: Final = "compiler"
_LINKS: Final = {"usr/bin/python3": "python3.13"}
_LIBRARIES: Final = ("usr/lib/python3.13", PACKAGES)
# Unchecked: the modules' times and sources decide nothing. The seed is fixed since sets are stored in its order.
_COMPILE: Final = (
    INTERPRETER, "-I", "-B", "-X", "no_debug_ranges", "-m", "compileall", "-q", "-f", "-j", "1",
    "--invalidation-mode", "unchecked-hash",
)  # fmt: skip
_ENVIRONMENT: Final = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1704067200"}


@dataclass(frozen=True, slots=True)
class Base:
    """`root`: what goes into the image. `compiler`: the whole interpreter, with what compiles modules."""

    root: Path
    compiler: Path


def build_base(say: Say) -> Base:
    """The interpreter and all packages; half a minute if they are not in the cache.

    `EifError` with one of the package and build codes.
    """
    folder = built(_CACHE, _key(), lambda work: _build(work, say))
    return Base(folder / _ROOT, folder / _COMPILER)


def is_built() -> bool:
    """Whether they are in the cache."""
    return (cache_folder(_CACHE) / _key()).is_dir()


def _key() -> str:
    locks = ((LOCKS / f"{name}.lock").read_bytes() for name in ("image", "init"))
    inputs = (*locks, wheels.LOCK.read_bytes(), allow_list.FILE.read_bytes())
    return key_of(*inputs, repr((_COMPILE, _ENVIRONMENT, _LINKS)), _RECIPE)


def compile_modules(root: ConfinedRoot, *folders: str, beside_source: bool) -> None:
    """Compile all modules below `folders` with the interpreter of `root`; `beside_source`: to `x.pyc` beside `x.py`."""
    root.run(*_COMPILE, *(["-b"] if beside_source else []), *(f"/{name}" for name in folders), environment=_ENVIRONMENT)


def _build(folder: Path, say: Say) -> None:
    full = folder / _COMPILER
    full.mkdir()
    pinned = read_debian_lock("image")
    unpack_packages(full, zip(pinned, fetch(pinned, say), strict=True))
    _unpack_wheels(full / PACKAGES, say)
    for link, target in _LINKS.items():
        if not (full / link).is_symlink():
            (full / link).symlink_to(target)
    for name in ("proc", "dev"):
        (full / name).mkdir(exist_ok=True)
    say("compiling the packages")
    root = ConfinedRoot(full, cache_folder("logs") / "rootfs.log")
    _leave_out_sources_that_do_not_compile(full)
    compile_modules(root, *_LIBRARIES, beside_source=True)
    _select(full, folder / _ROOT)
    shutil.rmtree(full / PACKAGES)
    _strip(folder / _ROOT, say)


def _unpack_wheels(target: Path, say: Say) -> None:
    pinned = wheels.read_lock()
    for path in wheels.fetch_wheels(pinned, say):
        for name, content in wheels.members(path):
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def _leave_out_sources_that_do_not_compile(root: Path) -> None:
    """Tests of syntax errors; the allow-list has none of these folders."""
    for folder in (root / "usr/lib/python3.13/test", root / "usr/lib/python3.13/lib2to3"):
        shutil.rmtree(folder, ignore_errors=True)


def _select(full: Path, target: Path) -> None:
    """Link what the allow-list allows from `full` to `target`."""
    allowed = allow_list.allow_list()
    for path in files_below(full):
        name = path.relative_to(full).as_posix()
        if allowed.allows(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target / name, follow_symlinks=False)


def _strip(root: Path, say: Say) -> None:
    """Leave symbols for debuggers out of the packages' libraries, a fifth of the image; with the pinned tool."""
    libraries = [path for path in files_below(root / PACKAGES) if ".so" in path.name and not path.is_symlink()]
    with tempfile.TemporaryDirectory(dir=root.parent) as name:
        tools = BuildRoot(Path(name) / "root", "init", cache_folder("logs") / "strip.log", say)
        for number, path in enumerate(libraries):
            shutil.copyfile(path, tools.work / str(number))
        tools.run("/usr/bin/strip", "--strip-unneeded", *(f"/{WORK}/{number}" for number in range(len(libraries))))
        for number, path in enumerate(libraries):
            path.unlink()  # it is a link to the one that was unpacked
            shutil.copyfile(tools.work / str(number), path)


def files_below(root: Path) -> Iterator[Path]:
    """All files and links below `root`, in a fixed order; links are not followed."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in sorted([*names, *links]))
