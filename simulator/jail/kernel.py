"""The system calls that the jail needs and Python does not offer, each raising `OSError`. Linux, x86-64 and arm64."""

import os
import platform
from dataclasses import dataclass
from typing import Any, Final

from cffi import FFI

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
_MNT_DETACH: Final = 2

PR_SET_SECCOMP: Final = 22
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522


@dataclass(frozen=True, slots=True)
class Architecture:
    """What differs between processors: the audit number and the numbers of the calls that libc has no name for."""

    audit: int
    pivot_root: int
    socket: int
    socketpair: int
    ptrace: int
    process_vm_readv: int
    process_vm_writev: int


_ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000003E, 155, 41, 53, 101, 310, 311),
    "aarch64": Architecture(0xC00000B7, 41, 198, 199, 117, 270, 271),
}

ffi = FFI()
ffi.cdef(
    """
    int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long);
    int unshare(int);
    int mount(const char *, const char *, const char *, unsigned long, const void *);
    int umount2(const char *, int);
    int capset(const void *, const void *);
    long syscall(long, ...);
    """
)
_libc: Any = ffi.dlopen(None)


def architecture() -> Architecture | None:
    """The processor's numbers, or None where they are not known."""
    return _ARCHITECTURES.get(platform.machine())


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno))
    return result


def prctl(option: int, *arguments: int) -> None:
    """prctl(2); missing arguments are 0."""
    _check(_libc.prctl(option, *arguments, *(0,) * (4 - len(arguments))))


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(flags))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, options.encode()))


def pivot_into(root: str, numbers: Architecture) -> None:
    """Make `root`, a mount point, the root of this mount namespace and forget the old one (pivot_root(2), NOTES)."""
    os.chdir(root)
    here = ffi.new("char[]", b".")
    _check(_libc.syscall(ffi.cast("long", numbers.pivot_root), here, here))
    _check(_libc.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def syscall(number: int, *arguments: Any) -> int:
    """syscall(2); integers are passed as longs, anything else as it is."""
    converted = [ffi.cast("long", value) if isinstance(value, int) else value for value in arguments]
    return _check(_libc.syscall(ffi.cast("long", number), *converted))


def drop_privileges() -> None:
    """Give up all capabilities for good, and the right to gain any by exec."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:  # without CAP_SETPCAP, or beyond the last capability: no_new_privs covers it
            break
    header = ffi.new("uint32_t[2]", [_CAPABILITY_VERSION_3, 0])
    _check(_libc.capset(header, ffi.new("uint32_t[6]")))
