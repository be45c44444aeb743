"""The published embedded-wallet client, unmodified under Node, against the appliance over HTTP."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from evm.typed_data import parse_typed_data
from evm.wallet.erc1271 import personal_preimage, typed_data_preimage
from tests.appliance import AUDIENCE
from tests.instrument_wire.wire import Wire, running
from tests.npm import installed_programs
from tests.waas.embedded import ACCESS_KEY, CHAIN, scopes, verify_message
from tests.waas.test_id_tokens import ISSUER

FOLDER = Path(__file__).parent / "node"
_LIFE_S = 60
TYPED_DATA: dict[str, Any] = {
    "domain": {"name": "Post", "version": "1", "chainId": CHAIN},
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
        ],
        "Mail": [{"name": "text", "type": "string"}],
    },
    "primaryType": "Mail",
    "message": {"text": "hello"},
}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_programs(FOLDER, tmp_path_factory.mktemp("node"))


async def live(folder: Path, wire: Wire, curve: str, script: str = "life.mjs") -> dict[str, Any]:
    """What came of the client's life; what a person would fetch is fetched for it."""
    facts = json.dumps({"url": wire.url, "accessKey": ACCESS_KEY, "curve": curve})
    process = await asyncio.create_subprocess_exec(
        "node", script, facts, cwd=folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    said: dict[str, Any] = {}
    async with asyncio.timeout(_LIFE_S):
        async for line in process.stdout:
            said = json.loads(line)
            if "ask" in said:
                code = said["ask"] == "code"
                fetched = wire.world.mailer.last_code() if code else wire.provider.issue_token("subject", AUDIENCE)
                process.stdin.write(json.dumps(fetched).encode() + b"\n")
        complaint = (await process.stderr.read()).decode()
        assert await process.wait() == 0, complaint
    return said


@pytest.mark.parametrize("curve", ["k1", "r1"])
async def test_published_client_lives_a_whole_life(installed: Path, pki_folder: Path, curve: str) -> None:
    async with running(pki_folder, scopes=scopes()) as wire:
        outcome = await live(installed, wire, curve)
    wallet = outcome["guest"]["wallet"]
    preimage = personal_preimage(b"hello")
    verify_message(wallet, CHAIN, preimage, outcome["message"]["data"]["signature"])
    document = typed_data_preimage(parse_typed_data(TYPED_DATA))
    verify_message(wallet, CHAIN, document, outcome["typed"]["data"]["signature"])
    assert (outcome["proof"]["data"]["wallet"], outcome["valid"]) == (wallet, True)
    [session] = outcome["sessions"]
    assert session["id"].lower() == outcome["guest"]["sessionId"].lower()
    assert outcome["accounts"]["accounts"][0]["type"] == "Guest"
    assert outcome["networks"] == [{"id": CHAIN, "name": "polygon", "isEnabled": True}]
    assert (outcome["mail"]["email"], outcome["tries"]) == ("ada@example.com", ["AnswerIncorrect"])
    assert len({outcome[way]["wallet"] for way in ("guest", "mail", "token")}) == 3
    assert outcome["signedIn"] is False


async def test_published_client_verifies_signed_answers_and_manages_accounts(installed: Path, pki_folder: Path) -> None:
    async with running(pki_folder, scopes=scopes(), issuer=ISSUER) as wire:
        outcome = await live(installed, wire, "r1", "accounts.mjs")
    assert outcome["idToken"]["expiresIn"] == 600
    assert outcome["idToken"]["idToken"].count(".") == 2
    assert outcome["proof"]["data"]["wallet"] == outcome["signedIn"]["wallet"]
    assert outcome["valid"] is True
    assert outcome["linked"]["account"]["type"] == "OIDC"
    assert (outcome["both"], outcome["one"]) == (["Email", "OIDC"], ["Email"])
    assert outcome["networks"] == 1
    assert outcome["refused"] == "Signature verification failed, consequent requests will fail"
    assert outcome["afterwards"] == "Signature verification failed"
