"""The published client, unmodified from the package registry, against the guard's wire over HTTP."""

from pathlib import Path

import pytest

from evm.address import checksum
from tests.enclave_guard.guard_rules import APP_KEY, PAYROLL, STRANGER, USD
from tests.evm_effects.made import WALLET, calldata
from tests.guard_wire.guard_node import journey, serving
from tests.guard_wire.guard_world import CHAIN, OWNER

_MESSAGE = b"\x19Ethereum Signed Message:\n8I agree."


async def test_the_published_client_gets_signatures_and_understands_refusals(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with serving(tmp_path_factory.mktemp("pki")) as (world, url):
        address = checksum(await world.address())
        outcome = await journey(
            installed,
            "journey.mjs",
            url=url,
            guard=address,
            wallet=checksum(WALLET),
            chainId=CHAIN,
            key="0x" + bytes(OWNER.key).hex(),
            otherKey="0x" + "12" * 32,
            owner=OWNER.address,
            token=checksum(USD),
            payment="0x" + calldata("transfer(address,uint256)", PAYROLL, 5).hex(),
            largePayment="0x" + calldata("transfer(address,uint256)", PAYROLL, 2_000 * 10**6).hex(),
            message="0x" + _MESSAGE.hex(),
            stranger=checksum(STRANGER),
            sessionKey=checksum(APP_KEY),
        )
    for name in ("allowed", "message"):
        assert outcome[name] == {"address": address, "recovered": address.lower(), "type": "hash"}, name
    codes = {
        name: (found.get("code"), found.get("cause")) for name, found in outcome.items() if "recovered" not in found
    }
    assert codes == {
        "parented": (2004, "guard:signature"),  # the owner signed the parented digest, the guard is asked for the other
        "refused": (1001, "guard:deny:no-rule"),
        "larger": (1001, "guard:second-factor:budget:usd-day"),
        "update": (1001, "guard:deny:no-control-change"),
        "session": (1001, "guard:deny:no-rule"),
        "forged": (2004, "guard:signature"),
        "digest": (None, None),
    }
    assert "not supported" in outcome["digest"]["message"]  # the client itself refuses
