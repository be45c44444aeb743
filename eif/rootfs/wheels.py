"""The Python packages of the image: exactly one pinned wheel for each, fetched by pip and checked by hash (SC-05).

`wheels.lock` names the wheel of each package that `requirements/enclave.txt` pins, for the image's interpreter; a
requirements file pins all of a release's wheels, and which of them an installer takes is up to the installer.

    python -m eif.rootfs.wheels          makes wheels.lock anew
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eif.cache import cache_folder
from eif.debian.fetch import Say
from eif.errors import EifError

LOCK: Final = Path(__file__).with_name("wheels.lock")
REQUIREMENTS: Final = Path(__file__).resolve().parents[2] / "requirements" / "enclave.txt"
PYTHON: Final = "3.13"
_TARGET: Final = (
    "--python-version", PYTHON, "--implementation", "cp", "--abi", "cp313", "--abi", "abi3", "--abi", "none",
    "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64",
)  # fmt: skip
_LINE: Final = re.compile(r"([0-9a-f]{64}) ([A-Za-z0-9_.+-]{1,150}\.whl)\Z")
_DEADLINE_S: Final = 600


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel by file name (PEP 427) and hash."""

    sha256: str
    file_name: str

    @property
    def requirement(self) -> str:
        """`name==version`."""
        name, version = self.file_name.split("-")[:2]
        return f"{name.replace('_', '-').lower()}=={version}"


def read_lock(text: str | None = None) -> tuple[Wheel, ...]:
    """The wheels of the lock; `EifError("lock-malformed")`."""
    wheels = []
    for number, line in enumerate((LOCK.read_text() if text is None else text).splitlines(), start=1):
        if line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise EifError("lock-malformed", f"wheels, line {number}")
        wheels.append(Wheel(match[1], match[2]))
    return tuple(wheels)


def fetch_wheels(wheels: Sequence[Wheel], say: Say) -> list[Path]:
    """Paths of these wheels in the cache; `EifError("package-unavailable" | "package-hash")`."""
    folder = cache_folder("packages")
    missing = [wheel for wheel in wheels if not _is_right(folder / wheel.sha256, wheel.sha256)]
    if missing:
        say(f"fetching {len(missing)} Python packages")
        lines = "".join(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n" for wheel in missing)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            scratch = Path(name)
            _pip_download(lines, scratch)
            for wheel in missing:
                if not _is_right(scratch / wheel.file_name, wheel.sha256):
                    raise EifError("package-hash", wheel.file_name)
                (scratch / wheel.file_name).replace(folder / wheel.sha256)
    return [folder / wheel.sha256 for wheel in wheels]


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a wheel: path below the folder for packages, content. What would be installed elsewhere is left out."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                parts = entry.filename.split("/")
                if entry.is_dir() or parts[0].endswith(".data"):
                    continue
                if entry.filename.startswith("/") or ".." in parts:
                    raise EifError("package-malformed", entry.filename)
                yield entry.filename, archive.read(entry)
    except zipfile.BadZipFile as error:
        raise EifError("package-malformed", str(error)) from None


def _is_right(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _pip_download(requirements: str, target: Path) -> None:
    file = target / "requirements.txt"
    file.write_text(requirements)
    command = [
        sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "download", "--no-deps",
        "--require-hashes", "--only-binary", ":all:", *_TARGET, "--dest", str(target), "--requirement", str(file),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DEADLINE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EifError("package-unavailable", str(error)) from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise EifError("package-unavailable", lines[-1] if lines else "pip failed")


def relock() -> int:
    """Write the lock anew from `requirements/enclave.txt`; the number of wheels."""
    with tempfile.TemporaryDirectory(prefix="chancery-wheels-") as name:
        folder = Path(name)
        _pip_download(REQUIREMENTS.read_text(), folder)
        wheels = sorted(folder.glob("*.whl"))
        lines = [f"{hashlib.sha256(wheel.read_bytes()).hexdigest()} {wheel.name}" for wheel in wheels]
    head = f"# The wheel of each package of requirements/enclave.txt for Python {PYTHON}; made by: make image-lock"
    LOCK.write_text("\n".join([head, *lines]) + "\n")
    return len(lines)


def main() -> int:
    """Relock."""
    try:
        print(f"wheels: {relock()} files")  # noqa: T201  a tool for developers
    except EifError as error:
        print(f"wheels: {error.text}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
