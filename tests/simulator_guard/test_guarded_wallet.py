"""A smart wallet under two keys, from the command line: complete in one command, refused in words, held, changed."""

import re
from pathlib import Path
from typing import Any

import pytest

from evm.address import parse_address
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.erc1271 import personal_preimage
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload_json import parse_payload
from evm.wallet.signature.contracts import NoContracts
from evm.wallet.signature.verifying import verify_signature
from simulator import guard_settings
from tests.e2e.e2e_support import Site
from tests.simulator_guard.terminal import Terminal, payment

CHAIN = guard_settings.CHAIN
COIN = 10**18
PREIMAGE = "0x" + personal_preimage(b"hello").hex()
STRANGER = "0x7777777777777777777777777777777777777777"
APPROVE_EVERYTHING = "0x095ea7b3" + STRANGER[2:].rjust(64, "0") + "f" * 64


def verify(terminal: Terminal, payload: dict[str, Any], signature: str) -> None:
    found = terminal.json("wallet", "configuration")
    configuration = parse_configuration(found["configuration"])
    parsed: Any = parse_payload(payload)
    operation = Operation(parsed, parse_address(found["address"]), CHAIN)
    verify_signature(bytes.fromhex(signature[2:]), operation, configuration.image_hash, NoContracts())


def test_guard_makes_the_signature_complete_in_one_command(terminal: Terminal) -> None:
    payload = payment(COIN // 10)
    path = terminal.file("pay.json", payload)
    alone = terminal.json("wallet", "sign", path, "--chain", CHAIN)
    assert (alone["complete"], alone["weight"], alone["threshold"]) == (False, 1, 2)
    with pytest.raises(WalletError, match="wallet-signature-weight"):
        verify(terminal, payload, alone["partial"])
    whole = terminal.json("wallet", "sign", path, "--chain", CHAIN, "--guard", terminal.guard)
    assert whole["complete"] is True
    verify(terminal, payload, whole["partial"])


@pytest.mark.parametrize("message", [{"text": "hello"}, {"type": "message", "message": PREIMAGE}])
def test_guard_signs_texts_too(terminal: Terminal, message: dict[str, str]) -> None:
    path = terminal.file("text.json", message)
    assert terminal.json("wallet", "sign", path, "--chain", CHAIN, "--guard", terminal.guard)["complete"] is True


def test_refusal_names_the_rule_and_says_what_the_request_does(terminal: Terminal) -> None:
    path = terminal.file("approve.json", payment(0, guard_settings.TOKEN, APPROVE_EVERYTHING))
    said = terminal.run("wallet", "sign", path, "--chain", CHAIN, "--guard", terminal.guard, code=1).stderr
    assert "DENY by no-approvals: We pay, nobody collects" in said
    assert "The guard refuses this, by no-approvals. (guard:deny:no-approvals)" in said
    assert STRANGER in said


@pytest.mark.parametrize(
    ("payload", "code", "said"),
    [
        (payment(COIN // 10), 0, "ALLOW by pay"),
        (payment(2 * COIN), 6, "REVIEW by budget:coins-day"),
        (payment(1, STRANGER), 1, "DENY by no-rule"),
    ],
)
def test_dry_run_gives_the_answer_and_its_reasons_and_draws_nothing(
    terminal: Terminal, payload: dict[str, Any], code: int, said: str
) -> None:
    asked = ("wallet", "sign", terminal.file("pay.json", payload), "--chain", CHAIN)
    first, again = (terminal.run(*asked, "--guard", terminal.guard, "--dry-run", code=code).stdout for _ in range(2))
    assert first.startswith(said)
    assert again == first
    assert "name it with --guard" in terminal.run(*asked, "--dry-run", code=2).stderr


def test_what_is_no_guard_is_told_apart(terminal: Terminal) -> None:
    said = terminal.run("guard", "rules", "--url", terminal.site.url, code=1).stderr
    assert said == "What answers there is no guard.\n"


def test_what_is_held_is_signed_once_two_reviewers_have_approved(terminal: Terminal) -> None:
    path = terminal.file("bonus.json", payment(2 * COIN, nonce=7))
    asked = ("wallet", "sign", path, "--chain", CHAIN, "--guard", terminal.guard)
    said = terminal.run(*asked, code=6).stderr
    [id_] = [line.split()[0] for line in terminal.run("reviews", "list").stdout.splitlines() if " held " in line]
    assert f"It waits for reviewers as {id_}." in said
    assert "Send 2 coins" in terminal.run("reviews", "show", id_).stdout
    assert terminal.run("reviews", "approve", id_, "--as", "rita").stdout == "held\n"
    terminal.run(*asked, code=6)
    assert terminal.run("reviews", "approve", id_, "--as", "ravi").stdout == "approved\n"
    assert "complete" in terminal.run(*asked).stdout
    terminal.run(*asked, code=6)


def test_change_of_the_wallet_is_reviewed_signed_taken_up_and_known(terminal: Terminal) -> None:
    change = terminal.file("change.json", {"type": "add-device", "address": STRANGER})
    said = terminal.run("wallet", "update", change, "--guard", terminal.guard, stdin="y\n", code=6).stderr
    [image_hash] = re.findall("wallet confirm (0x[0-9a-f]{64})", said)
    finish = ("wallet", "confirm", image_hash, "--guard", terminal.guard)
    terminal.run(*finish, code=6)
    id_ = terminal.json("reviews", "list")["reviews"][0]["id"]
    for name in ("rosa", "ravi"):
        terminal.run("reviews", "approve", id_, "--as", name)
    assert STRANGER in terminal.run(*finish).stdout
    assert STRANGER in terminal.run("wallet", "register", "--guard", terminal.guard).stdout
    assert "no update to" in terminal.run(*finish, code=2).stderr
    assert "give the complete signature, or --guard" in terminal.run("wallet", "confirm", image_hash, code=2).stderr
    for wrong in ("0x12", "../../etc/passwd"):
        assert "64 hexadecimal digits" in terminal.run("wallet", "confirm", wrong, *finish[3:], code=2).stderr
    path = terminal.file("later.json", payment(1, nonce=60))
    assert "complete" in terminal.run("wallet", "sign", path, "--chain", CHAIN, "--guard", terminal.guard).stdout


def test_wallet_that_was_not_shown_is_told_how_to_be(guarded: Site, tmp_path: Path) -> None:
    other = Terminal(guarded, tmp_path)
    other.log_in("stranger")
    other.run("wallet", "create")
    path = other.file("pay.json", payment(1))
    said = other.run("wallet", "sign", path, "--chain", CHAIN, "--guard", other.guard, code=1).stderr
    assert "The guard does not know this wallet. Show it with `wallet register`." in said
    other.run("wallet", "register", "--guard", other.guard)
    other.run("wallet", "sign", path, "--chain", CHAIN, "--guard", other.guard)
