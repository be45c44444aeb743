"""Generated policies on keys of the simulated KMS: genuine documents, signed requests, sealed answers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from eif.policy.generate import encryption_context, key_policy
from eif.policy.holders import Holder
from tests.eif_policy.policy_world import image
from tests.simulator_kms.kms_world import HOLDERS, IMAGE, PCRS, World, administrator, enclave_role, opened

NEXT = {index: bytes([0x20 + index]) * 48 for index in (0, 1, 2)}


def holder(region: str) -> Holder:
    return Holder("demo", f"holder-{region}", region, enclave_role(region), (administrator(region),))


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for region in HOLDERS:
        made.service.set_key_policy(made.keys[region], key_policy(holder(region), [image(IMAGE)]))
    return made


def call(world: World, region: str, pcrs: Mapping[int, bytes] | None, **more: Any) -> dict[str, Any]:
    """The members of a GenerateDataKey call by an enclave with these registers."""
    members: dict[str, Any] = {"KeyId": world.keys[region], "KeySpec": "AES_256"}
    members["EncryptionContext"] = encryption_context(holder(region))
    if pcrs is not None:
        members["Recipient"] = world.recipient(world.document(world.nsm(pcrs)))
    return members | more


@pytest.mark.parametrize("region", HOLDERS)
async def test_measured_enclave_gets_a_key_and_opens_it_again(world: World, region: str) -> None:
    status, made = await world.call(region, "GenerateDataKey", call(world, region, PCRS))
    assert status == 200, made
    again = {"CiphertextBlob": made["CiphertextBlob"], "Recipient": world.recipient()}
    again["EncryptionContext"] = encryption_context(holder(region))
    status, body = await world.call(region, "Decrypt", again)
    assert (status, "Plaintext" in body) == (200, False)
    assert opened(body) == opened(made)


@pytest.mark.parametrize("region", HOLDERS)
async def test_everybody_else_is_denied(world: World, region: str) -> None:
    other_context = {"EncryptionContext": {**encryption_context(holder(region)), "holder": "another"}}
    refused = [
        call(world, region, None),
        call(world, region, PCRS, **other_context),
        call(world, region, PCRS, EncryptionContext={}),
        *(call(world, region, {**PCRS, index: b"\xee" * 48}) for index in (0, 1, 2)),
    ]
    debug = {"Recipient": world.recipient(world.document(world.nsm(debug=True)))}
    for members in [*refused, call(world, region, None, **debug)]:
        assert await world.refused(region, "GenerateDataKey", members) == "AccessDeniedException"
    by_administrator = call(world, region, PCRS)
    denied = await world.refused(region, "GenerateDataKey", by_administrator, world.holder[region])
    assert denied == "AccessDeniedException"


async def test_upgrade_opens_with_both_images_and_closes_with_the_old_one(world: World) -> None:
    region = next(iter(HOLDERS))

    async def put(*images: Mapping[int, bytes]) -> None:
        policy = json.dumps(key_policy(holder(region), [image(pcrs) for pcrs in images]))
        members = {"KeyId": world.keys[region], "Policy": policy}
        status, body = await world.call(region, "PutKeyPolicy", members, world.holder[region])
        assert status == 200, body

    async def serves(pcrs: Mapping[int, bytes]) -> bool:
        status, _ = await world.call(region, "GenerateDataKey", call(world, region, pcrs))
        return status == 200

    assert [await serves(PCRS), await serves(PCRS | NEXT)] == [True, False]
    await put(IMAGE, NEXT)
    mixed = PCRS | {0: NEXT[0]}
    assert [await serves(PCRS), await serves(PCRS | NEXT), await serves(mixed)] == [True, True, False]
    await put(NEXT)
    assert [await serves(PCRS), await serves(PCRS | NEXT)] == [False, True]
    attempt = {"KeyId": world.keys[region], "Policy": json.dumps(key_policy(holder(region), [image(IMAGE)]))}
    assert await world.refused(region, "PutKeyPolicy", attempt) == "AccessDeniedException"
