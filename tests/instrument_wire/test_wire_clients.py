"""Published JavaScript against the wire, under Node: the client where the registry has it, and its libraries.

`described` runs the calls of the client as its description has them, over the libraries that it stands on, with the
published verifier checking every answer. `published` runs the package itself.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.appliance import AUDIENCE, ISSUER, PCRS, SCOPE
from tests.enclave_login.code_flow import REDIRECT, TEAM, WEB, code_world
from tests.instrument_wire.wire import Wire, over_http

FOLDER = Path(__file__).parent / "node"
PUBLISHED = "@0xsequence/identity-instrument@3.0.10"
_INSTALL_S = 180
_JOURNEY_S = 60


def npm(folder: Path, *arguments: str) -> str:
    """Run npm in `folder`; what it complained about, or nothing."""
    command = ["npm", *arguments, "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    if arguments[0] == "ci":
        command.pop()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_S, stdin=subprocess.DEVNULL
    )
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the journey and everything that the lock names."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js or npm is not installed")
    folder = tmp_path_factory.mktemp("node") / "journey"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("node_modules"))
    if complaint := npm(folder, "ci"):
        pytest.skip(f"the package registry does not serve what the lock names: {complaint[:200]}")
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


@pytest.fixture(params=["described", "published"])
def library(installed: Path, request: pytest.FixtureRequest) -> str:
    """Which client the program uses."""
    name: str = request.param
    if name == "published" and (complaint := npm(installed, "install", "--no-save", PUBLISHED)):
        pytest.skip(f"the package registry does not serve {PUBLISHED}: {complaint[:200]}")
    return name


async def test_client_logs_in_signs_and_understands_refusals(wire: Wire, installed: Path, library: str) -> None:
    async def fetch(asked: dict[str, Any]) -> str:
        if asked["ask"] == "code":
            return wire.world.mailer.last_code()
        return wire.provider.issue_token("subject", AUDIENCE)

    facts = {"library": library, "url": wire.url, "scope": SCOPE, "issuer": ISSUER, "audience": AUDIENCE}
    facts |= {"pcr0": PCRS[0].hex(), "email": "Ada.Lovelace@Example.com"}
    outcome = await journey(installed, "journey.mjs", facts, fetch)
    first, second, by_token = outcome["signers"]
    assert first == second != by_token
    assert outcome["codes"] == [7003, 7003, 7003, 7005, 7200, 7202]
    assert outcome["attested"] == 16


async def test_client_logs_in_by_authorization_code(pki_folder: Path, installed: Path, library: str) -> None:
    async with code_world(pki_folder) as coded, over_http(coded.world) as http:

        async def fetch(asked: dict[str, Any]) -> str:
            return await coded.code(asked["client"], asked.get("challenge", ""))

        facts = {"library": library, "url": str(http.base_url), "scope": SCOPE, "issuer": ISSUER}
        facts |= {"web": WEB, "team": TEAM, "redirect": REDIRECT}
        outcome = await journey(installed, "codes.mjs", facts, fetch)
    google, again, elsewhere, apple, apple_again = outcome["signers"]
    assert google == again == elsewhere
    assert apple == apple_again
    assert outcome["hints"] == ["", "alice", ""], "shown to the key that proved it"
