"""Asks the very code that goes into an image whether it takes the configuration, before the image is written.

The builder does not import the enclave: its own interpreter reads the file, confined, as it will at boot.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from eif.cache import cache_folder
from eif.cpio import Entry, Kind
from eif.debian.build_root import ConfinedRoot
from eif.errors import EifError
from eif.rootfs.base import INTERPRETER, Base

_PROGRAM: Final = """
import sys
from enclave.config import parse_config
from enclave.errors import BootError
try:
    parse_config(open(sys.argv[1], "rb").read())
except BootError as error:
    sys.exit(f"refused: {error}")
"""
_REFUSED: Final = "refused: "


def validate_config(base: Base, application: Iterable[Entry], path: str) -> None:
    """`EifError("config-refused")` with the enclave's reason, unless it takes the configuration at `path`.

    `application`: the files of the ramdisk, the configuration among them. `EifError("build-failed")` where the code
    does not even load.
    """
    with tempfile.TemporaryDirectory(dir=cache_folder("rootfs"), ignore_cleanup_errors=True) as name:
        root, log = Path(name) / "root", Path(name) / "log"
        shutil.copytree(base.root, root, symlinks=True, copy_function=os.link)
        for entry in application:
            _place(root, entry)
        try:
            ConfinedRoot(root, log).run(INTERPRETER, "-I", "-B", "-c", _PROGRAM, f"/{path}")
        except EifError as error:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            if error.code == "build-failed" and last.startswith(_REFUSED):
                raise EifError("config-refused", last.removeprefix(_REFUSED)) from None
            raise


def _place(root: Path, entry: Entry) -> None:
    target = root / entry.path
    if entry.kind is Kind.DIRECTORY:
        target.mkdir(parents=True, exist_ok=True)
    elif entry.kind is Kind.FILE and isinstance(entry.content, bytes):
        target.unlink(missing_ok=True)  # never write through a link into the cache
        target.write_bytes(entry.content)
