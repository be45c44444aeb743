"""Packages of a registry for tests that run under Node: exactly what a committed lock names, in a folder of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

_INSTALL_S = 240


def npm(folder: Path, *arguments: str) -> str:
    """Run npm in `folder`; what it complained about, or nothing."""
    done = subprocess.run(
        ["npm", *arguments, "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stderr or "npm failed" if done.returncode else ""


def installed_programs(source: Path, parent: Path) -> Path:
    """A copy of `source` below `parent` with everything that its lock names. Skips where it cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js or npm is not installed")
    folder = parent / "programs"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
    if complaint := npm(folder, "ci"):
        pytest.skip(f"the package registry does not serve what the lock names: {complaint[:200]}")
    return folder
