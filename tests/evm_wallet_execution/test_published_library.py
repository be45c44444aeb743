"""The published wallet library, unmodified: what the enclave answers, its client code hashes and encodes alike."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evm.address import checksum, parse_address
from evm.wallet.payload_json import payload_to_json
from tests.appliance import World
from tests.enclave_wallet.wallet_support import (
    DAY,
    GUARD,
    STRANGER,
    TOKEN,
    SmartUser,
    address_of,
    call,
    calls,
    handed_over,
    permissions,
    transfer,
    wallet_scopes,
)

from .conftest import Published

PAYLOADS = [
    calls(call(data=transfer(TOKEN, 5)), call(value="7", behaviorOnError="ignore"), nonce="3", space="9"),
    calls(),
    {"type": "message", "message": "0x" + b"hello".hex()},
]


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[SmartUser]:
    world = World(tmp_path, scopes=wallet_scopes())
    await world.boot()
    yield await SmartUser.with_wallet(world)
    await world.stop()


async def test_library_finds_the_same_wallet(owner: SmartUser, published: Published) -> None:
    found = await owner.ask("Configuration")
    theirs = published.library("configuration", **{n: found[n] for n in ("configuration", "sessions", "recovery")})
    assert (theirs["imageHash"], checksum_of(theirs["address"])) == (found["imageHash"], found["address"])
    leaves = str(found["configuration"])
    assert theirs["sessions"] in leaves
    assert theirs["recovery"] in leaves


@pytest.mark.parametrize("chain_id", [137, 0])
@pytest.mark.parametrize("payload", PAYLOADS, ids=["calls", "no calls", "message"])
async def test_library_merges_our_leaf_with_the_guards_as_we_do(
    owner: SmartUser, published: Published, payload: dict[str, Any], chain_id: int
) -> None:
    configuration = (await owner.ask("Configuration"))["configuration"]
    ours = await owner.sign_payload(payload, chain_id)
    guards = handed_over(GUARD, ours["digest"])
    asked = {
        "configuration": configuration,
        "wallet": ours["wallet"],
        "chainId": chain_id,
        "payload": payload_to_json(owner.operation(payload).payload),
        "leaves": [ours["leaf"], guards],
    }
    theirs = published.library("signature", **asked)
    assert (theirs["digest"], theirs["imageHash"], theirs["weight"]) == (ours["digest"], ours["imageHash"], 2)
    whole = await owner.sign_payload(payload, chain_id, signatures=[guards])
    assert whole["partial"] == theirs["encoded"]
    assert theirs["packed"] == whole.get("packed")
    alone = published.library("signature", **asked | {"leaves": [ours["leaf"]]})
    assert (alone["encoded"], alone["weight"]) == (ours["partial"], 1)


async def test_library_grants_and_bars_sessions_alike(owner: SmartUser, published: Published) -> None:
    sessions = (await owner.ask("Configuration"))["sessions"]
    deadline = owner.world.clock.wall_ms() // 1000 + DAY
    for key in (STRANGER, GUARD):  # the second one balances the tree anew
        granted = permissions(address_of(key), deadline=deadline)
        theirs = published.library("session", sessions=sessions, permissions=granted)
        confirmed = await owner.update("ApproveSession", permissions=granted)
        assert theirs["after"] in str(confirmed["configuration"])
        sessions = confirmed["sessions"]
    barred = checksum(TOKEN)
    theirs = published.library("barred", sessions=sessions, signer=barred)
    confirmed = await owner.update("RevokeSession", signer=barred)
    assert theirs["after"] in str(confirmed["configuration"])


async def test_library_chains_updates_alike(owner: SmartUser, published: Published) -> None:
    for address in (address_of(STRANGER), TOKEN):
        await owner.update("UpdateConfiguration", change={"type": "add-device", "address": checksum(address)})
    updates = (await owner.ask("Configuration"))["updates"]
    ours = await owner.sign_payload(PAYLOADS[0])
    whole = await owner.sign_payload(PAYLOADS[0], signatures=[handed_over(GUARD, ours["digest"])])
    parts = [whole["partial"], *(update["signature"] for update in reversed(updates))]
    assert published.library("chained", parts=parts)["encoded"] == whole["chained"]["signature"]


async def test_library_hashes_attestations_and_recoveries_alike(owner: SmartUser, published: Published) -> None:
    attested = await owner.ask("IssueAttestation", approvedSigner=checksum(address_of(STRANGER)))
    theirs = published.library("attestation", attestation=attested["attestation"])
    assert theirs["hash"] == attested["hash"]
    payload = payload_to_json(owner.operation(PAYLOADS[0]).payload)
    for chain_id in (137, 0):
        queued = await owner.ask("QueueRecovery", chainId=chain_id, payload=payload)
        asked = {"wallet": checksum(owner.wallet), "payload": payload, "chainId": chain_id}
        assert published.library("recovery", **asked)["digest"] == queued["digest"]


def checksum_of(address: str) -> str:
    return checksum(parse_address(address))
