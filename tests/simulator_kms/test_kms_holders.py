"""The main job of a holder: its key for the measured enclave, for nothing else, and again after a restart (KM-08)."""

import json

import cbor2
import pytest

from simulator.kms.conditions import ATTESTATION_PREFIX
from simulator.kms.keys import StateError
from tests.simulator_kms.key_policy import pinned_key_policy
from tests.simulator_kms.kms_world import (
    CONTEXT,
    HOLDERS,
    IMAGE,
    PCRS,
    World,
    administrator,
    b64,
    decrypt,
    enclave_role,
    opened,
)

REGION, OTHER_REGION, _ = HOLDERS


@pytest.mark.parametrize("region", HOLDERS)
async def test_each_holder_makes_and_reopens_a_key_for_the_measured_enclave(world: World, region: str) -> None:
    made = await world.data_key(region, CONTEXT)
    assert made["KeyId"] == world.keys[region]
    assert "Plaintext" not in made
    status, body = await world.call(region, "Decrypt", decrypt(made, Recipient=world.recipient()))
    assert status == 200
    assert "Plaintext" not in body
    assert body["KeyId"] == world.keys[region]
    assert opened(made) == opened(body)
    assert len(opened(body)) == 32


async def test_keys_and_policies_survive_a_restart_in_private_files(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    restarted = world.start()
    assert restarted.keys() == tuple(sorted(world.keys.values()))
    credentials = restarted.issue_credentials(enclave_role(REGION))
    call = decrypt(made, Recipient=world.recipient())
    _, body = await world.call(REGION, "Decrypt", call, credentials, service=restarted)
    assert opened(body) == opened(made)
    del call["Recipient"]
    assert await world.refused(REGION, "Decrypt", call, credentials, service=restarted) == "AccessDeniedException"
    assert {path.stat().st_mode & 0o777 for path in (world.folder / "kms").iterdir()} == {0o600}


def test_state_that_is_not_ours_stops_the_start(world: World) -> None:
    (world.folder / "kms" / "x.json").write_text("{}")
    with pytest.raises(StateError, match=r"x\.json"):
        world.start()


@pytest.mark.parametrize("index", [0, 1, 2])
async def test_one_changed_register_is_denied(world: World, index: int) -> None:
    made = await world.data_key(REGION, CONTEXT)
    other = world.document(world.nsm(PCRS | {index: b"\xee" * 48}))
    call = decrypt(made, Recipient=world.recipient(other))
    assert await world.refused(REGION, "Decrypt", call) == "AccessDeniedException"


async def test_debug_enclave_is_denied_by_the_key_policy_not_by_the_verifier(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    call = decrypt(made, Recipient=world.recipient(world.document(world.nsm(debug=True))))
    assert await world.refused(REGION, "Decrypt", call) == "AccessDeniedException"
    zeros = {f"kms:RecipientAttestation:PCR{index}": "0" * 96 for index in (0, 1, 2)}
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": enclave_role(REGION)},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"StringEquals": zeros},
    }
    world.service.set_key_policy(world.keys[REGION], {"Version": "2012-10-17", "Statement": [statement]})
    status, body = await world.call(REGION, "Decrypt", call)
    assert status == 200
    assert opened(body) == opened(made)


async def test_without_a_document_the_text_is_that_of_aws(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    status, body = await world.call(REGION, "Decrypt", decrypt(made))
    assert status == 400
    assert body["__type"] == "AccessDeniedException"
    session = f"arn:aws:sts::{HOLDERS[REGION]}:assumed-role/enclave/session"
    assert body["Message"] == (
        f"User: {session} is not authorized to perform: kms:Decrypt on resource: {world.keys[REGION]} "
        "with an explicit deny in a resource-based policy"
    )
    unnamed = world.service.issue_credentials(f"arn:aws:iam::{HOLDERS[REGION]}:role/other")
    _, body = await world.call(REGION, "Decrypt", decrypt(made, Recipient=world.recipient()), unnamed)
    assert body["Message"].endswith("because no resource-based policy allows the kms:Decrypt action")


async def test_unlocked_register_is_absent_and_a_locked_one_counts(world: World) -> None:
    condition = {"StringEquals": {f"{ATTESTATION_PREFIX}pcr16": "00" * 48}}
    statement = {"Effect": "Allow", "Principal": {"AWS": enclave_role(REGION)}, "Action": "kms:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement | {"Condition": condition}]}
    world.service.set_key_policy(world.keys[REGION], policy)
    nsm = world.nsm()
    call = {"KeyId": world.keys[REGION], "KeySpec": "AES_128", "Recipient": world.recipient(world.document(nsm))}
    assert await world.refused(REGION, "GenerateDataKey", call) == "AccessDeniedException"
    nsm.call(cbor2.dumps({"LockPCR": {"index": 16}}))
    call["Recipient"] = world.recipient(world.document(nsm))
    status, _ = await world.call(REGION, "GenerateDataKey", call)
    assert status == 200


def test_generated_policy_has_no_wildcard_principal_and_keeps_administration_apart() -> None:
    policy = pinned_key_policy(
        "111111111111", "arn:aws:iam::111111111111:role/e", "arn:aws:iam::111111111111:user/a", IMAGE
    )
    allows = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert "*" not in [statement["Principal"]["AWS"] for statement in policy["Statement"]]
    assert [statement["Action"] for statement in allows] == [
        ["kms:Decrypt", "kms:GenerateDataKey"],
        ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"],
    ]


async def test_policy_may_pin_the_encryption_context(world: World) -> None:
    wanted = {"StringEquals": {"kms:EncryptionContext:purpose": "holder-key"}}
    names = {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["Purpose", "deployment"]}}
    principal = {"AWS": enclave_role(REGION)}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement | {"Condition": wanted | names}]}
    world.service.set_key_policy(world.keys[REGION], policy)
    allowed: list[dict[str, str]] = [{"Purpose": "holder-key"}, {"Purpose": "holder-key", "deployment": "x"}]
    denied: list[dict[str, str]] = [
        {},
        {"Purpose": "Holder-Key"},
        {"purpose": "holder-key"},  # the condition on the value ignores the name's case, the one on names does not
        {"Purpose": "holder-key", "other": "x"},
    ]
    for context in allowed + denied:
        call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256", "EncryptionContext": context}
        status, _ = await world.call(REGION, "GenerateDataKey", call)
        assert status == (200 if context in allowed else 400), context


