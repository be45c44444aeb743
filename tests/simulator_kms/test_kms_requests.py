"""Keys, contexts, ciphertexts and calls: what does not fit together is refused in the form of AWS (KM-08, KM-10)."""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.packaging.source import ROOT
from tests.simulator_kms.key_policy import pinned_key_policy
from tests.simulator_kms.kms_world import (
    CONTEXT,
    HOLDERS,
    IMAGE,
    World,
    administrator,
    b64,
    decrypt,
    enclave_role,
)

REGION, OTHER_REGION, _ = HOLDERS


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
    status, body = await world.call(OTHER_REGION, "Decrypt", call)
    assert (status, body["__type"], body["message"]) == (400, "NotFoundException", f"Invalid arn {REGION}")


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


_FIRST_CALLS_AT_ONCE = """
import json, sys, threading
from simulator.kms.requests import parse_call

sys.setswitchinterval(1e-6)
recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "AAAA"}
call = {"KeyId": "a", "EncryptionContext": {"a": "b"}, "KeySpec": "AES_256", "Recipient": recipient}
body = json.dumps(call).encode()
ready, parsed = threading.Barrier(8), []

def first():
    ready.wait()
    parsed.append(parse_call("TrentService.GenerateDataKey", body))

threads = [threading.Thread(target=first) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(parsed))
"""


@pytest.mark.parametrize("_", range(3))
def test_first_calls_of_several_threads_harm_nobody(_: int) -> None:
    """A process of its own for each try: only the first calls of a process can meet."""
    done = subprocess.run([sys.executable, "-c", _FIRST_CALLS_AT_ONCE], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"8\n"), done.stderr
