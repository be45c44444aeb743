"""The published client, unmodified from the package registry, enrols a second factor and signs with it."""

from pathlib import Path

import pytest

from evm.address import checksum
from tests.enclave_guard.guard_rules import PAYROLL, USD
from tests.evm_effects.made import calldata
from tests.guard_factors.factor_world import AUDIENCE, running
from tests.guard_wire.guard_node import journey
from tests.guard_wire.guard_world import CHAIN
from tests.instrument_wire.wire import over_http


async def test_the_published_client_enrols_is_asked_and_signs_with_a_second_factor(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with running(tmp_path_factory.mktemp("pki")) as world, over_http(world) as http:
        outcome = await journey(
            installed,
            "factors.mjs",
            url=str(http.base_url).rstrip("/"),
            guard=checksum(await world.address()),
            chainId=CHAIN,
            key="0x" + "13" * 32,
            token=world.provider.issue_token("ada", AUDIENCE),
            token20=checksum(USD),
            payment="0x" + calldata("transfer(address,uint256)", PAYROLL, 5).hex(),
        )
    signed, asked = {"result": 2}, {"name": "AuthRequiredError", "id": "TOTP"}
    assert outcome.pop("registered") == 200
    assert outcome.pop("wallet").startswith("0x")
    assert len({code["code"] for code in outcome.pop("codes")}) == 10
    assert outcome == {
        "before": {"methods": [], "active": False},
        "unasked": signed,
        "enrolled": {"methods": ["TOTP"], "active": True},
        "asked": asked,
        "wrong": asked,
        "shown": signed,
        "replayed": asked,
        "recovered": signed,
        "stranger": {"name": "Unauthorized", "code": 1000, "cause": "guard:token"},
        "resetUnasked": asked,
        "reset": {"result": {}},
        "after": {"methods": [], "active": False},
        "unaskedAgain": signed,
    }
