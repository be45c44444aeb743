"""Builds init with pinned tools: one static program, no library, nothing of the machine in it."""

import shutil
from pathlib import Path
from typing import Final

from eif.cache import built, cache_folder, key_of
from eif.debian.build_root import WORK, BuildRoot
from eif.debian.fetch import Say
from eif.debian.lock import LOCKS

SOURCE: Final = Path(__file__).with_name("init.c")
PROGRAM: Final = "init"
_LOCK: Final = "init"
_COMPILE: Final = (
    "/usr/bin/musl-gcc", "-std=gnu17", "-Os", "-static", "-Wall", "-Wextra", "-Werror", "-Wl,--build-id=none", "-s",
    "-fstack-protector-strong", "-fcf-protection=none", "-o", f"/{WORK}/{PROGRAM}", f"/{WORK}/init.c",
)  # fmt: skip


def build_init(say: Say) -> Path:
    """The path of the program; `EifError` with one of the package and build codes."""
    key = key_of((LOCKS / f"{_LOCK}.lock").read_bytes(), SOURCE.read_bytes(), repr(_COMPILE))
    return built("init", key, lambda folder: _build(folder, say)) / PROGRAM


def _build(folder: Path, say: Say) -> None:
    root = BuildRoot(folder / "root", _LOCK, cache_folder("logs") / "init.log", say)
    shutil.copyfile(SOURCE, root.work / SOURCE.name)
    root.run(*_COMPILE)
    shutil.copyfile(root.work / PROGRAM, folder / PROGRAM)
    shutil.rmtree(root.path)
