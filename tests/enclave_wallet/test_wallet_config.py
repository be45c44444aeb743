"""The wallet template in the measured configuration: what it may say, and what refuses the boot."""

from typing import Any

import msgspec
import pytest

from enclave.config import parse_config
from enclave.errors import BootError
from protocol import limits
from tests.appliance import config_json

from .wallet_support import DAY, template, wallet_scopes

ADDRESS = "0x" + "11" * 20


def parsed(**changes: Any) -> Any:
    scopes = wallet_scopes(**changes)
    return parse_config(msgspec.json.encode(config_json(scopes=scopes))).scopes[0].wallet


def test_template_is_read_and_rc5_is_where_wallets_are_by_default() -> None:
    found = parsed()
    assert found.context == "Rc5"
    assert [entry.key for entry in found.recovery] == ["device", "identity"]
    assert parsed(guard=None).guard is None


@pytest.mark.parametrize("context", ["Rc5", "Rc5_4337", "Rc4", "Rc4_4337"])
def test_contexts_that_are_served(context: str) -> None:
    assert parsed(context=context).context == context


@pytest.mark.parametrize(
    "changes",
    [
        {"context": "Rc3"},  # its session hashes hold for other wallets, too
        {"context": "Dev1"},
        {"recovery": []},
        {"recovery": [{"key": "device", "delay_s": limits.MIN_RECOVERY_DELAY_S - 1}]},
        {"recovery": [{"key": "device", "delay_s": 2**24}]},
        {"recovery": [{"key": "somebody", "delay_s": DAY}]},
        {"recovery": [{"key": "0x" + "00" * 20, "delay_s": DAY}]},
        {"recovery": [{"key": "device", "delay_s": DAY}, {"key": "device", "delay_s": 2 * DAY}]},
        {"recovery": [{"key": ADDRESS, "delay_s": DAY}, {"key": ADDRESS.upper().replace("X", "x"), "delay_s": DAY}]},
        {"recovery": [{"key": f"0x{number:040x}", "delay_s": DAY} for number in range(1, 18)]},
        {"guard": template()["guard"] | {"wallet": "0x12"}},
        {"guard": template()["guard"] | {"fallback": "0x" + "00" * 20}},
        {"guard": {"wallet": ADDRESS, "sessions": ADDRESS}},
        {"weight": 2},
    ],
)
def test_template_that_breaks_a_rule_refuses_the_boot(changes: dict[str, Any]) -> None:
    with pytest.raises(BootError) as caught:
        parsed(**changes)
    assert caught.value.code in ("config-malformed", "config-wallet")


def test_unknown_right_refuses_the_boot() -> None:
    scopes = wallet_scopes()
    scopes[0]["rights"].append("sign_everything")
    with pytest.raises(BootError, match="config-malformed"):
        parse_config(msgspec.json.encode(config_json(scopes=scopes)))
