"""The measured configuration of delegations: what it may say, and what refuses the boot."""

from typing import Any

import msgspec
import pytest

from enclave.config import parse_config
from enclave.delegations.policy import policy_of
from enclave.errors import BootError
from evm.address import checksum
from evm.delegations.deployment import METAMASK
from tests.appliance import config_json

from .delegation_support import CHAIN, EXECUTOR, USDC, chain_json, delegations_json, pinned, scopes


def parsed(**changes: Any) -> Any:
    found = parse_config(msgspec.json.encode(config_json(scopes=scopes(**changes))))
    return found.scopes[0].delegations


def test_policy_is_what_is_configured_for_the_chain() -> None:
    policy = policy_of(parsed(), CHAIN)
    assert policy.rules.deployment.manager == METAMASK.manager
    assert dict(policy.rules.deployment.enforcers) == dict(METAMASK.enforcers)
    assert policy.rules.max_exposure == {USDC: 10_000, None: 10**18}
    assert (policy.caps[USDC].account, policy.caps[USDC].scope) == (15_000, 40_000)


def test_another_manager_and_domain_is_configuration_alone() -> None:
    policy = policy_of(parsed(manager=pinned(EXECUTOR), manager_name="Manager", manager_version="7"), CHAIN)
    manager = policy.rules.deployment.manager
    assert (manager.address, manager.name, manager.version) == (EXECUTOR, "Manager", "7")


CAPS = {"asset": "native", "grant": "1", "account": "2", "scope": "3"}


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 0},
        {"chain_id": 2**53},
        {"manager": {"address": checksum(EXECUTOR)}},
        {"manager": pinned(EXECUTOR, "0x12")},
        {"enforcers": {}},
        {"enforcers": {"AllowEverythingEnforcer": pinned(EXECUTOR)}},
        {"enforcers": {"NonceEnforcer": pinned(EXECUTOR), "IdEnforcer": pinned(EXECUTOR)}},
        {"enforcers": {"NonceEnforcer": pinned(METAMASK.manager.address)}},
        {"delegates": []},
        {"delegates": ["0x" + "00" * 20]},
        {"delegates": [checksum(EXECUTOR), checksum(EXECUTOR).lower()]},
        {"recipients": []},
        {"caps": [CAPS, CAPS]},
        {"caps": [CAPS | {"grant": "3"}]},
        {"caps": [CAPS | {"account": "4"}]},
        {"caps": [CAPS | {"grant": "0"}]},
        {"caps": [CAPS | {"grant": 1}]},
        {"caps": [CAPS | {"asset": "coins"}]},
        {"account_code": ["0x" + "63" * 20]},
        {"unlimited": True},
    ],
    ids=str,
)
def test_what_breaks_a_rule_refuses_the_boot(changes: dict[str, Any]) -> None:
    with pytest.raises(BootError) as caught:
        parsed(**changes)
    assert caught.value.code in ("config-malformed", "config-delegations")


def test_chain_is_configured_once_and_life_is_bounded() -> None:
    first, second = scopes()
    for delegations in (
        delegations_json() | {"chains": [chain_json(), chain_json()]},
        delegations_json() | {"chains": []},
        delegations_json() | {"max_lifetime_s": 0},
        delegations_json() | {"max_lifetime_s": 10**9},
    ):
        with pytest.raises(BootError):
            parse_config(msgspec.json.encode(config_json(scopes=[first | {"delegations": delegations}, second])))
