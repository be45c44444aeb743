"""What stands in for the walls of an enclave: a process without network, without the user's environment and files.

Trust side: simulator; measured as part of the init ramdisk. `lock_in` runs in the child before `enclave` is imported
and applies every layer that the kernel offers. At least one must close the network and at least one the files, else it
refuses. What it cannot give is isolation from the kernel: that is what hardware is for.
"""

import contextlib
import os
import resource
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.jail import kernel, landlock, namespaces, socket_filter

NAMESPACES: Final = "namespaces"
LANDLOCK: Final = "landlock"
SOCKET_FILTER: Final = "socket-filter"
ALL_LAYERS: Final = frozenset({NAMESPACES, LANDLOCK, SOCKET_FILTER})

_SYSTEM_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_READABLE_DEVICES: Final = ("/dev/urandom",)
_WRITABLE_DEVICES: Final = ("/dev/null", "/dev/random")
_LOCKED_MEMORY_BYTES: Final = 8 << 20  # what the arena for secrets may need, and the default of current kernels


class JailError(Exception):
    """The process cannot be confined. `code` is stable."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Report:
    """Which layers hold, in words for people."""

    network: tuple[str, ...]
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"network closed by {', '.join(self.network)}; files closed by {', '.join(self.files)}"


def interpreter_paths() -> list[Path]:
    """What the interpreter reads: itself, its library, the packages on `sys.path`, the system's shared libraries."""
    libraries = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    libraries += [f"{prefix}/lib" for prefix in (sys.base_prefix, sys.base_exec_prefix)]
    packages = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    programs = [sys.executable, os.path.realpath(sys.executable)]
    return [Path(path) for path in (*programs, *libraries, *packages, *_SYSTEM_LIBRARIES, *_READABLE_DEVICES)]


def lock_in(
    readable: Sequence[Path], writable: Sequence[Path], *, layers: frozenset[str] = ALL_LAYERS, as_user: bool = False
) -> Report:
    """Confine this process for good; `JailError` when a wall is missing.

    `readable` is for the staged image, `writable` for the folder of the sockets; the interpreter's own paths are added.
    `layers` and `as_user` (a user namespace even for root) let tests try the layers one by one.
    """
    _check_alone()
    try:
        return _apply(layers, as_user, readable, writable)
    except OSError as error:
        raise JailError("jail-kernel", error.strerror or "") from error


def _apply(layers: frozenset[str], as_user: bool, readable: Sequence[Path], writable: Sequence[Path]) -> Report:
    readable = _existing([*interpreter_paths(), *readable])
    writable = _existing([*(Path(device) for device in _WRITABLE_DEVICES), *writable])
    _allow_locked_memory()
    os.umask(0o077)
    own_namespaces = NAMESPACES in layers and namespaces.enter(as_user=as_user)
    own_root = own_namespaces and namespaces.change_root(readable, writable)
    if not own_root:
        os.chdir("/")
    kernel.drop_privileges()
    # A link may lead to nothing under the new root, where only its final target was shown.
    rules = landlock.restrict(_existing(readable), _existing(writable)) if LANDLOCK in layers else 0
    filtered = SOCKET_FILTER in layers and socket_filter.install()
    report = Report(
        network=_named({"a network namespace of its own": own_namespaces, "a socket filter": filtered}),
        files=_named({"a root of its own": own_root, f"Landlock {rules}": bool(rules)}),
    )
    if not report.network:
        raise JailError("jail-network", "neither network namespaces nor socket filters work here")
    if not report.files:
        raise JailError("jail-files", "neither mount namespaces nor Landlock work here")
    return report


def _check_alone() -> None:
    """An empty environment, no descriptor but the standard three, one thread: the layers hold for all of it."""
    os.environ.pop("LC_CTYPE", None)  # the interpreter sets it for itself (PEP 538)
    if os.environ:
        raise JailError("jail-environment", ", ".join(sorted(os.environ)))
    for descriptor in os.listdir("/proc/self/fd"):
        if int(descriptor) > 2:
            with contextlib.suppress(OSError):  # the one that listed the folder is gone already
                os.close(int(descriptor))
    if len(os.listdir("/proc/self/task")) != 1:
        raise JailError("jail-threads")


def _existing(paths: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(path.absolute() for path in paths if os.path.exists(path)))


def _allow_locked_memory() -> None:
    """Secrets are locked in memory; without capabilities only the limit counts, and some systems set it very low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and soft < _LOCKED_MEMORY_BYTES:
        with contextlib.suppress(OSError, ValueError):  # only root may raise the hard limit
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (_LOCKED_MEMORY_BYTES, max(hard, _LOCKED_MEMORY_BYTES)))


def _named(layers: dict[str, bool]) -> tuple[str, ...]:
    return tuple(name for name, holds in layers.items() if holds)
