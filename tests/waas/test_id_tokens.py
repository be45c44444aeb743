"""ID tokens of the service, as a project's server verifies them, and the keys that it finds for that."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from attestation.binding import content_user_data
from enclave.errors import BootError
from enclave.issuer_keys import KEPT_S
from evm.intents.account_data import MAX_NONCE_BYTES
from protocol.frames import Request
from tests.appliance import World, config
from tests.waas.embedded import OTHER_ACCESS_KEY, Application, scopes

URL = "https://wallets.example.test"
ISSUER = {"url": URL, "audience_prefix": "https://projects.example.test/"}
ROTATE_S = 3600


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder, scopes=scopes(), issuer=ISSUER | {"rotate_s": ROTATE_S})
    await made.boot()
    yield made
    await made.stop()


async def get(world: World, path: str, **headers: str) -> Any:
    answer = await world.enclave.answer(Request(1, f"GET {path}", headers, b""))
    assert answer.status == 200
    return json.loads(answer.body)


async def key_set(world: World) -> KeySet:
    """Found as a verifier finds it: from the issuer's name alone."""
    metadata = await get(world, "/.well-known/openid-configuration")
    assert metadata["issuer"] == URL
    assert metadata["jwks_uri"].startswith(f"{URL}/")
    return KeySet.import_key_set(await get(world, metadata["jwks_uri"].removeprefix(URL)))


async def token_of(app: Application, **members: Any) -> dict[str, Any]:
    app.world.clock.advance_s(1)
    answer: dict[str, Any] = (await app.of_wallet("getIdToken", sessionId=app.key.id, **members))["data"]
    return answer


def verify(token: str, keys: KeySet, now_s: int) -> dict[str, Any]:
    decoded = jwt.decode(token, keys, algorithms=["RS256"])
    rules = jwt.JWTClaimsRegistry(now=lambda: now_s, iss={"essential": True, "value": URL}, exp={"essential": True})
    rules.validate(decoded.claims)
    return decoded.claims


async def test_token_says_which_wallet_and_for_which_project(world: World) -> None:
    app = Application(world)
    opened = await app.sign_in_by_mail("ada@example.com")
    answer = await token_of(app, nonce="abc")
    now_s = world.clock.wall_ms() // 1000
    claims = verify(answer["idToken"], await key_set(world), now_s)
    assert claims["sub"] == app.wallet
    assert claims["aud"] == ["https://projects.example.test/123"]
    assert claims["exp"] - claims["iat"] == answer["expiresIn"] == 600
    assert claims["iat"] <= now_s < claims["exp"]
    assert abs(claims["auth_time"] - now_s) < 10
    assert claims["nonce"] == "abc"
    assert claims[f"{URL}/identity"] == opened["session"]["identity"]
    assert (claims["email"], claims["email_verified"]) == ("ada@example.com", True)
    head = json.loads(base64.urlsafe_b64decode(answer["idToken"].split(".")[0] + "=="))
    assert set(head) == {"alg", "kid", "typ"}


async def test_guest_has_no_address_and_another_project_another_audience(world: World) -> None:
    app = Application(world, access_key=OTHER_ACCESS_KEY)
    await app.sign_in_by_mail("ada@example.com")
    keys, now_s = await key_set(world), world.clock.wall_ms() // 1000 + 1
    assert verify((await token_of(app))["idToken"], keys, now_s)["aud"] == ["https://projects.example.test/7"]
    guest = Application(world)
    world.clock.advance_s(2)
    await guest.sign_in_as_guest()
    claims = verify((await token_of(guest))["idToken"], keys, now_s + 3)
    assert not claims.keys() & {"email", "email_verified", "nonce"}


async def test_nobody_gets_a_token_without_a_session_or_for_another_wallet(world: World) -> None:
    app = Application(world)
    nobody = {"wallet": "0x" + "11" * 20, "sessionId": app.key.id}
    assert (await app.send("getIdToken", nobody))["cause"] == "session invalid or not found"
    world.clock.advance_s(2)
    await app.sign_in_as_guest()
    assert (await app.send("getIdToken", nobody))["cause"] == "intent is invalid: intent-wallet"
    long = await app.of_wallet("getIdToken", sessionId=app.key.id, nonce="x" * (MAX_NONCE_BYTES + 1))
    assert long["error"] == "WebrpcEndpoint"


async def test_keys_outlive_a_restart_and_lie_sealed(world: World) -> None:
    app = Application(world)
    await app.sign_in_as_guest()
    token = (await token_of(app))["idToken"]
    before = await get(world, "/.well-known/jwks.json")
    await world.boot()
    assert await get(world, "/.well-known/jwks.json") == before
    verify(token, await key_set(world), world.clock.wall_ms() // 1000)
    modulus = base64.urlsafe_b64decode(before["keys"][0]["n"] + "==")
    assert not any(modulus[:32] in record.value for record in world.store.rows.values())
    assert before["keys"][0].keys() == {"kty", "n", "e", "kid", "use", "alg"}


async def test_key_is_followed_by_another_and_published_until_its_tokens_are_over(world: World) -> None:
    app = Application(world)
    await app.sign_in_as_guest()
    first = (await token_of(app))["idToken"]
    await world.pass_time(ROTATE_S + 1)
    world.clock.advance_s(1)
    await app.sign_in_as_guest()
    second = (await token_of(app))["idToken"]
    published = await get(world, "/.well-known/jwks.json")
    assert len(published["keys"]) == 2
    for token in (first, second):
        jwt.decode(token, KeySet.import_key_set(published), algorithms=["RS256"])
    await world.pass_time(KEPT_S + ROTATE_S)
    last = await get(world, "/.well-known/jwks.json")
    assert published["keys"][-1]["kid"] not in [key["kid"] for key in last["keys"]]


async def test_older_set_of_keys_is_refused_within_a_boot(world: World) -> None:
    await get(world, "/.well-known/jwks.json")
    older = world.store.snapshot()
    await world.pass_time(ROTATE_S + 1)
    await get(world, "/.well-known/jwks.json")
    world.store.rows = older
    answer = await world.enclave.answer(Request(1, "GET /.well-known/jwks.json", {}, b""))
    assert json.loads(answer.body)["error"] == "StaleRecord"


async def test_published_keys_are_attested_to_who_asks(world: World) -> None:
    headers = {"x-attestation-nonce": "abc"}
    answer = await world.enclave.answer(Request(1, "GET /.well-known/jwks.json", headers, b""))
    document = base64.b64decode(answer.headers["x-attestation-document"])
    assert content_user_data("GET", "/.well-known/jwks.json", b"", answer.body) in document


async def test_published_paths_are_read_only(world: World) -> None:
    answer = await world.enclave.answer(Request(1, "POST /.well-known/jwks.json", {}, b""))
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


async def test_image_that_names_no_issuer_issues_nothing(pki_folder: Path) -> None:
    made = World(pki_folder, scopes=scopes())
    await made.boot()
    try:
        app = Application(made)
        await app.sign_in_as_guest()
        assert (await app.of_wallet("getIdToken", sessionId=app.key.id))["cause"] == "intent is not served"
        answer = await made.enclave.answer(Request(1, "GET /.well-known/jwks.json", {}, b""))
        assert answer.status == 404
    finally:
        await made.stop()


@pytest.mark.parametrize(
    "url", ["http://x.test", "https://x.test/", "https://x.test?a", "https://", "https://u@x.test"]
)
def test_issuer_is_an_https_address(url: str) -> None:
    with pytest.raises(BootError, match="config-"):
        config(scopes=scopes(), issuer={"url": url})
