"""Builds QEMU with the nitro-enclave machine, once, from Debian's pinned source with pinned tools.

    python -m eif.emulator.build

Debian's own build of QEMU lacks the machine (it needs libcbor). The result is one program with the libraries that it
loads and its firmware, started through its own loader, so it does not depend on the machine's libraries.
"""

import os
import shutil
import sys
import tempfile
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
_FIRMWARE: Final = ("qboot.rom", "linuxboot_dma.bin")
_RECIPE: Final = "2"
_CONFIGURE: Final = (
    "--target-list=x86_64-softmmu", "--without-default-features", "--enable-kvm", "--enable-tcg", "--enable-gnutls",
    "--enable-libcbor", "--enable-vhost-user", "--enable-vhost-kernel", "--enable-pixman", "--enable-system",
    "--enable-fdt=system", "--disable-download", "--disable-docs", "--disable-werror", "--disable-install-blobs",
    "--cc=gcc", "--host-cc=gcc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Emulator:
    """`programs`: QEMU, its loader and libraries; `parts`: firmware, and the vsock device's other end."""

    programs: Path
    parts: Path

    def qemu(self) -> list[str]:
        """The command that starts QEMU with its firmware; machine and image follow."""
        return [*self._loaded(self.programs / _QEMU), "-L", str(self.parts)]

    def vsock_device(self) -> list[str]:
        """The command that starts the vsock device's other end."""
        return self._loaded(self.parts / _VSOCK_DEVICE)

    def _loaded(self, program: Path) -> list[str]:
        libraries = self.programs / "lib"
        return [str(libraries / _LOADER), "--library-path", str(libraries), str(program)]


def is_built() -> bool:
    """Whether the emulator is in the cache, so that `build_emulator` takes no time."""
    return all((cache_folder(name) / key).is_dir() for name, key in (("qemu", _qemu_key()), ("emulator", _parts_key())))


def build_emulator(say: Say) -> Emulator:
    """The emulator from the cache, or built: about fifteen minutes of processor time.

    `EifError` with one of the package and build codes.
    """
    programs = built("qemu", _qemu_key(), lambda folder: _build_qemu(folder, say))
    return Emulator(programs, built("emulator", _parts_key(), lambda folder: _collect_parts(folder, say)))


def _qemu_key() -> str:
    return key_of((LOCKS / "emulator.lock").read_bytes(), repr(_CONFIGURE), _RECIPE)


def _parts_key() -> str:
    return key_of(*((LOCKS / f"{name}.lock").read_bytes() for name in ("firmware", "vsock-device")), _RECIPE)


def _build_qemu(folder: Path, say: Say) -> None:
    root = BuildRoot(folder / "root", "emulator", cache_folder("logs") / "emulator.log", say)
    (archive,) = root.sources
    shutil.copyfile(archive, root.work / "qemu.tar.xz")
    source = f"/{WORK}/qemu"
    root.run("mkdir", source)
    root.run("tar", "-C", source, "--strip-components=1", "--no-same-owner", "-xf", f"{source}.tar.xz")
    _leave_out_firmware(root.work / "qemu/pc-bios/meson.build")
    root.run("sh", "-c", f"cd {source} && ./configure {' '.join(_CONFIGURE)}")
    root.run("ninja", "-C", f"{source}/build", f"-j{os.cpu_count() or 1}", _QEMU)
    # The root's own loader lists what the program loads, so that nothing of this machine gets in.
    script = (
        f"cd /{WORK} && mkdir lib && cp qemu/build/{_QEMU} . && strip {_QEMU} && /lib64/{_LOADER} --list ./{_QEMU} | "
        f"awk '$3 ~ /^\\// {{ print $3 }}' | xargs cp -L -t lib && cp -L /lib64/{_LOADER} /lib/*/libgcc_s.so.1 lib/"
    )
    root.run("sh", "-c", script)
    for name in ("lib", _QEMU):
        shutil.move(root.work / name, folder / name)
    shutil.rmtree(root.path)


def _leave_out_firmware(path: Path) -> None:
    """Debian's source package lacks the firmware that this file would unpack; this machine type does not use it."""
    text = path.read_text()
    if text.count("if unpack_edk2_blobs\n") != 1:
        raise EifError("build-failed", "pc-bios/meson.build is not as expected")
    path.write_text(text.replace("if unpack_edk2_blobs\n", "if false\n"))


def _collect_parts(folder: Path, say: Say) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        unpacked = Path(name)
        pinned = (*read_lock("firmware"), *read_lock("vsock-device"))
        unpack_packages(unpacked, zip(pinned, fetch(pinned, say), strict=True))
        for file in _FIRMWARE:
            shutil.copyfile(unpacked / "usr/share/qemu" / file, folder / file)
        shutil.copy(unpacked / "usr/bin" / _VSOCK_DEVICE, folder / _VSOCK_DEVICE)


def main() -> int:
    """Build, and say where the emulator is."""
    if "--is-built" in sys.argv:
        return 0 if is_built() else 1
    try:
        emulator = build_emulator(lambda text: print(text, file=sys.stderr))  # noqa: T201
    except EifError as error:
        print(error.text, file=sys.stderr)  # noqa: T201
        return 1
    print(emulator.programs, emulator.parts)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
