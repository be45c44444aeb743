"""A root directory from pinned packages, in which builds run without network, as root of a user namespace of their own.

What a build sees is the same everywhere: pinned tools, one path, empty environment, fixed user, locale and umask. So a
build does not depend on the machine, and a compiler that the machine's owner prefers changes nothing.
"""

import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from eif.debian.deb import unpack
from eif.debian.fetch import Say, fetch
from eif.debian.lock import Pinned, read_lock
from eif.errors import EifError

WORK: Final = "build"
"""The folder in which builds work, below the root."""

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


class ConfinedRoot:
    """A folder as the root directory of programs that run without network and see no process but their own."""

    def __init__(self, path: Path, log: Path, say: Say = lambda _: None) -> None:
        """`log`: the file that takes what programs print; it is begun anew."""
        self.path = path
        self._log = log
        log.write_bytes(b"")
        self._say = say

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        """Run `command`, whose paths are those below the root.

        `EifError("build-failed")` with the last lines that it printed; `EifError("sandbox-unavailable")`.
        """
        if shutil.which("unshare") is None:
            raise EifError("sandbox-unavailable", "there is no unshare; it is part of util-linux")
        variables = [f"{name}={value}" for name, value in {**_ENVIRONMENT, **(environment or {})}.items()]
        inside = shlex.join(["env", "-i", *variables, "chroot", str(self.path), *command])
        script = f"umask 022 && mount --rbind /dev {shlex.quote(str(self.path / 'dev'))} && exec {inside}"
        confined = [
            "unshare", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
            f"--mount-proc={self.path / 'proc'}", "sh", "-c", script,
        ]  # fmt: skip
        self._say(f"running {' '.join(command)[:80]}")
        with self._log.open("ab") as stream:
            done = subprocess.run(
                confined, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode != 0:
            raise self._failure()

    def _failure(self) -> EifError:
        last = self._log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
        code = "sandbox-unavailable" if any(line.startswith("unshare:") for line in last) else "build-failed"
        return EifError(code, "\n".join([f"see {self._log}", *last]))


class BuildRoot(ConfinedRoot):
    """A root with the tools of a lock. `sources`: the lock's source archives, still packed."""

    def __init__(self, path: Path, lock: str, log: Path, say: Say) -> None:
        """Unpack the packages of `lock` into `path`, a folder that does not exist yet."""
        super().__init__(path, log, say)
        pinned = read_lock(lock)
        fetched = list(zip(pinned, fetch(pinned, say), strict=True))
        say(f"unpacking {len(pinned)} packages")
        path.mkdir()
        unpack_packages(path, fetched)
        for link, target in _ALTERNATIVES.items():
            if not (path / link).exists():
                (path / link).symlink_to(target)
        for name in (WORK, "tmp", "proc", "dev", "etc"):
            (path / name).mkdir(exist_ok=True)
        (path / "etc/passwd").write_text("root:x:0:0:root:/build:/bin/sh\n")
        self.sources = [archive for file, archive in fetched if not file.path.endswith(".deb")]

    @property
    def work(self) -> Path:
        """The folder in which builds work; `/build` inside."""
        return self.path / WORK


def unpack_packages(root: Path, packages: Iterable[tuple[Pinned, Path]]) -> None:
    """Unpack these .deb files below `root`, in the order of their names, into a merged /usr."""
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for file, path in sorted(packages, key=lambda item: item[0].path):
        if file.path.endswith(".deb"):
            unpack(path, root)
