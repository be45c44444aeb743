"""What holders release and to whom: measurements, key ids, contexts, documents, lies (KM-02, KM-08)."""

import base64
import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attestation.roots import AMAZON
from simulator.kms.conditions import ATTESTATION_PREFIX
from simulator.kms.faults import Fault
from simulator.kms.key_policy import pinned_key_policy
from simulator.kms.keys import StateError
from simulator.kms.service import KmsService
from simulator.pki import NitroPki
from tests import vectors
from tests.simulator_kms.conftest import HOLDERS, IMAGE, KEY_PAIR, PCRS, World, administrator, b64, enclave_role, spki
from tests.simulator_kms.test_kms_envelope import open_envelope

REGION, OTHER_REGION, _ = HOLDERS
CONTEXT = {"deployment": "test", "purpose": "holder-key"}


def opened(body: dict[str, Any]) -> bytes:
    return open_envelope(base64.b64decode(body["CiphertextForRecipient"]), KEY_PAIR)


def decrypt(data_key: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"CiphertextBlob": data_key["CiphertextBlob"], "EncryptionContext": CONTEXT} | more


# --- the main job ---


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


# --- measurements ---


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


# --- keys, contexts, ciphertexts ---


@pytest.mark.parametrize("context", [{}, {"deployment": "test"}, CONTEXT | {"purpose": "other"}, CONTEXT | {"x": "y"}])
async def test_wrong_encryption_context_opens_nothing(world: World, context: dict[str, str]) -> None:
    made = await world.data_key(REGION, CONTEXT)
    call = decrypt(made, EncryptionContext=context, Recipient=world.recipient())
    assert await world.refused(REGION, "Decrypt", call) == "InvalidCiphertextException"


