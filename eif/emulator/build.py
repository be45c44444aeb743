"""Builds QEMU with the nitro-enclave machine, once, from Debian's pinned source with pinned tools.

    python -m eif.emulator.build

Debian's own build of QEMU lacks the machine (it needs libcbor). The result is one program with the libraries that it
loads and its firmware, started through its own loader, so it does not depend on the machine's libraries.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eif.cache import built, cache_folder, key_of
from eif.debian.build_root import WORK, BuildRoot, unpack_packages
from eif.debian.fetch import Say, fetch
from eif.debian.lock import LOCKS, read_lock
from eif.errors import EifError

_QEMU: Final = "qemu-system-x86_64"
_VSOCK_DEVICE: Final = "vhost-device-vsock"
_LOADER: Final = "ld-linux-x86-64.so.2"
_LOCKS: Final = ("emulator", "vsock-device")
_RECIPE: Final = "1"
_CONFIGURE: Final = (
    "--target-list=x86_64-softmmu", "--without-default-features", "--enable-kvm", "--enable-tcg", "--enable-gnutls",
    "--enable-libcbor", "--enable-vhost-user", "--enable-vhost-kernel", "--enable-pixman", "--enable-system",
    "--enable-fdt=system", "--disable-download", "--disable-docs", "--disable-werror", "--disable-install-blobs",
    "--cc=gcc", "--host-cc=gcc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Emulator:
    """The programs, below `folder`."""

    folder: Path

    def qemu(self) -> list[str]:
        """The command that starts QEMU with its firmware; machine and image follow."""
        return [*self._program(_QEMU), "-L", str(self.folder / "firmware")]

    def vsock_device(self) -> list[str]:
        """The command that starts the vsock device's other end."""
        return self._program(_VSOCK_DEVICE)

    def _program(self, name: str) -> list[str]:
        libraries = self.folder / "lib"
        return [str(libraries / _LOADER), "--library-path", str(libraries), str(self.folder / "bin" / name)]


def cache_key() -> str:
    """What the emulator is made from, as a short name."""
    return key_of(*((LOCKS / f"{name}.lock").read_bytes() for name in _LOCKS), repr(_CONFIGURE), _RECIPE)


def build_emulator(say: Say) -> Emulator:
    """The emulator from the cache, or built: about nine minutes of processor time.

    `EifError` with one of the package and build codes.
    """
    return Emulator(built("emulator", cache_key(), lambda folder: _build(folder, say)))


def _build(folder: Path, say: Say) -> None:
    root = BuildRoot(folder / "root", "emulator", cache_folder("logs") / "emulator.log", say)
    (archive,) = root.sources
    shutil.copyfile(archive, root.work / "qemu.tar.xz")
    source = f"/{WORK}/qemu"
    root.run("mkdir", source)
    root.run("tar", "-C", source, "--strip-components=1", "--no-same-owner", "-xf", f"{source}.tar.xz")
    _leave_out_firmware(root.work / "qemu/pc-bios/meson.build")
    root.run("sh", "-c", f"cd {source} && ./configure {' '.join(_CONFIGURE)}")
    root.run("ninja", "-C", f"{source}/build", f"-j{os.cpu_count() or 1}", _QEMU)
    shutil.copyfile(root.work / "qemu/build" / _QEMU, root.work / _QEMU)
    _add_vsock_device(root.work, say)
    _collect(root, folder)
    shutil.rmtree(root.path)


def _leave_out_firmware(path: Path) -> None:
    """Debian's source package lacks the firmware that this file would unpack; this machine type does not use it."""
    text = path.read_text()
    if text.count("if unpack_edk2_blobs\n") != 1:
        raise EifError("build-failed", "pc-bios/meson.build is not as expected")
    path.write_text(text.replace("if unpack_edk2_blobs\n", "if false\n"))


def _add_vsock_device(work: Path, say: Say) -> None:
    pinned = read_lock("vsock-device")
    unpacked = work / "device"
    unpacked.mkdir()
    unpack_packages(unpacked, zip(pinned, fetch(pinned, say), strict=True))
    shutil.copyfile(unpacked / "usr/bin" / _VSOCK_DEVICE, work / _VSOCK_DEVICE)


def _collect(root: BuildRoot, folder: Path) -> None:
    """Both programs, the libraries that they load, the loader, and the firmware."""
    # The loader of the root lists what they load, so that nothing of this machine gets in.
    programs = f"{_QEMU} {_VSOCK_DEVICE}"
    script = (
        f"cd /{WORK} && mkdir lib bin && strip {_QEMU} && chmod 755 {programs} && for program in {programs}; do "
        f"/lib64/{_LOADER} --list ./$program | awk '$3 ~ /^\\// {{ print $3 }}' | xargs cp -L -t lib; done && "
        f"cp -L /lib64/{_LOADER} lib/ && mv {programs} bin/"
    )
    root.run("sh", "-c", script)
    for name in ("lib", "bin"):
        shutil.move(root.work / name, folder / name)
    shutil.copytree(root.path / "usr/share/seabios", folder / "firmware")


def main() -> int:
    """Build, and say where the emulator is."""
    try:
        emulator = build_emulator(lambda text: print(text, file=sys.stderr))  # noqa: T201
    except EifError as error:
        print(error.text, file=sys.stderr)  # noqa: T201
        return 1
    print(emulator.folder)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
