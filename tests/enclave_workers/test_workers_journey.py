"""What one worker does, several do: the host's routing decides nothing but who does the work."""

import json
import os

import pytest

from attestation import channel
from attestation.channel import InnerRequest
from attestation.receipt import verify_receipt
from evm.keccak import keccak256
from protocol.base64url import decode_b64u
from tests.appliance import commit_params
from tests.enclave_workers.crew import Crew

DIGEST = keccak256(b"message")
EVERYWHERE = pytest.mark.parametrize("at", [None, 0, 1])


@EVERYWHERE
@pytest.mark.parametrize("owner", [0, 1])
async def test_login_session_and_signature_wherever_requests_arrive(crew: Crew, at: int | None, owner: int) -> None:
    crew.at = at
    client = crew.client_of(owner)
    signer = (await crew.log_in(client))["signer"]["address"]
    await client.session()
    assert (await client.sign(signer, DIGEST))["signature"]


@EVERYWHERE
@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("owner", [0, 1])
async def test_sealed_requests_are_opened_by_one_worker_and_answered_by_another(
    crew: Crew, at: int | None, opener: int, owner: int
) -> None:
    crew.at, crew.enclave = at, crew.crew[opener]
    client = crew.client_of(owner)
    assert (await client.call("CommitVerifier", commit_params("user@example.com"), sealed=True))["challenge"]


async def test_sealed_request_is_opened_once_by_all_workers_together(crew: Crew) -> None:
    key = crew.enclave._dispatcher._channel.public_key  # type: ignore[union-attr]  it serves
    client = crew.client_of(1)
    params = client.envelope(commit_params("user@example.com"))
    path = "POST /rpc/IdentityInstrument/CommitVerifier"
    inner = InnerRequest(path, {"content-type": "application/json"}, json.dumps(params).encode())
    body, exchange = channel.seal_request(key, inner, os.urandom(channel.REQUEST_ID_BYTES))
    answers = []
    for crew.at in (1, 0, 1):
        answers.append(await crew.raw(channel.PATH, body, {"content-type": channel.CONTENT_TYPE}))
    assert exchange.open_response(answers[0].body).status == 200
    assert [json.loads(answer.body)["error"] for answer in answers[1:]] == ["ChannelReplayed"] * 2


async def test_each_worker_owns_its_channel_keys_also_those_to_come(crew: Crew) -> None:
    for worker, enclave in zip(crew.workers, crew.crew, strict=True):
        sealed = enclave._dispatcher._channel
        assert sealed is not None
        for _ in range(5):
            assert worker.owns(channel.key_id(sealed.public_key).hex())
            crew.clock.advance_s(crew.config.limits.channel_key_s)


async def test_receipts_are_numbered_over_all_workers(crew: Crew) -> None:
    numbers = []
    for number in range(6):
        crew.at = number % 2
        answer = await crew.raw("/status", b"", {"x-receipt-nonce": "nonce"}, "GET")
        data = decode_b64u(answer.headers["x-receipt"])
        attestor = crew.enclave._dispatcher._attestor
        assert data is not None
        assert attestor is not None
        numbers.append(verify_receipt(data, attestor._binding().identity_key).receipt.sequence)
    assert numbers == [1, 2, 3, 4, 5, 6]
