"""Builds the kernel from Debian's pinned source with pinned tools, bit for bit the same everywhere.

    python -m eif.kernel.build

Time, user, host, path and compiler are fixed (Documentation/kbuild/reproducible-builds.rst of the kernel). The result
is kept in the cache under a key of everything that goes into it.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from eif.cache import built, cache_folder, key_of
from eif.debian.build_root import WORK, BuildRoot
from eif.debian.fetch import Say
from eif.debian.lock import LOCKS
from eif.errors import EifError

CONFIG: Final = Path(__file__).with_name("config")
IMAGE: Final = "bzImage"
DOT_CONFIG: Final = "config"

_LOCK: Final = "kernel"
_CACHE: Final = "kernel"
_SOURCE: Final = "/usr/src/linux-source-6.12.tar.xz"
_ENVIRONMENT: Final = {
    # The @ form: text that cannot be parsed would silently become the present time.
    "KBUILD_BUILD_TIMESTAMP": "@1704067200",
    "KBUILD_BUILD_USER": "chancery",
    "KBUILD_BUILD_HOST": "chancery",
    "KBUILD_BUILD_VERSION": "1",
    "SOURCE_DATE_EPOCH": "1704067200",
}
_RECIPE: Final = "1"


def build_kernel(say: Say) -> Path:
    """A folder with `bzImage` and the full `config`; about ten minutes of processor time if it is not in the cache.

    `EifError` with one of the package and build codes.
    """
    return built(_CACHE, _key(), lambda folder: _build(folder, say))


def is_built() -> bool:
    """Whether the kernel is in the cache, so that `build_kernel` takes no time."""
    return (cache_folder(_CACHE) / _key()).is_dir()


def _key() -> str:
    lock = (LOCKS / f"{_LOCK}.lock").read_bytes()
    return key_of(lock, CONFIG.read_bytes(), repr(sorted(_ENVIRONMENT.items())), _RECIPE)


def _build(folder: Path, say: Say) -> None:
    root = BuildRoot(folder / "root", _LOCK, cache_folder("logs") / "kernel.log", say)
    (root.work / "config").write_bytes(CONFIG.read_bytes())
    source = f"/{WORK}/linux"
    make = ("make", "-C", source, "ARCH=x86_64")
    root.run("mkdir", source)
    root.run("tar", "-C", source, "--strip-components=1", "--no-same-owner", "-xf", _SOURCE)
    root.run(*make, f"KCONFIG_ALLCONFIG=/{WORK}/config", "allnoconfig", environment=_ENVIRONMENT)
    refused = unmet(CONFIG.read_text(), (root.work / "linux/.config").read_text())
    if refused:
        raise EifError("build-failed", f"the kernel's configuration drops {', '.join(refused)}")
    root.run(*make, f"-j{os.cpu_count() or 1}", IMAGE, environment=_ENVIRONMENT)
    shutil.copyfile(root.work / "linux/arch/x86/boot" / IMAGE, folder / IMAGE)
    shutil.copyfile(root.work / "linux/.config", folder / DOT_CONFIG)
    shutil.rmtree(root.path)


def unmet(wanted: str, got: str) -> list[str]:
    """The lines of `wanted` that are not in `got`: options that the kernel's own rules switched off."""
    present = set(got.splitlines())
    return [line for line in wanted.splitlines() if line.startswith("CONFIG_") and line not in present]


def main() -> int:
    """Build, and say where the kernel is and what its hash is."""
    if "--is-built" in sys.argv:
        return 0 if is_built() else 1
    try:
        folder = build_kernel(lambda text: print(text, file=sys.stderr))  # noqa: T201
    except EifError as error:
        print(error.text, file=sys.stderr)  # noqa: T201
        return 1
    image = folder / IMAGE
    print(f"{hashlib.sha256(image.read_bytes()).hexdigest()}  {image}  {image.stat().st_size} bytes")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
