"""Stages and measures what the simulated enclave runs, with the formulas of a real image (nitro-platform.md 1.4).

Trust side: simulator. A staged image is a folder with two ramdisks: `init`, the simulator's guest composition (on
Nitro: the bootstrap), and `app`, the enclave's code with its measured configuration. Files are read once; what was read
is what is measured and what is staged. One byte more in `enclave/` gives another PCR0 and PCR2, one in the guest
composition another PCR0 and PCR1. Third-party packages and the interpreter are not measured; in a real image they are.
"""

import hashlib
import io
import json
import secrets
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attestation import pcr

APP_PACKAGES: Final = ("attestation", "enclave", "evm", "protocol")
GUEST_FILES: Final = (
    "simulator/__init__.py",
    "simulator/guest.py",
    "simulator/jail",
    "simulator/nsm_socket.py",
    "simulator/sysfs",
    "simulator/vsock.py",
)
"""The guest composition: what of the simulator runs inside, files and folders."""
CONFIG_FILE: Final = "config.json"
INIT: Final = "init"
APP: Final = "app"

ROLE_ARN: Final = "arn:aws:iam::000000000000:role/chancery-simulator"
INSTANCE_ID: Final = "i-0000000000000000a"

_KERNEL: Final = b"chancery simulator: the host's kernel and interpreter stand in for a kernel of the image\n"
_CMDLINE: Final = b"reboot=k panic=30 chancery.simulator"
_BOOTSTRAP: Final = (
    "import json, runpy, sys; sys.path += json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)

Files = Mapping[str, bytes]
"""A ramdisk: path inside it to content."""


class ImageError(Exception):
    """The source cannot be staged. `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@dataclass(frozen=True, slots=True)
class StagedImage:
    """A measured image on disk. `pcrs` are PCR0 to PCR4; `digest` is SHA-384 over all sections, as in a build log."""

    path: Path
    pcrs: Mapping[int, bytes]
    digest: bytes

    def command(self, module: str, arguments: Sequence[str] = ()) -> list[str]:
        """The command line that runs `module` of the image and nothing unmeasured of this project; environment: empty.

        The interpreter starts isolated and without `site`, so that no .pth file can put another checkout in front; of
        the caller's path only third-party packages stay, behind the image.
        """
        packages = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
        path = json.dumps([str(self.path / INIT), str(self.path / APP), *packages])
        return [sys.executable, "-I", "-S", "-B", "-u", "-c", _BOOTSTRAP, path, module, *arguments]


def stage(
    source_root: Path, config: bytes, target: Path, *, role_arn: str = ROLE_ARN, instance_id: str = INSTANCE_ID
) -> StagedImage:
    """Copy the measured code of `source_root` with `config` to `target` and measure it; `ImageError`.

    `target` must be empty or absent. The same inputs give the same measurements, wherever and whenever it is done.
    """
    init = _collect(source_root, GUEST_FILES)
    app = {**_collect(source_root, APP_PACKAGES), CONFIG_FILE: config}
    if target.exists() and any(target.iterdir()):
        raise ImageError("image-target", f"{target} is not empty")
    _write(init, target / INIT)
    _write(app, target / APP)
    kernel, init_archive, app_archive = _KERNEL + _CMDLINE, _archive(init), _archive(app)
    measured = {
        0: _twice(kernel + init_archive + app_archive),
        1: _twice(kernel + init_archive),
        2: _twice(app_archive),
        3: pcr.of_role(role_arn),
        4: pcr.of_instance(instance_id),
    }
    digest = hashlib.sha384(kernel + init_archive + app_archive).digest()
    return StagedImage(target, MappingProxyType(measured), digest)


def new_module_id(instance_id: str = INSTANCE_ID) -> str:
    """The id of one launch on this parent instance."""
    return f"{instance_id}-enc{secrets.token_hex(8)}"


def _twice(content: bytes) -> bytes:
    return pcr.extend(pcr.ZERO, hashlib.sha384(content).digest())


def _collect(root: Path, names: Sequence[str]) -> dict[str, bytes]:
    """All files of these files and folders by their path below `root`; caches and hidden files are not part of it."""
    files: dict[str, bytes] = {}
    for name in names:
        start = root / name
        if not start.exists():
            raise ImageError("image-missing", name)
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            inside = path.relative_to(root)
            if any(part.startswith(".") or part == "__pycache__" for part in inside.parts):
                continue
            if path.is_symlink():  # would be measured as something other than what runs
                raise ImageError("image-link", inside.as_posix())
            if path.is_file():
                files[inside.as_posix()] = path.read_bytes()
    return files


def _write(files: Files, target: Path) -> None:
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o444)


def _archive(files: Files) -> bytes:
    """One deterministic archive: sorted names, no times, no owners, one mode."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o444
            archive.addfile(entry, io.BytesIO(files[name]))
    return stream.getvalue()
