"""Programs under Node that speak to the wire as published clients do, and what they need installed.

`described` runs the calls of the client as its description has them, over the libraries that it stands on, with the
published verifier checking every answer. `published` runs the package itself, where the registry has it.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "node"
PUBLISHED = "@0xsequence/identity-instrument@3.0.10"
LIBRARIES = ("described", "published")
_INSTALL_S = 180
_JOURNEY_S = 100


def npm(folder: Path, *arguments: str) -> str:
    """Run npm in `folder`; what it complained about, or nothing."""
    command = ["npm", *arguments, "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    if arguments[0] == "ci":
        command.pop()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_S, stdin=subprocess.DEVNULL
    )
    return done.stderr if done.returncode else ""


def install(parent: Path, library: str) -> Path:
    """A folder below `parent` with the programs and everything that the lock names. Skips where it cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js or npm is not installed")
    folder = parent / "programs"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("node_modules"))
    if complaint := npm(folder, "ci"):
        pytest.skip(f"the package registry does not serve what the lock names: {complaint[:200]}")
    if library == "published" and (complaint := npm(folder, "install", "--no-save", PUBLISHED)):
        pytest.skip(f"the package registry does not serve {PUBLISHED}: {complaint[:200]}")
    return folder


Fetch = Callable[[dict[str, Any]], Awaitable[str]]


async def journey(folder: Path, program: str, facts: dict[str, Any], fetch: Fetch) -> dict[str, Any]:
    """Run a program under Node; `fetch` gets what it asks for. What it tells in the end."""
    process = await asyncio.create_subprocess_exec(
        "node", program, json.dumps(facts), cwd=folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    outcome: dict[str, Any] = {}
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(_JOURNEY_S):
        async for line in process.stdout:
            said = json.loads(line)
            if "ask" in said:
                process.stdin.write(json.dumps(await fetch(said)).encode() + b"\n")
            else:
                outcome = said
        complaint = (await process.stderr.read()).decode()
        assert await process.wait() == 0, complaint
    return outcome