async def test_ciphertext_of_another_key_is_refused(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    policy = pinned_key_policy(HOLDERS[REGION], enclave_role(REGION), administrator(REGION), IMAGE)
    second = world.service.create_key(REGION, HOLDERS[REGION], policy)
    call = decrypt(made, KeyId=second, Recipient=world.recipient())
    assert await world.refused(REGION, "Decrypt", call) == "IncorrectKeyException"
    renamed = base64.b64decode(made["CiphertextBlob"])
    moved = renamed[:1] + bytes.fromhex(second.rpartition("/")[2].replace("-", "")) + renamed[17:]
    call = decrypt(made, CiphertextBlob=b64(moved), Recipient=world.recipient())
    assert await world.refused(REGION, "Decrypt", call) == "InvalidCiphertextException"


async def test_ciphertext_from_another_region_or_key_arn_of_another_region_is_refused(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    call = decrypt(made, Recipient=world.recipient())
    assert await world.refused(OTHER_REGION, "Decrypt", call) == "AccessDeniedException"
    call["KeyId"] = world.keys[REGION]
    assert await world.refused(OTHER_REGION, "Decrypt", call) == "NotFoundException"


@pytest.mark.parametrize("reference", ["alias/x", "0b7d7f5e-0000-4000-8000-000000000001", "arn:aws:kms:x", "../../etc"])
async def test_unknown_key_is_not_found(world: World, reference: str) -> None:
    call = {"KeyId": reference, "KeySpec": "AES_256"}
    assert await world.refused(REGION, "GenerateDataKey", call) == "NotFoundException"


async def test_key_id_without_arn_means_the_callers_account(world: World) -> None:
    bare = world.keys[REGION].rpartition("/")[2]
    call = {"KeyId": bare, "KeySpec": "AES_256", "Recipient": world.recipient()}
    assert (await world.call(REGION, "GenerateDataKey", call))[0] == 200
    foreign = world.service.issue_credentials("arn:aws:iam::999999999999:role/x")
    assert await world.refused(REGION, "GenerateDataKey", call, foreign) == "NotFoundException"


async def test_every_flipped_bit_of_a_ciphertext_is_refused(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    blob = base64.b64decode(made["CiphertextBlob"])
    recipient = world.recipient()
    for position in range(len(blob)):
        bent = blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]
        kind = await world.refused(REGION, "Decrypt", decrypt(made, CiphertextBlob=b64(bent), Recipient=recipient))
        # A blob that names no key of this region reveals nothing else.
        assert kind == ("AccessDeniedException" if 1 <= position <= 16 else "InvalidCiphertextException")


# --- documents ---


async def test_replayed_document_is_accepted_as_by_the_real_service(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    call = decrypt(made, Recipient=world.recipient())
    world.clock_ms += 2 * 3600 * 1000
    fresh = world.service.issue_credentials(enclave_role(REGION))
    for _ in range(2):
        status, body = await world.call(REGION, "Decrypt", call, fresh)
        assert status == 200
        assert opened(body) == opened(made)


async def test_expired_document_is_refused_unless_the_switch_says_otherwise(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    call = decrypt(made, Recipient=world.recipient())
    world.clock_ms += 4 * 3600 * 1000
    strict, lenient = world.start(), world.start(accept_expired_documents=True)
    for service, expected in ((strict, 400), (lenient, 200)):
        credentials = service.issue_credentials(enclave_role(REGION))
        status, body = await world.call(REGION, "Decrypt", call, credentials, service=service)
        assert status == expected
        assert body.get("__type", "") == ("ValidationException" if expected == 400 else "")


async def test_document_under_a_foreign_root_is_refused(world: World, tmp_path: Path) -> None:
    made = await world.data_key(REGION, CONTEXT)
    foreign = world.document(world.nsm(pki=NitroPki(tmp_path / "foreign")))
    call = decrypt(made, Recipient=world.recipient(foreign))
    assert await world.refused(REGION, "Decrypt", call) == "ValidationException"


@pytest.mark.parametrize(
    "public_key",
    [
        None,
        b"",
        b"\x00" * 32,
        spki()[:-1],
        spki() + b"\x00",
        spki(ec.generate_private_key(ec.SECP256R1())),
        spki(rsa.generate_private_key(65537, 1024)),  # noqa: S505  too small on purpose
    ],
    ids=["none", "empty", "raw", "cut", "trailing", "elliptic", "small"],
)
async def test_document_without_a_usable_rsa_key_is_refused(world: World, public_key: bytes | None) -> None:
    call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256"}
    call["Recipient"] = world.recipient(world.document(public_key=public_key))  # type: ignore[assignment]
    assert await world.refused(REGION, "GenerateDataKey", call) == "ValidationException"


async def test_flipped_bits_in_the_document_are_refused(world: World) -> None:
    document = world.document()
    for position in range(0, len(document), 97):
        bent = document[:position] + bytes([document[position] ^ 0x40]) + document[position + 1 :]
        call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256", "Recipient": world.recipient(bent)}
        assert await world.refused(REGION, "GenerateDataKey", call) == "ValidationException"


async def test_genuine_document_is_accepted_under_amazons_root_only(world: World, tmp_path: Path) -> None:
    genuine = (vectors.folder("attestation") / "tee-verifier-2025-04-rsa.bin").read_bytes()
    service = KmsService(tmp_path / "real", [AMAZON], now_ms=lambda: world.clock_ms, accept_expired_documents=True)
    random = {"Effect": "Allow", "Action": "kms:GenerateRandom", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [random]}
    call = {"NumberOfBytes": 32, "Recipient": world.recipient(genuine)}
    credentials = service.issue_credentials(enclave_role(REGION), identity_policy=policy)
    status, body = await world.call(REGION, "GenerateRandom", call, credentials, service=service)
    assert status == 200
    assert len(base64.b64decode(body["CiphertextForRecipient"])) == 493
    credentials = world.service.issue_credentials(enclave_role(REGION), identity_policy=policy)
    assert await world.refused(REGION, "GenerateRandom", call, credentials) == "ValidationException"


# --- requests ---


@pytest.mark.parametrize(
    ("operation", "members", "kind"),
    [
        ("Decrypt", {}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": ""}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": b64(b"x" * 6145)}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": "%%%"}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": b64(b"x")}, "InvalidCiphertextException"),
        ("Decrypt", {"CiphertextBlob": b64(b"\x01" * 60), "DryRun": True}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": b64(b"x"), "EncryptionContext": {"a": 1}}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": b64(b"x"), "EncryptionContext": {"a": "", "A": ""}}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": b64(b"x"), "Recipient": {}}, "ValidationException"),
        ("Decrypt", {"CiphertextBlob": b64(b"x"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}, "ValidationException"),
        ("GenerateRandom", {"NumberOfBytes": 0}, "ValidationException"),
        ("GenerateRandom", {"NumberOfBytes": 1025}, "ValidationException"),
        ("GenerateRandom", {"NumberOfBytes": True}, "ValidationException"),
        ("GenerateRandom", {"NumberOfBytes": 1}, "AccessDeniedException"),
        ("GenerateRandom", [], "ValidationException"),
        ("GenerateRandom", b"", "SerializationException"),
        ("GenerateRandom", b"{", "SerializationException"),
        ("GenerateRandom", b"\xff", "SerializationException"),
        ("GenerateRandom", b"[" * 100_000, "ValidationException"),
        ("Sign", {}, "UnknownOperationException"),
        ("Decrypt.X", {}, "UnknownOperationException"),
        ("", {}, "UnknownOperationException"),
    ],
)
async def test_malformed_call_has_its_error(world: World, operation: str, members: Any, kind: str) -> None:
    assert await world.refused(REGION, operation, members) == kind


@pytest.mark.parametrize("sizes", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
async def test_data_key_needs_exactly_one_size(world: World, sizes: dict[str, Any]) -> None:
    call = {"KeyId": world.keys[REGION], "Recipient": world.recipient()} | sizes
    assert await world.refused(REGION, "GenerateDataKey", call) == "ValidationException"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    operation=st.sampled_from(["Decrypt", "GenerateDataKey", "Encrypt", "PutKeyPolicy", "CreateKey", "GenerateRandom"]),
    body=st.binary(max_size=80)
    | st.dictionaries(
        st.sampled_from(["KeyId", "CiphertextBlob", "Plaintext", "Policy", "Recipient", "NumberOfBytes", "KeySpec"]),
        st.none() | st.integers() | st.text(max_size=20) | st.binary(max_size=60).map(b64) | st.just("AES_256"),
        max_size=4,
    ).map(lambda members: json.dumps(members).encode()),
)
async def test_any_body_gets_an_error_in_the_form_of_aws(world: World, operation: str, body: bytes) -> None:
    status, answer = await world.call(REGION, operation, body)
    assert status == 400
    assert answer["__type"].endswith("Exception")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(document=st.binary(min_size=1, max_size=300))
async def test_any_bytes_as_document_are_a_validation_error(world: World, document: bytes) -> None:
    call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256", "Recipient": world.recipient(document)}
    assert await world.refused(REGION, "GenerateDataKey", call) == "ValidationException"


# --- lies and failures ---


async def test_lies_are_told_and_stop_when_healed(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    truth, call = opened(made), decrypt(made, Recipient=world.recipient())

    async def lie(fault: Fault | None) -> dict[str, Any]:
        world.service.set_fault(world.keys[REGION], fault)
        status, body = await world.call(REGION, "Decrypt", call)
        assert status == 200
        return body

    body = await lie(Fault.WRONG_KEY_BYTES)
    assert len(opened(body)) == 32
    assert opened(body) != truth
    body = await lie(Fault.WRONG_KEY_ID)
    assert opened(body) == truth
    assert body["KeyId"] != world.keys[REGION]
    body = await lie(Fault.PLAINTEXT)
    assert "CiphertextForRecipient" not in body
    assert base64.b64decode(body["Plaintext"]) == truth
    body = await lie(Fault.PLAINTEXT_BESIDE)
    assert opened(body) == base64.b64decode(body["Plaintext"]) == truth
    body = await lie(Fault.FOREIGN_ENVELOPE)
    with pytest.raises(ValueError):
        opened(body)
    body = await lie(Fault.GARBAGE_ENVELOPE)
    with pytest.raises(ValueError):
        opened(body)
    assert opened(await lie(None)) == truth


async def test_liar_still_refuses_the_wrong_image(world: World) -> None:
    made = await world.data_key(REGION, CONTEXT)
    world.service.set_fault(REGION, Fault.PLAINTEXT)
    call = decrypt(made, Recipient=world.recipient(world.document(world.nsm(PCRS | {0: b"\xee" * 48}))))
    assert await world.refused(REGION, "Decrypt", call) == "AccessDeniedException"


async def test_failing_holder_leaves_the_others_alone(world: World) -> None:
    request = world.signed(REGION, "DescribeKey", {"KeyId": world.keys[REGION]}, world.holder[REGION])
    for fault, status in ((Fault.UNAVAILABLE, 503), (Fault.THROTTLED, 400), (Fault.SLOW, 200)):
        world.service.set_fault(world.keys[REGION], fault)
        answer = await world.service.answer(request)
        assert answer is not None
        assert answer.status == status
    world.service.set_fault(world.keys[REGION], Fault.DOWN)
    assert await world.service.answer(request) is None
    assert world.service.is_down(f"kms.{REGION}.amazonaws.com")
    assert not world.service.is_down(f"kms.{OTHER_REGION}.amazonaws.com")
    await world.data_key(OTHER_REGION, CONTEXT)


# --- the generated policy ---


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
