"""Published JavaScript against the wire, under Node: the client where the registry has it, and its libraries.

`described` runs the calls of the client as its description has them, over the libraries that it stands on, with the
published verifier checking every answer. `published` runs the package itself.
"""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.appliance import AUDIENCE, ISSUER, PCRS, SCOPE
from tests.instrument_wire.wire import Wire

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


class Journey:
    """The program under Node, and the mailbox and identity provider that it asks for what a person would fetch."""

    def __init__(self, folder: Path, wire: Wire) -> None:
        self._folder = folder
        self._wire = wire

    async def run(self, **facts: Any) -> dict[str, Any]:
        given = {"url": self._wire.url, "scope": SCOPE, "issuer": ISSUER, "audience": AUDIENCE, "pcr0": PCRS[0].hex()}
        process = await asyncio.create_subprocess_exec(
            "node", "journey.mjs", json.dumps(given | facts), cwd=self._folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        outcome: dict[str, Any] = {}
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(_JOURNEY_S):
            async for line in process.stdout:
                said = json.loads(line)
                if "ask" not in said:
                    outcome = said
                    continue
                process.stdin.write(json.dumps(self._fetch(said["ask"])).encode() + b"\n")
            complaint = (await process.stderr.read()).decode()
            assert await process.wait() == 0, complaint
        return outcome

    def _fetch(self, what: str) -> str:
        if what == "code":
            return self._wire.world.mailer.last_code()
        return self._wire.provider.issue_token("subject", AUDIENCE)


@pytest.mark.parametrize("library", ["described", "published"])
async def test_client_logs_in_signs_and_understands_refusals(wire: Wire, installed: Path, library: str) -> None:
    if library == "published" and (complaint := npm(installed, "install", "--no-save", PUBLISHED)):
        pytest.skip(f"the package registry does not serve {PUBLISHED}: {complaint[:200]}")
    outcome = await Journey(installed, wire).run(library=library, email="Ada.Lovelace@Example.com")
    first, second, by_token = outcome["signers"]
    assert first == second != by_token
    assert outcome["codes"] == [7003, 7003, 7003, 7005, 7200, 7202]
    assert outcome["attested"] == 16
