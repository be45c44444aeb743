"""Documents in `Recipient`: genuine ones of any age, with an RSA key inside; nothing else (KM-08, SM-02)."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attestation.roots import AMAZON
from simulator.kms.service import KmsService
from simulator.pki import NitroPki
from tests import vectors
from tests.simulator_kms.kms_world import (
    CONTEXT,
    HOLDERS,
    World,
    decrypt,
    enclave_role,
    opened,
    spki,
)

REGION, OTHER_REGION, _ = HOLDERS


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(document=st.binary(min_size=1, max_size=300))
async def test_any_bytes_as_document_are_a_validation_error(world: World, document: bytes) -> None:
    call = {"KeyId": world.keys[REGION], "KeySpec": "AES_256", "Recipient": world.recipient(document)}
    assert await world.refused(REGION, "GenerateDataKey", call) == "ValidationException"
