"""The integration scenarios of the original (identity-instrument.md 6.1) over HTTP, one test each."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from eth_keys import keys

from evm.keccak import keccak256
from tests.appliance import AUDIENCE, ISSUER, SCOPE, Client, commit_params, complete_params, otp_answer
from tests.instrument_wire.conftest import GENEROUS
from tests.instrument_wire.wire import Answer, Wire, running

DIGEST = keccak256(b"message")


def email() -> str:
    return f"user+{uuid.uuid4()}@example.com"


def sign_params(signer: dict[str, str], nonce: str, digest: bytes = DIGEST) -> dict[str, Any]:
    return {"scope": SCOPE, "signer": signer, "nonce": nonce, "digest": "0x" + digest.hex()}


def recovered(signature: str, digest: bytes = DIGEST) -> str:
    raw = bytes.fromhex(signature[2:])
    assert len(raw) == 65
    assert raw[64] in (27, 28)
    address: str = (
        keys.Signature(raw[:64] + bytes([raw[64] - 27])).recover_public_key_from_msg_hash(digest).to_address()
    )
    return address


async def commit(wire: Wire, client: Client, params: dict[str, Any]) -> dict[str, str]:
    answer = await wire.call(client, "CommitVerifier", params)
    assert answer.status == 200, answer.body
    assert list(answer.json) == ["verifier", "loginHint", "challenge"]
    return answer.json


async def try_code(wire: Wire, client: Client, address: str, challenge: str, code: str) -> Answer:
    return await wire.call(client, "CompleteAuth", complete_params(address, otp_answer(challenge, code)))


async def logged_in(wire: Wire, client: Client, address: str) -> dict[str, str]:
    """The signer after a login by mail."""
    started = await commit(wire, client, commit_params(address))
    answer = await try_code(wire, client, address, started["challenge"], wire.world.mailer.last_code())
    signer: dict[str, str] = answer.json["signer"]
    return signer


async def assert_signs(wire: Wire, client: Client, signer: dict[str, str], nonce: str = "0x1") -> None:
    answer = await wire.call(client, "Sign", sign_params(signer, nonce))
    assert answer.status == 200, answer.body
    assert recovered(answer.json["signature"]) == signer["address"]


async def test_email_success(wire: Wire) -> None:
    client, address = wire.client(), email()
    started = await commit(wire, client, commit_params(address))
    assert (started["verifier"], started["loginHint"]) == (address, address)
    assert len(started["challenge"]) == 26
    answer = await try_code(wire, client, address, started["challenge"], wire.world.mailer.last_code())
    assert answer.json["identity"] == {"type": "Email", "sub": address, "email": address}
    assert answer.json["signer"]["keyType"] == "Ethereum_Secp256k1"
    await assert_signs(wire, client, answer.json["signer"])


async def test_email_incorrect_code(wire: Wire) -> None:
    client, address = wire.client(), email()
    started = await commit(wire, client, commit_params(address))
    answer = await try_code(wire, client, address, started["challenge"], "Wrong")
    assert (answer.status, answer.code) == (400, 7003)


async def test_email_multiple_attempts(wire: Wire) -> None:
    client, address = wire.client(), email()
    started = await commit(wire, client, commit_params(address))
    for _ in range(2):
        assert (await try_code(wire, client, address, started["challenge"], "Wrong")).code == 7003
    answer = await try_code(wire, client, address, started["challenge"], wire.world.mailer.last_code())
    assert answer.status == 200


async def test_email_too_many_attempts(wire: Wire) -> None:
    client, address = wire.client(), email()
    started = await commit(wire, client, commit_params(address))
    tries = [await try_code(wire, client, address, started["challenge"], "Wrong") for _ in range(10)]
    assert [answer.code for answer in tries] == [7003, 7003] + [7005] * 8
    right = await try_code(wire, client, address, started["challenge"], wire.world.mailer.last_code())
    assert (right.status, right.code) == (400, 7005)


async def test_email_using_signer(wire: Wire) -> None:
    """As the original's but for the hint, which only a device key sees that proved the address before."""
    known, stranger, address = wire.client(), wire.client(), email()
    signer = await logged_in(wire, known, address)
    checksummed = {"keyType": signer["keyType"], "address": "0x" + signer["address"][2:].upper()}
    for client, hint in ((known, address), (stranger, "")):
        started = await commit(wire, client, commit_params("") | {"signer": checksummed})
        assert started["loginHint"] == hint
        assert started["verifier"] == f"Ethereum_Secp256k1:{signer['address']}"
        typed = f"{checksummed['keyType']}:{checksummed['address']}"  # published clients send it as it was given
        answer = await try_code(wire, client, typed, started["challenge"], wire.world.mailer.last_code())
        assert answer.json["signer"] == signer


