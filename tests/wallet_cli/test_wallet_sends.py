"""Transfers of a session's key, planned on the command line: within its caps, or refused with the contract's reason."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from evm.address import Address, checksum, parse_address
from evm.wallet.operation_hash import Operation
from evm.wallet.payload_json import parse_payload
from evm.wallet.sessions.call_hash import call_hash
from evm.wallet.sessions.capped import parse_capped
from evm.wallet.sessions.session_json import permissions_to_json
from host_proxy.cli import build_app

TOKEN, SHOP, KEY, WALLET = (checksum(Address(bytes([number]) * 20)) for number in (0x70, 0x51, 0x75, 0x99))
CAPS = {"token": TOKEN, "to": SHOP, "perTransaction": "50", "total": "120"}
SESSION = parse_capped({"signer": KEY, "chainId": 137, "until": int(time.time()) + 86_400, "sends": [CAPS]})
USAGE = "0x" + SESSION.permissions[0].usage_hash(SESSION.signer, 3).hex()


def sends(*amounts: int, to: str = SHOP) -> dict[str, Any]:
    listed = [{"token": TOKEN, "to": to, "amount": str(amount)} for amount in amounts]
    return {"wallet": WALLET, "session": permissions_to_json(SESSION), "nonce": "3", "sends": listed}


def planned(folder: Path, value: Any, *options: str) -> Result:
    path = folder / "sends.json"
    path.write_text(json.dumps(value))
    return CliRunner().invoke(build_app(()), ["wallet", "plan-sends", str(path), *options])


def test_payload_begins_with_the_new_totals_and_each_call_has_its_hash(tmp_path: Path) -> None:
    done = planned(tmp_path, sends(50, 20) | {"usage": {USAGE: "10"}, "space": "5"}, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    payload: Any = parse_payload(found["payload"])
    assert (payload.space, payload.nonce, len(payload.calls)) == (5, 3, 3)
    assert payload.calls[0].data[-32:] == (80).to_bytes(32, "big")
    digest = Operation(payload, parse_address(WALLET), 137).digest
    assert found["sign"] == ["0x" + call_hash(digest, index).hex() for index in range(3)]
    assert "at most 110 base units in all" in planned(tmp_path, sends(1) | {"usage": {USAGE: "10"}}).stdout


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (sends(51), "InvalidPermission"),
        (sends(50, 50, 21), "InvalidPermission"),
        (sends(50) | {"usage": {USAGE: "71"}}, "InvalidPermission"),
        (sends(1, to=KEY), "MissingPermission"),
        (sends(1) | {"session": permissions_to_json(SESSION) | {"deadline": "1"}}, "SessionExpired"),
    ],
)
def test_what_the_contract_would_not_take_is_refused_before_it_is_signed(
    tmp_path: Path, value: dict[str, Any], reason: str
) -> None:
    done = planned(tmp_path, value)
    assert (done.exit_code, reason in done.stderr) == (1, True)
    assert not done.stdout


@pytest.mark.parametrize(
    "value",
    [[], {}, sends(1) | {"more": 1}, sends(1) | {"usage": []}, sends(1) | {"sends": {}}, sends(1) | {"space": 2**80}],
)
def test_file_that_is_no_plan_is_refused(tmp_path: Path, value: Any) -> None:
    assert planned(tmp_path, value).exit_code == 2
