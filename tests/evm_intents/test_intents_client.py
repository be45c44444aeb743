"""The published embedded-wallet client, unmodified under Node: every intent that it signs is read and verified."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evm.address import checksum
from evm.intents.bundle import bundle_of
from evm.intents.envelope import VerifiedIntent, parse_intent, verify_intent
from evm.intents.names import validate_session, validate_wallet
from evm.intents.session_key import Curve
from evm.intents.signable import parse_personal_message, signable
from evm.intents.user_wallet import WalletV3
from evm.intents.wallet_data import SendTransaction, SignMessage
from protocol import canonical_json
from tests.npm import installed_programs

from .samples import FRIEND, WALLET, p256

FOLDER = Path(__file__).parent / "node"
_RUN_S = 60
NAMES = [
    "closeSession", "initiateAuth", "openSession", "signMessage", "signTypedData",
    *["sendTransaction"] * 7, "feeOptions", "sessionAuthProof",
    "listSessions", "listAccounts", "getIdToken", "getSession", "closeSession",
]  # fmt: skip


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_programs(FOLDER, tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="session", params=["k1", "r1"])
def intents(installed: Path, request: pytest.FixtureRequest) -> list[VerifiedIntent]:
    """What the client sent in one life, verified at the time that it wrote into each."""
    command = ["node", "intents.mjs", request.param, checksum(WALLET)]
    done = subprocess.run(command, cwd=installed, capture_output=True, text=True, check=False, timeout=_RUN_S)
    assert done.returncode == 0, done.stderr
    found = []
    for sent in json.loads(done.stdout):
        intent = parse_intent(canonical_json.parse(sent["body"].encode())["intent"])
        found.append(verify_intent(intent, intent.issued_at_s, p256))
    curve = Curve.P256 if request.param == "r1" else Curve.SECP256K1
    assert all(intent.session.curve is curve for intent in found)
    return found


def test_every_intent_of_a_life_is_verified(intents: list[VerifiedIntent]) -> None:
    assert [intent.name for intent in intents] == NAMES
    for intent in intents:
        validate_session(intent.data, intent.session)
        validate_wallet(intent.data, WALLET)


def test_what_is_signed_is_what_the_caller_asked_for(intents: list[VerifiedIntent]) -> None:
    data: list[Any] = [intent.data for intent in intents]
    [message] = [each for each in data if isinstance(each, SignMessage)]
    assert parse_personal_message(message.message).text == "Grüße \u0001 \U0001f600"
    sent = [bundle_of(each) for each in data if isinstance(each, SendTransaction)]
    selectors = [[call.data[:4].hex() for call in bundle.calls] for bundle in sent]
    assert selectors == [
        ["", "3251ba32"], ["", "a9059cbb"], ["a9059cbb"], ["b88d4fde"], ["23b872dd"], ["2eb2c2d6"], [selectors[6][0]],
    ]  # fmt: skip
    assert sent[0].calls[0].value == 5
    assert "0x" + sent[0].calls[0].to.hex() == FRIEND
    assert bytes.fromhex("a9059cbb") in sent[6].calls[0].data[4:]


def test_each_signing_intent_has_a_digest_and_words(intents: list[VerifiedIntent]) -> None:
    wallet = WalletV3(WALLET)
    names = ("signMessage", "signTypedData", "sendTransaction", "sessionAuthProof")
    signing: list[Any] = [intent for intent in intents if intent.name in names]
    found = [signable(each.data, wallet, each.session.text, 0) for each in signing]
    assert len({each.digest for each in found}) == len(found) == 10
    assert all(each.understood["words"] for each in found)