async def id_token_login(wire: Wire, client: Client, issuer: str, token: str, exp: int) -> Answer:
    handle = "0x" + keccak256(token.encode()).hex()
    params = {"scope": SCOPE, "identityType": "OIDC", "authMode": "IDToken", "handle": handle}
    started = await commit(wire, client, params | {"metadata": {"iss": issuer, "aud": AUDIENCE, "exp": str(exp)}})
    assert started == {"verifier": handle, "loginHint": "", "challenge": ""}
    members = {"identityType": "OIDC", "authMode": "IDToken"}
    return await wire.call(client, "CompleteAuth", complete_params(handle, token, **members))


@pytest.mark.parametrize("slash", ["", "/"])
async def test_oidc_id_token_with_and_without_a_trailing_slash(wire: Wire, slash: str) -> None:
    client = wire.client()
    exp = wire.world.clock.wall_ms() // 1000 + 120
    token = wire.provider.issue_token("subject", AUDIENCE, claims={"iss": ISSUER + slash, "exp": exp})
    answer = await id_token_login(wire, client, ISSUER + slash, token, exp)
    assert answer.json["identity"] == {
        "type": "OIDC",
        "iss": ISSUER,
        "sub": "subject",
        "email": "subject@example.com",
    }
    await assert_signs(wire, client, answer.json["signer"])
    again = await wire.call(
        wire.client(),
        "CommitVerifier",
        {
            "scope": SCOPE,
            "identityType": "OIDC",
            "authMode": "IDToken",
            "handle": "0x" + keccak256(token.encode()).hex(),
        }
        | {"metadata": {"iss": ISSUER + slash, "aud": AUDIENCE, "exp": str(exp)}},
    )
    assert (again.code, again.cause) == (7200, "cannot reuse an old ID token")


async def test_sign_usage_limit(pki_folder: Path) -> None:
    async with running(pki_folder, limits=GENEROUS | {"signatures_per_minute": 10}) as wire:
        client = wire.client()
        signer = await logged_in(wire, client, email())
        for nonce in range(10):
            await assert_signs(wire, client, signer, hex(nonce))
        answer = await wire.call(client, "Sign", sign_params(signer, "0xa"))
        assert (answer.status, answer.code) == (429, 7205)


async def test_sign_nonce(wire: Wire) -> None:
    client = wire.client()
    signer = await logged_in(wire, client, email())
    await assert_signs(wire, client, signer, "0x100")
    expected = [("0x100", 7206), ("0x99", 7206), ("0x150", 0), ("0x149", 7206), ("0x1" + "0" * 63, 7200)]
    for nonce, code in expected:
        answer = await wire.call(client, "Sign", sign_params(signer, nonce))
        assert (answer.code if code else answer.status) == (code or 200), nonce
    assert (await wire.call(client, "Sign", sign_params(signer, "0x00160"))).status == 200, (
        "leading zeros are tolerated"
    )


async def test_nonces_survive_a_new_login(wire: Wire) -> None:
    """Section 8, defect 6: the original forgot the last nonce at a new login and signed an old request again."""
    client, address = wire.client(), email()
    signer = await logged_in(wire, client, address)
    old = client.envelope(sign_params(signer, "0x5"))
    body = json.dumps(old).encode()
    assert (await wire.request("/rpc/IdentityInstrument/Sign", body)).status == 200
    assert await logged_in(wire, client, address) == signer
    assert (await wire.request("/rpc/IdentityInstrument/Sign", body)).code == 7206
