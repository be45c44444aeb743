"""Programs under Node that speak to the wire as published clients do, and what they need installed.

`described` runs the calls of the client as its description has them, over the libraries that it stands on, with the
published verifier checking every answer. `published` runs the package itself, where the registry has it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.npm import installed_programs, npm

FOLDER = Path(__file__).parent / "node"
PUBLISHED = "@0xsequence/identity-instrument@3.0.10"
LIBRARIES = ("described", "published")
_JOURNEY_S = 100


def install(parent: Path, library: str) -> Path:
    """A folder below `parent` with the programs and everything that the lock names. Skips where it cannot be had."""
    folder = installed_programs(FOLDER, parent)
    if library == "published" and (complaint := npm(folder, "install", "--no-save", "--no-package-lock", PUBLISHED)):
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
