"""A smart wallet from the command line: made, shown, signed for, changed in two steps, every answer attested."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload_json import parse_payload
from evm.wallet.signature.contracts import NoContracts
from evm.wallet.signature.verifying import verify_signature
from host_proxy.cli import USER_COMMANDS, build_app
from simulator import settings
from simulator.browser import sign_in
from tests.e2e.e2e_support import Site

TOKEN = Address(b"\x70" * 20)
PAYLOAD = {
    "type": "call",
    "space": "0",
    "nonce": "0",
    "calls": [
        {
            "to": checksum(TOKEN),
            "value": "1",
            "data": "0x",
            "gasLimit": "0",
            "delegateCall": False,
            "onlyFallback": False,
            "behaviorOnError": "revert",
        }
    ],
}


class Terminal:
    """The program under the simulator's root, and one home folder."""

    def __init__(self, site: Site, home: Path) -> None:
        self._app = build_app((site.stand_ins.root,), USER_COMMANDS)
        self.home = home
        self.site = site

    def run(self, *arguments: object, stdin: str | None = None, code: int = 0) -> Result:
        done = CliRunner().invoke(self._app, [*map(str, arguments), "--home", str(self.home)], input=stdin)
        assert done.exit_code == code, done.stderr + str(done.exception)
        return done

    def json(self, *arguments: object) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def file(self, name: str, value: Any) -> Path:
        path = self.home / name
        path.write_text(json.dumps(value))
        return path


@pytest.fixture(scope="module")
def terminal(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Logged in with an ID token, with a wallet."""
    made = Terminal(site, tmp_path_factory.mktemp("home"))
    token = made.home / "token.txt"
    token.write_text(sign_in(site.stand_ins.login_page_url, "wallet-owner"))
    made.run("login", "--id-token", token, "--url", site.url)
    made.run("wallet", "create")
    return made


def test_wallet_is_made_once_and_shown(terminal: Terminal) -> None:
    assert terminal.json("wallet", "create")["created"] is False
    address = terminal.json("wallet", "address")["address"]
    assert terminal.run("wallet", "address").stdout.strip() == address
    shown = terminal.run("wallet", "configuration").stdout
    assert "Who can sign" in shown
    saved = terminal.file("wallet.json", terminal.json("wallet", "configuration"))
    assert CliRunner().invoke(build_app(()), ["wallet", "show", str(saved)]).stdout == shown


def test_payload_is_signed_and_the_wallet_takes_it(terminal: Terminal) -> None:
    found = terminal.json("wallet", "configuration")
    result = terminal.json("wallet", "sign", terminal.file("payload.json", PAYLOAD), "--chain", "10")
    payload: Any = parse_payload(PAYLOAD)
    operation = Operation(payload, parse_address(found["address"]), 10)
    configuration = parse_configuration(found["configuration"])
    verify_signature(bytes.fromhex(result["partial"][2:]), operation, configuration.image_hash, NoContracts())
    words = terminal.run("wallet", "sign", terminal.home / "payload.json", "--chain", "10").stdout
    assert f"1. Transfer 0.000000000000000001 coins (1 wei) to {checksum(TOKEN)}" in words


def test_change_is_described_asked_for_signed_and_confirmed(terminal: Terminal) -> None:
    before = terminal.file("before.json", terminal.json("wallet", "configuration"))
    change = terminal.file("change.json", {"type": "add-device", "address": checksum(TOKEN)})
    refused = terminal.run("wallet", "update", change, stdin="n\n", code=1)
    assert f"Added: weight 1: {checksum(TOKEN)}" in refused.stdout
    assert "nothing was signed" in refused.stderr
    described = terminal.json("wallet", "update", change)
    assert described["signed"] is False
    signed = terminal.json("wallet", "update", change, "--approve", described["imageHash"])
    terminal.run("wallet", "confirm", described["imageHash"], signed["update"]["partial"])
    after = terminal.file("after.json", terminal.json("wallet", "configuration"))
    changes = CliRunner().invoke(build_app(()), ["wallet", "diff", str(before), str(after)]).stdout
    assert f"Added: weight 1: {checksum(TOKEN)}" in changes


def test_session_is_shown_with_its_worst_case_before_it_is_signed(terminal: Terminal) -> None:
    session = {
        "signer": checksum(Address(b"\x71" * 20)),
        "chainId": "1",
        "valueLimit": "5",
        "deadline": "4000000000",
        "permissions": [{"target": checksum(TOKEN), "rules": []}],
    }
    path = terminal.file("session.json", session)
    shown = terminal.run("wallet", "approve-session", path, stdin="y\n").stdout
    assert f"of {checksum(TOKEN)}: WITHOUT A LIMIT" in shown
    assert "signed the update to 0x" in shown
    send = {"token": checksum(TOKEN), "to": checksum(Address(b"\x51" * 20)), "perTransaction": "5", "total": "9"}
    caps = {"signer": checksum(Address(b"\x75" * 20)), "chainId": "10", "until": "4000000000", "sends": [send]}
    shown = terminal.run("wallet", "approve-session", terminal.file("caps.json", caps), stdin="y\n").stdout
    assert f"of {checksum(TOKEN)}: 9\n" in shown
    described = terminal.json("wallet", "revoke-session", checksum(Address(b"\x72" * 20)))
    assert described["signed"] is False


def test_attestation_names_the_provider_and_application_of_the_login(terminal: Terminal) -> None:
    found = terminal.json("wallet", "attest", checksum(Address(b"\x73" * 20)))["attestation"]
    assert found["issuerHash"] == "0x" + keccak256(settings.ISSUER.encode()).hex()
    assert found["audienceHash"] == "0x" + keccak256(settings.CLIENT_ID.encode()).hex()
    assert found["authData"]["redirectUrl"] == settings.ORIGIN
    words = terminal.run("wallet", "attest", checksum(Address(b"\x74" * 20))).stdout
    assert "It was attested after a login on" in words


def test_recovery_is_queued_and_made_void(terminal: Terminal) -> None:
    queued = terminal.run("wallet", "queue-recovery", terminal.file("payload.json", PAYLOAD), "--chain", "10").stdout
    assert "Queued now, anyone may have it done from" in queued
    assert "queue      0x000000000000AB36D17eB1150116371520565205 0xb05f87db" in queued
    void = terminal.json("wallet", "cancel-recovery", "--chain", "10", "--nonce", "0")
    assert void["complete"] is True
    assert void["understood"]["calls"] == []
