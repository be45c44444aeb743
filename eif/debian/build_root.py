"""A root directory from pinned packages, in which builds run without network, as root of a user namespace of their own.

What a build sees is the same everywhere: pinned tools, one path, empty environment, fixed user, locale and umask. So a
build does not depend on the machine, and a compiler that the machine's owner prefers changes nothing.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from eif.debian.deb import unpack
from eif.debian.fetch import Say, fetch
from eif.debian.lock import Pinned, read_lock
from eif.errors import EifError

WORK: Final = "build"
"""The folder of the root in which builds work."""

_MERGED: Final = ("bin", "lib", "lib64", "sbin")
_ALTERNATIVES: Final = {
    "usr/bin/awk": "gawk",
    "usr/bin/cc": "gcc",
    "usr/bin/gcc": "gcc-14",
    "usr/bin/sh": "dash",
}
"""What maintainer scripts, which are never run, would have linked."""
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/build", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_LAST_LINES: Final = 12


def make_build_root(root: Path, lock: str, say: Say) -> list[Path]:
    """Unpack the packages of this lock into `root`; returns the paths of its source archives, which are not unpacked."""
    pinned = read_lock(lock)
    paths = fetch(pinned, say)
    say(f"unpacking {len(pinned)} packages")
    unpack_packages(root, zip(pinned, paths, strict=True))
    for link, target in _ALTERNATIVES.items():
        if not (root / link).exists():
            (root / link).symlink_to(target)
    for name in (WORK, "tmp", "proc", "dev", "etc"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/build:/bin/sh\n")
    return [path for file, path in zip(pinned, paths, strict=True) if not file.path.endswith(".deb")]


def unpack_packages(root: Path, packages: Iterable[tuple[Pinned, Path]]) -> None:
    """Unpack these .deb files below `root`, in the order of their names, into a merged /usr."""
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for file, path in sorted(packages, key=lambda item: item[0].path):
        if file.path.endswith(".deb"):
            unpack(path, root)


def run_confined(
    root: Path, command: Sequence[str], *, say: Say, environment: Mapping[str, str] | None = None, log: Path
) -> None:
    """Run `command` in `root`'s work folder: no network, no other process, nothing of the machine but /dev.

    What it prints goes to `log`. `EifError("build-failed")` with the last lines; `EifError("sandbox-unavailable")`.
    """
    if shutil.which("unshare") is None:
        raise EifError("sandbox-unavailable", "there is no unshare; it is part of util-linux")
    inside = shlex.join(["env", "-i", *(f"{k}={v}" for k, v in {**_ENVIRONMENT, **(environment or {})}.items()), *command])
    script = (
        f"umask 022 && mount --rbind /dev {shlex.quote(str(root / 'dev'))} && cd {shlex.quote(str(root))} && "
        f"exec chroot . /usr/bin/sh -c {shlex.quote(f'cd /{WORK} && exec {inside}')}"
    )
    confined = [
        "unshare", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
        f"--mount-proc={root / 'proc'}", "sh", "-c", script,
    ]  # fmt: skip
    say(f"running {' '.join(command)[:80]}")
    with log.open("ab") as stream:
        done = subprocess.run(
            confined, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False, env=_outer()
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
        code = "sandbox-unavailable" if any(line.startswith("unshare:") for line in last) else "build-failed"
        raise EifError(code, "\n".join([f"see {log}", *last]))


def _outer() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)}
