"""Published JavaScript against the wire, under Node: the client where the registry has it, and its libraries."""

from pathlib import Path
from typing import Any

import pytest

from tests.appliance import AUDIENCE, ISSUER, PCRS, SCOPE
from tests.enclave_login.code_flow import REDIRECT, TEAM, WEB, code_world
from tests.instrument_wire.node_programs import LIBRARIES, install, journey
from tests.instrument_wire.wire import Wire, over_http


@pytest.fixture(scope="module", params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    """Which client the programs use."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, library: str) -> Path:
    return install(tmp_path_factory.mktemp("node"), library)


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
