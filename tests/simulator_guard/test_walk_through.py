"""The walk-through of docs/guard.md: exactly the commands that stand there, in a fresh folder, in one shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.places import GuardOptions
from tests.e2e.e2e_support import Site
from tests.simulator_guard.conftest import announce

ROOT = Path(__file__).parents[2]
TITLE = "### A rule change, from beginning to end"
_EXIT = re.compile(r"  # exits with ([0-9]+)")
_DEADLINE_S = 240


def steps() -> list[tuple[str, list[str]]]:
    """Each command, and the lines that are said to come of it."""
    text = (ROOT / "docs" / "guard.md").read_text()
    section = text.partition(TITLE)[2].partition("\n## ")[0]
    found = "".join(re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
    parts = re.split(r"^\$ ", found, flags=re.MULTILINE)[1:]
    return [_split(part) for part in parts]


def _split(part: str) -> tuple[str, list[str]]:
    """Lines that begin with two spaces go on with the command."""
    head, *rest = part.rstrip("\n").split("\n")
    more = [line for line in rest if line.startswith("  ")]
    return "\n".join([head, *more]), rest[len(more) :]


@pytest.mark.timeout(_DEADLINE_S + 60)
def test_commands_of_the_walk_through_do_what_it_says(tmp_path: Path) -> None:
    with Site(tmp_path / ".chancery", guard=GuardOptions()) as site:
        announce(site)
        outputs = carry_out(site, tmp_path, [command for command, _ in steps()])
    for (command, promised), (output, status) in zip(steps(), outputs, strict=True):
        expected = _EXIT.search(command)
        assert status == (int(expected[1]) if expected else 0), f"{command}\n{output}"
        for line in promised:
            pattern = re.escape(line).replace("…", ".+")
            assert re.search(f"^{pattern}$", output, re.MULTILINE), f"{command}\n{line!r} is not in\n{output}"


def carry_out(site: Site, folder: Path, commands: list[str]) -> list[tuple[str, int]]:
    """Output and exit status of each command; every question is answered with yes."""
    guard = site.appliance.guard
    assert guard is not None
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "chancery-sim"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m simulator --state {site.state} "$@"\n')
    program.chmod(0o755)
    script = "".join(f'{{ {command}\n}} 2>&1 <<< y\nstatus=$?; echo; echo "@@@ $status"\n' for command in commands)
    script = script.replace("http://127.0.0.1:8080", site.url).replace("http://127.0.0.1:8081", guard.url)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEADLINE_S,
    )
    parts = re.split(r"^@@@ ([0-9]+)$\n", done.stdout, flags=re.MULTILINE)
    return [(output, int(status)) for output, status in zip(parts[0::2], parts[1::2], strict=False)]
