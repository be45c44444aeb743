"""Layer 1: namespaces of its own. No network but a loopback that is down, and a root that holds only what is listed.

Works for root, and for others where the kernel lets them make user namespaces.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from simulator.jail import kernel

_PRIVATE: Final = kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
_ROOT: Final = "/sys"  # exists everywhere, holds nothing that is listed, and is hidden by the new root on top of it
_KEPT: Final = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_TIMES: Final = {os.ST_NOATIME: 1 << 10, os.ST_NODIRATIME: 1 << 11, os.ST_RELATIME: 1 << 21}


def enter(*, as_user: bool = False) -> bool:
    """Move into new network, mount and IPC namespaces; False where the kernel refuses.

    Who may not do so directly does it inside a new user namespace, where only its own ids exist; `as_user` skips the
    first try.
    """
    if not as_user:
        try:
            kernel.unshare(_PRIVATE)
        except OSError:
            pass
        else:
            return True
    uid, gid = os.getuid(), os.getgid()
    try:
        kernel.unshare(_PRIVATE | kernel.CLONE_NEWUSER)
    except OSError:
        return False
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return True


def change_root(readable: Sequence[Path], writable: Sequence[Path]) -> bool:
    """A new root with nothing but these absolute paths, at their old names; False where the kernel refuses."""
    numbers = kernel.architecture()
    if numbers is None:
        return False
    try:
        kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
        kernel.mount("none", _ROOT, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m")
        for path in _outermost(readable):
            _show(path, read_only=True)
        for path in _outermost(writable):
            _show(path, read_only=False)
        _make_read_only(_ROOT)
        kernel.pivot_into(_ROOT, numbers)
    except OSError:
        return False
    return True


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """The paths that do not lie below another one."""
    return [path for path in paths if not any(parent in paths for parent in path.parents)]


def _show(path: Path, *, read_only: bool) -> None:
    """Bind `path`, or what it links to, into the new root under its own name."""
    shown = Path(_ROOT + str(path))
    if not shown.exists():  # it does when it lies below another path
        shown.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shown.mkdir()
        else:
            shown.touch()
    kernel.mount(str(path), str(shown), "", kernel.MS_BIND | kernel.MS_REC)
    if read_only:
        _make_read_only(str(shown))


def _make_read_only(mounted: str) -> None:
    """Remount with the flags it has and one more: inside a user namespace none may be taken away."""
    found = os.statvfs(mounted).f_flag
    times = sum(flag for seen, flag in _TIMES.items() if found & seen)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | (found & _KEPT) | times
    kernel.mount("none", mounted, "", flags)
