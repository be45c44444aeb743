"""Makes the locks anew with apt, in a private root of its own: neither the machine's packages nor its lists change.

    python -m eif.debian.relock [SET ...]

Needs apt-get, Debian's archive keyring (apt checks the signatures of the lists; the lock then pins the files) and a
mirror in apt's configuration.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from eif.debian.fetch import configured_mirrors
from eif.debian.lock import LOCKS, Pinned, format_lock
from eif.debian.sets import SETS, PackageSet
from eif.errors import EifError

_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_DEADLINE_S: Final = 300
_INSTALL: Final = re.compile(r"Inst (\S+) (?:\[\S+\] )?\((\S+) ")


class PrivateApt:
    """apt with its own lists and no installed package, for `suites`."""

    def __init__(self, folder: Path, suites: Sequence[str]) -> None:
        self._folder = folder
        self._write_configuration(suites)
        self._run("apt-get", "update")

    def resolve(self, chosen: PackageSet) -> list[Pinned]:
        """All files of this set."""
        names = [*chosen.alone]
        if chosen.packages:
            simulated = self._run("apt-get", "install", "--simulate", "--yes", *chosen.packages)
            names += [f"{match[1]}={match[2]}" for match in map(_INSTALL.match, simulated.splitlines()) if match]
        return [*self._packages(names), *(self._source(name) for name in chosen.sources)]

    def _packages(self, names: Sequence[str]) -> list[Pinned]:
        stanzas = self._run("apt-cache", "show", "--no-all-versions", *names).strip().split("\n\n")
        found = [dict(re.findall(r"^(Filename|Size|SHA256): (\S+)$", stanza, re.MULTILINE)) for stanza in stanzas]
        return [_pinned(fields["SHA256"], fields["Size"], fields["Filename"]) for fields in found]

    def _source(self, name: str) -> Pinned:
        stanza = self._run("apt-cache", "showsrc", "--only-source", name).split("\n\n")[0]
        folder = re.search(r"^Directory: (\S+)$", stanza, re.MULTILINE)
        checksums = stanza.partition("Checksums-Sha256:")[2]
        match = re.search(r"^ ([0-9a-f]{64}) (\d+) (\S+\.orig\.tar\.xz)$", checksums, re.MULTILINE)
        if folder is None or match is None:
            raise EifError("lock-unresolved", f"source of {name}")
        return _pinned(match[1], match[2], f"{folder[1]}/{match[3]}")

    def _write_configuration(self, suites: Sequence[str]) -> None:
        mirrors = configured_mirrors()
        if "debian" not in mirrors:
            raise EifError("package-unavailable", "apt names no mirror of debian")
        sources = []
        for suite in suites:
            base = mirrors["debian-security" if suite.endswith("-security") else "debian"]
            sources += [f"{kind} [signed-by={_KEYRING}] {base} {suite} main" for kind in ("deb", "deb-src")]
        for name in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "status").touch()
        (self._folder / "etc/sources.list").write_text("\n".join(sources) + "\n")
        (self._folder / "apt.conf").write_text(
            f'Dir::State "{self._folder}"; Dir::State::lists "{self._folder}/lists";\n'
            f'Dir::State::status "{self._folder}/status"; Dir::Cache "{self._folder}/cache";\n'
            f'Dir::Etc "{self._folder}/etc"; Dir::Etc::sourceparts "-"; APT::Sandbox::User "";\n'
            'APT::Architecture "amd64"; APT::Architectures {"amd64";}; APT::Install-Recommends "0";\n'
            # Unstable's lists run out within a week, and a mirror may lag; what is pinned is checked by hash.
            'Acquire::Languages "none"; Acquire::Check-Valid-Until "false";\n'
        )

    def _run(self, *command: str) -> str:
        environment = {**os.environ, "APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C"}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True, timeout=_DEADLINE_S
            )
        except subprocess.CalledProcessError as error:
            raise EifError("lock-unresolved", error.stderr.strip().splitlines()[-1] if error.stderr else "") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EifError("lock-unresolved", str(error)) from None
        return done.stdout


def _pinned(sha256: str, size: str, path: str) -> Pinned:
    # The archive of security updates keeps its files apart, below this folder.
    archive = "debian-security" if path.startswith("pool/updates/") else "debian"
    return Pinned(sha256, int(size), archive, path)


def relock(name: str) -> int:
    """Write the lock of the set called `name` anew; the number of files that it pins."""
    chosen = SETS[name]
    with tempfile.TemporaryDirectory(prefix="chancery-apt-") as folder:
        pinned = PrivateApt(Path(folder), chosen.suites).resolve(chosen)
    wanted = " ".join([*chosen.packages, *chosen.alone, *chosen.sources])
    text = format_lock(pinned, f"{name}: {wanted}\nfrom {' '.join(chosen.suites)}; made by: make image-lock")
    LOCKS.mkdir(exist_ok=True)
    (LOCKS / f"{name}.lock").write_text(text)
    return len(pinned)


def main() -> int:
    """Relock the named sets, or all."""
    for name in sys.argv[1:] or SETS:
        try:
            print(f"{name}: {relock(name)} files")  # noqa: T201  a tool for developers
        except EifError as error:
            print(f"{name}: {error.text}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
