"""The published client, unmodified: what it is told while reviewers decide, and the signature after that."""

from pathlib import Path
from typing import Any

from evm.address import checksum
from tests.enclave_guard.guard_rules import APP_KEY, PAYROLL, STRANGER, USD
from tests.evm_effects.made import WALLET, calldata
from tests.guard_review.review_world import LARGE, ReviewWorld, held_id
from tests.guard_review.serving import free_port, pcrs, serving
from tests.guard_wire.guard_node import installed, journey
from tests.guard_wire.guard_world import CHAIN, OWNER

installed_client = installed
"""The fixture, under another name, so that no import looks unused."""


def facts(url: str, guard: str) -> dict[str, Any]:
    """What the client's journey is told; `larger` is the step that the rules hold."""
    return {
        "url": url,
        "guard": guard,
        "wallet": checksum(WALLET),
        "chainId": CHAIN,
        "key": "0x" + bytes(OWNER.key).hex(),
        "otherKey": "0x" + "12" * 32,
        "owner": OWNER.address,
        "token": checksum(USD),
        "payment": "0x" + calldata("transfer(address,uint256)", PAYROLL, 5).hex(),
        "largePayment": "0x" + calldata("transfer(address,uint256)", PAYROLL, LARGE).hex(),
        "message": "0x00",
        "stranger": checksum(STRANGER),
        "sessionKey": checksum(APP_KEY),
    }


async def test_published_client_waits_for_reviewers_and_gets_its_signature(
    installed_client: Path, guard: ReviewWorld
) -> None:
    address = checksum(await guard.address())
    async with serving(guard, free_port(), roots=(), images=pcrs()) as url:
        held = (await journey(installed_client, "journey.mjs", **facts(url, address)))["larger"]
        again = (await journey(installed_client, "journey.mjs", **facts(url, address)))["larger"]
        assert held["code"] == 1001
        assert again["cause"] == held["cause"]
        await guard.approve(held_id(held["cause"]))
        signed = (await journey(installed_client, "journey.mjs", **facts(url, address)))["larger"]
    assert signed == {"address": address, "recovered": address.lower(), "type": "hash"}
