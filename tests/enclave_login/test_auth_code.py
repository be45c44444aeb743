"""Logins by authorization code, over the wire, against a provider over TLS (identity-instrument.md 2.3, 2.4; OI-16)."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.login.auth_code_mode import code_challenge
from enclave.login.id_token import token_handle
from protocol import limits
from simulator import settings
from tests.appliance import ISSUER, SCOPE, Client, Refused, commit_params
from tests.enclave_login.code_flow import (
    PUBLIC,
    REDIRECT,
    TEAM,
    WEB,
    CodeWorld,
    code_world,
    commit,
    complete,
    pkce_login,
)


@pytest.fixture
async def coded(pki_folder: Path) -> AsyncIterator[CodeWorld]:
    async with code_world(pki_folder) as made:
        yield made


async def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code, caught.value.cause


async def team_login(coded: CodeWorld, client: Client, **members: Any) -> dict[str, Any]:
    code = await coded.code(TEAM)
    started = await client.call("CommitVerifier", commit("AuthCode", TEAM, handle=token_handle(code), **members))
    return await client.call("CompleteAuth", complete("AuthCode", started["verifier"], code))


def test_golden_challenge_and_handle() -> None:
    verifier = "0x" + bytes(range(32)).hex()
    assert code_challenge(verifier) == "1SXrMVTjBQQhQN31r6L_vvJVu9L0LFIWiUguw_BMhxM"
    assert token_handle("1234567890") == "0x38301fb0b5fcf3aaa4b97c4771bb6c75546e313b4ce7057c51a8cc6a3ace9d7e"


async def test_pkce_login_gives_wallet_and_identity_and_the_same_again(coded: CodeWorld) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC))
    assert started == {"verifier": started["challenge"], "loginHint": "", "challenge": started["challenge"]}
    assert len(started["challenge"]) == 43
    code = await coded.code(PUBLIC, started["challenge"])
    done = await client.call("CompleteAuth", complete("AuthCodePKCE", started["verifier"], code))
    assert done["identity"] == {"type": "OIDC", "iss": ISSUER, "sub": "alice", "email": "alice@example.com"}
    assert done["signer"] == (await pkce_login(coded, Client(coded.world)))["signer"]


async def test_form_of_the_exchange_is_that_of_the_wire(coded: CodeWorld) -> None:
    await pkce_login(coded, Client(coded.world))
    await team_login(coded, Client(coded.world))
    (pkce_headers, pkce), (_, team) = coded.posted
    assert pkce.keys() == {"client_id", "code", "code_verifier", "grant_type", "redirect_uri"}
    assert (pkce["client_id"], pkce["grant_type"], pkce["redirect_uri"]) == (PUBLIC, "authorization_code", REDIRECT)
    assert len(pkce["code_verifier"]) == 66
    assert pkce["code_verifier"].startswith("0x")
    assert team.keys() == {"client_id", "client_secret", "code", "grant_type", "redirect_uri"}
    assert "authorization" not in pkce_headers
    assert "traceid" not in pkce_headers


async def test_client_secret_goes_by_basic_where_configured(coded: CodeWorld) -> None:
    await pkce_login(coded, Client(coded.world), WEB)
    [(headers, form)] = coded.posted
    expected = base64.b64encode(f"{WEB}:{settings.WEB_CLIENT_SECRET}".encode()).decode()
    assert headers["authorization"] == f"Basic {expected}"
    assert not {"client_id", "client_secret"} & form.keys()


async def test_login_by_code_hash_with_a_generated_client_secret(coded: CodeWorld) -> None:
    code = await coded.code(TEAM)
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCode", TEAM, handle=token_handle(code).upper()))
    assert started == {"verifier": token_handle(code), "loginHint": "", "challenge": ""}
    done = await client.call("CompleteAuth", complete("AuthCode", token_handle(code), code))
    assert done["identity"]["sub"] == "alice"


@pytest.mark.parametrize("by_signer", [True, False])
async def test_defect_16_login_again_with_a_signer_completes_under_both_verifiers(
    coded: CodeWorld, by_signer: bool
) -> None:
    signer = (await team_login(coded, Client(coded.world)))["signer"]
    for mode, audience in (("AuthCode", TEAM), ("AuthCodePKCE", PUBLIC)):
        client = Client(coded.world)
        code = await coded.code(TEAM) if mode == "AuthCode" else ""
        handle = {"handle": token_handle(code)} if code else {}
        checksummed = {"keyType": signer["keyType"], "address": "0x" + signer["address"][2:].upper()}
        started = await client.call("CommitVerifier", commit(mode, audience, signer=checksummed, **handle))
        assert started["verifier"] == f"Ethereum_Secp256k1:{signer['address']}"
        code = code or await coded.code(PUBLIC, started["challenge"])
        other = token_handle(code) if mode == "AuthCode" else started["challenge"]
        verifier = started["verifier"] if by_signer else other
        done = await client.call("CompleteAuth", complete(mode, verifier, code))
        assert done["signer"] == signer
        assert (await refused(client.call("CompleteAuth", complete(mode, other, code))))[1] == "commitment not found"
        assert (await refused(client.call("CompleteAuth", complete(mode, started["verifier"], code))))[1] == (
            "commitment not found"
        )


async def test_defect_11_login_hint_is_for_the_key_that_proved_the_identity(coded: CodeWorld) -> None:
    owner, stranger = Client(coded.world), Client(coded.world)
    signer = (await pkce_login(coded, owner))["signer"]
    for mode, audience, handle in (("AuthCodePKCE", PUBLIC, ""), ("AuthCode", TEAM, "0x" + "00" * 32)):
        params = commit(mode, audience, signer=signer, handle=handle)
        assert (await stranger.call("CommitVerifier", params))["loginHint"] == ""
        assert (await owner.call("CommitVerifier", params))["loginHint"] == "alice"


async def test_somebody_else_does_not_get_the_wallet_that_was_asked_for(coded: CodeWorld) -> None:
    signer = (await pkce_login(coded, Client(coded.world)))["signer"]
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC, signer=signer))
    code = await coded.code(PUBLIC, started["challenge"], user="mallory")
    call = client.call("CompleteAuth", complete("AuthCodePKCE", started["verifier"], code))
    assert await refused(call) == (7204, "the login belongs to another signer")


async def test_another_auth_key_cannot_bring_the_code(coded: CodeWorld) -> None:
    victim, thief = Client(coded.world), Client(coded.world)
    started = await victim.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC))
    code = await coded.code(PUBLIC, started["challenge"])
    stolen = complete("AuthCodePKCE", started["verifier"], code)
    assert await refused(thief.call("CompleteAuth", stolen)) == (7200, "commitment not found")
    own = await thief.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC))
    swapped = complete("AuthCodePKCE", own["verifier"], code)
    assert await refused(thief.call("CompleteAuth", swapped)) == (7006, "invalid_grant")


async def test_code_logs_in_once(coded: CodeWorld) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC))
    params = complete("AuthCodePKCE", started["verifier"], await coded.code(PUBLIC, started["challenge"]))
    await client.call("CompleteAuth", params)
    assert await refused(client.call("CompleteAuth", params)) == (7200, "commitment not found")


async def test_wrong_code_hash_never_reaches_the_provider(coded: CodeWorld) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCode", TEAM, handle=token_handle("one")))
    wrong = complete("AuthCode", started["verifier"], "another")
    assert await refused(client.call("CompleteAuth", wrong)) == (7002, "invalid token hash")
    assert coded.posted == []


async def test_tries_are_counted_but_the_provider_s_trouble_is_not_a_try(coded: CodeWorld) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC))
    egress, coded.world.egress.ports = coded.world.egress.ports, {}
    for _ in range(limits.MAX_OTP_ATTEMPTS + 1):
        call = client.call("CompleteAuth", complete("AuthCodePKCE", started["verifier"], "code"))
        assert await refused(call) == (7104, "egress-not-listed")
    coded.world.egress.ports = egress
    for expected in [7006] * limits.MAX_OTP_ATTEMPTS + [7005]:
        call = client.call("CompleteAuth", complete("AuthCodePKCE", started["verifier"], "code"))
        assert (await refused(call))[0] == expected


@pytest.mark.parametrize(("offset_s", "passes"), [(-1, True), (1, False)])
async def test_login_by_code_lives_for_a_while(coded: CodeWorld, offset_s: int, passes: bool) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC))
    for _ in range(limits.CODE_LOGIN_S // 60):
        await coded.world.pass_time(60)
    await coded.world.pass_time(offset_s - 1)
    params = complete("AuthCodePKCE", started["verifier"], await coded.code(PUBLIC, started["challenge"]))
    if passes:
        assert await client.call("CompleteAuth", params)
    else:
        await coded.world.pass_time(1)
        assert (await refused(client.call("CompleteAuth", params)))[0] == 7004


NOT_ACCEPTED = "extract metadata: issuer or audience is not accepted"
MEMBERS = "extract metadata: metadata must contain iss, aud, and redirect_uri"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"iss": "http://idp.example.test"}, "extract metadata: issuer must be https"),
        ({"iss": "https://evil.example.test"}, NOT_ACCEPTED),
        ({"iss": "https://idp.example.test/tenant"}, NOT_ACCEPTED),
        ({"aud": "somebody-else"}, NOT_ACCEPTED),
        ({"redirect_uri": f"{REDIRECT}/"}, "extract metadata: redirect_uri is not accepted"),
        ({"redirect_uri": "javascript:alert(1)"}, "extract metadata: redirect_uri is not accepted"),
        ({"redirect_uri": REDIRECT.upper()}, "extract metadata: redirect_uri is not accepted"),
        ({"exp": "1"}, MEMBERS),
        ({"redirect_uri": None}, MEMBERS),
    ],
)
@pytest.mark.parametrize("mode", ["AuthCode", "AuthCodePKCE"])
async def test_defect_27_only_what_the_scope_lists_is_accepted(
    coded: CodeWorld, mode: str, changes: dict[str, str | None], cause: str
) -> None:
    params = commit(mode, PUBLIC, handle="0x" + "00" * 32)
    metadata = {name: value for name, value in (params["metadata"] | changes).items() if value is not None}
    call = Client(coded.world).call("CommitVerifier", params | {"metadata": metadata})
    assert await refused(call) == (7200, cause)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"identityType": "Email"}, "unsupported identity type: Email"),
        ({"handle": ""}, "handle must be the hash of the code"),
        ({"handle": "0x" + "0" * 63}, "handle must be the hash of the code"),
        ({"handle": "../" + "0" * 63}, "handle must be the hash of the code"),
        ({"signer": {"keyType": "Ethereum_Secp256k1", "address": "0x" + "11" * 20}}, "signer not found"),
    ],
)
async def test_bad_commit_has_its_cause(coded: CodeWorld, changes: dict[str, Any], cause: str) -> None:
    call = Client(coded.world).call("CommitVerifier", commit("AuthCode", TEAM, handle="0x" + "00" * 32) | changes)
    assert await refused(call) == (7200, cause)


async def test_signer_of_another_kind_of_login_is_refused(coded: CodeWorld) -> None:
    signer = (await coded.world.log_in(Client(coded.world)))["signer"]
    call = Client(coded.world).call("CommitVerifier", commit("AuthCodePKCE", PUBLIC, signer=signer))
    assert (await refused(call))[0] == 7103
    by_mail = (await pkce_login(coded, Client(coded.world)))["signer"]
    call = Client(coded.world).call("CommitVerifier", commit_params("") | {"signer": by_mail})
    assert (await refused(call))[0] == 7103


async def test_code_at_the_cap_is_sent_and_one_character_more_is_not(coded: CodeWorld) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit("AuthCodePKCE", PUBLIC))
    longest = "c" * limits.MAX_AUTHORIZATION_CODE_CHARS
    codes = {
        longest: (7006, "invalid_grant"),
        longest + "c": (7002, "code is malformed"),
        "ü": (7002, "code is malformed"),
    }
    for code, expected in codes.items():
        call = client.call("CompleteAuth", complete("AuthCodePKCE", started["verifier"], code))
        assert await refused(call) == expected
    assert len(coded.posted) == 1


async def test_token_must_carry_the_nonce_of_the_auth_key_where_the_scope_demands_it(pki_folder: Path) -> None:
    async with code_world(pki_folder, require_nonce=True) as coded:
        client, other = Client(coded.world), Client(coded.world)
        for key, passes in ((other, False), (client, True)):
            lines = f"chancery/login-nonce/1\n{SCOPE}\n{key.name}".encode()
            nonce = base64.urlsafe_b64encode(hashlib.sha256(lines).digest()).rstrip(b"=").decode()
            coded.provider.misbehaviour.claims = {"nonce": nonce}
            if passes:
                assert (await pkce_login(coded, client))["identity"]["sub"] == "alice"
            else:
                assert await refused(pkce_login(coded, client)) == (7002, "token nonce does not match")
        coded.provider.misbehaviour.claims = {}
        assert await refused(pkce_login(coded, client)) == (7002, "token nonce does not match")


async def test_keys_without_algorithm_verify_by_their_type(coded: CodeWorld) -> None:
    """Defect 18 of the original: such key sets never verified."""
    coded.provider.misbehaviour.without_algorithms = True
    assert (await pkce_login(coded, Client(coded.world)))["identity"]["sub"] == "alice"
