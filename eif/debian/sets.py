"""Which packages each lock is made from. A lock holds these and all that they depend on, without recommendations."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PackageSet:
    """`suites`: where packages are taken from, newest first. `sources`: source packages, their upstream part."""

    packages: tuple[str, ...]
    suites: tuple[str, ...] = ("trixie", "trixie-updates", "trixie-security")
    sources: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    """Packages that are taken without what they depend on: other packages of the set have it."""


_SHELL: Final = (
    "bash", "bzip2", "coreutils", "dash", "diffutils", "findutils", "gawk", "grep", "gzip", "sed", "tar", "xz-utils",
)  # fmt: skip
_C: Final = ("binutils", "bison", "flex", "gcc-14", "make", "perl-base")

SETS: Final = {
    # What is inside the image: the interpreter, and the libraries that it and the wheels load.
    "image": PackageSet(packages=("libgcc-s1", "libpython3.13-stdlib", "python3.13-minimal")),
    # What compiles init: statically, with a small C library.
    "init": PackageSet(packages=("binutils", "dash", "gcc-14", "musl-tools")),
    # The kernel's source and what compiles it.
    "kernel": PackageSet(
        packages=(*_SHELL, *_C, "bc", "cpio", "libelf-dev", "libssl-dev", "python3-minimal", "zstd"),
        alone=("linux-source-6.12",),
    ),
    # QEMU's source and what compiles it: Debian's own build lacks the nitro-enclave machine.
    "emulator": PackageSet(
        packages=(
            *_SHELL, *_C, "libcbor-dev", "libfdt-dev", "libglib2.0-dev", "libgnutls28-dev", "libpixman-1-dev", "meson",
            "ninja-build", "pkgconf", "python3-minimal", "python3-pip", "python3-pycotap", "python3-venv",
        ),
        sources=("qemu",),
    ),
    # What QEMU runs before the image: the rest of its data is not used.
    "firmware": PackageSet(packages=(), alone=("qemu-system-data",)),
    # The vsock device's other end; a single program.
    "vsock-device": PackageSet(packages=(), suites=("sid",), alone=("vhost-device-vsock",)),
}  # fmt: skip
