"""Receipts on answers: what they cover, who gets one, and that they are counted (SE-09)."""

import hashlib
import json
from typing import Any

import pytest

from attestation.errors import AttestationError
from attestation.receipt import Receipt, request_of_receipt, verify_receipt
from enclave.receipts import HEADER, NONCE_HEADER
from protocol.frames import Response
from tests.appliance import Client, World, b64u, commit_params

COMMIT = "/rpc/IdentityInstrument/CommitVerifier"
NONCE = "A-Za-z0-9._-/+=" + "x" * 17


def body_of(world: World) -> bytes:
    return json.dumps(Client(world).envelope(commit_params("user@example.com"))).encode()


async def receipted(world: World, body: bytes, nonce: str = NONCE) -> Response:
    return await world.raw(COMMIT, body, {"content-type": "application/json", NONCE_HEADER: nonce})


async def identity_key(world: World) -> bytes:
    from attestation.binding import parse_binding

    answer = await world.raw("/rpc/Attestation/Document", b'{"nonce":"AAAAAAAAAAAAAAAAAAAAAA"}')
    return parse_binding(b64u(json.loads(answer.body)["binding"])).identity_key


def verified(response: Response, key: bytes, body: bytes, **expected: Any) -> Receipt:
    request = request_of_receipt(NONCE, body)
    return verify_receipt(b64u(response.headers[HEADER]), key, request=request, response=response.body).receipt


async def test_receipt_covers_nonce_request_answer_and_decision(world: World) -> None:
    key = await identity_key(world)
    for body, status in ((body_of(world), 200), (b"{}", 400)):
        response = await receipted(world, body)
        receipt = verified(response, key, body)
        assert (receipt.method, receipt.status, response.status) == (f"POST {COMMIT}", status, status)
        assert receipt.issuer == world.config.deployment
        assert receipt.request_hash == hashlib.sha256(NONCE.encode() + b"\n" + body).digest()
        data = b64u(response.headers[HEADER])
        for request, answer in ((request_of_receipt("another", body), response.body), (body, response.body + b" ")):
            with pytest.raises(AttestationError, match="receipt-mismatch"):
                verify_receipt(data, key, request=request, response=answer)


async def test_receipts_of_a_boot_are_counted_and_name_it(world: World) -> None:
    key, body = await identity_key(world), body_of(world)
    first, second = [verified(await receipted(world, body), key, body) for _ in range(2)]
    assert second.sequence == first.sequence + 1
    assert second.boot_epoch == first.boot_epoch
    await world.boot()
    later = verified(await receipted(world, body), key, body)
    assert later.boot_epoch != first.boot_epoch


async def test_only_who_asks_gets_one(world: World) -> None:
    assert HEADER not in (await world.raw(COMMIT, body_of(world))).headers


@pytest.mark.parametrize("nonce", ["x" * 33, "white space", "é"])
async def test_nonce_of_another_form_is_refused_before_anything_else(world: World, nonce: str) -> None:
    response = await receipted(world, body_of(world), nonce)
    assert json.loads(response.body)["cause"].startswith("X-Receipt-Nonce value ")
    assert world.mailer.sent == []


async def test_without_trusted_time_the_request_is_refused_before_it_has_an_effect(world: World) -> None:
    body = body_of(world)
    world.clock.wall_offset_ms += 3_600_000
    response = await receipted(world, body)
    assert json.loads(response.body)["error"] == "ClockUntrusted"
    assert world.mailer.sent == []