@pytest.mark.parametrize("pcrs", [{}, {0: b"\x01" * 48, 1: b"\x01" * 48}, IMAGE | {1: bytes(48)}])
def test_policy_is_not_generated_for_a_partly_pinned_or_debug_image(pcrs: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match="PCR"):
        pinned_key_policy("111111111111", "r", "a", pcrs)


async def test_generated_policy_denies_even_beside_an_unconditional_allow(world: World) -> None:
    policy = pinned_key_policy(HOLDERS[REGION], enclave_role(REGION), administrator(REGION), IMAGE)
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    policy["Statement"].insert(0, everyone)
    world.service.set_key_policy(world.keys[REGION], policy)
    for document in (None, world.document(world.nsm(PCRS | {2: b"\xee" * 48}))):
        call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256"}
        if document:
            call["Recipient"] = world.recipient(document)  # type: ignore[assignment]
        assert await world.refused(REGION, "GenerateDataKey", call) == "AccessDeniedException"
    call = {"KeyId": world.keys[REGION], "Plaintext": b64(b"x")}
    assert await world.refused(REGION, "Encrypt", call) == "AccessDeniedException"
    call = {"KeyId": world.keys[REGION], "Policy": json.dumps(policy)}
    assert await world.refused(REGION, "PutKeyPolicy", call) == "AccessDeniedException"
