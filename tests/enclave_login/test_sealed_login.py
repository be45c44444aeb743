"""Logins through the sealed channel: every mode, and nothing else where the scope says so (CH-01, OI-15, OT-04)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.login.id_token import token_handle
from tests.appliance import ISSUER, SCOPE, Client, Refused, commit_params, complete_params, otp_answer
from tests.enclave_login import code_flow
from tests.enclave_login.code_flow import PUBLIC, TEAM, CodeWorld, code_world

REQUIRED = ("SealedLoginRequired", 7319)


@pytest.fixture
async def coded(pki_folder: Path) -> AsyncIterator[CodeWorld]:
    """An enclave whose scopes take sealed logins only."""
    async with code_world(pki_folder, of_scope={"plain_login": False}) as made:
        yield made


async def refused(call: Any) -> tuple[str, int]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.name, caught.value.code


async def started_login(coded: CodeWorld, mode: str, client: Client) -> tuple[dict[str, Any], Any]:
    """Params of CommitVerifier, and what makes those of CompleteAuth from its result."""
    if mode == "OTP":

        async def by_mail(started: dict[str, Any]) -> dict[str, Any]:
            answer = otp_answer(started["challenge"], coded.world.mailer.last_code())
            return complete_params(started["verifier"], answer)

        return commit_params("user@example.com"), by_mail
    if mode == "IDToken":
        expires_s = coded.world.clock.wall_ms() // 1000 + 240
        token = coded.provider.issue_token("alice", PUBLIC, claims={"exp": expires_s})
        params = code_flow.commit(mode, PUBLIC, handle=token_handle(token))
        params["metadata"] = {"iss": ISSUER, "aud": PUBLIC, "exp": str(expires_s)}

        async def by_token(started: dict[str, Any]) -> dict[str, Any]:
            return code_flow.complete(mode, started["verifier"], token)

        return params, by_token
    audience = TEAM if mode == "AuthCode" else PUBLIC
    code = await coded.code(TEAM) if mode == "AuthCode" else ""

    async def by_code(started: dict[str, Any]) -> dict[str, Any]:
        return code_flow.complete(mode, started["verifier"], code or await coded.code(audience, started["challenge"]))

    return code_flow.commit(mode, audience, handle=token_handle(code)), by_code


@pytest.mark.parametrize("mode", ["OTP", "IDToken", "AuthCode", "AuthCodePKCE"])
async def test_every_mode_is_taken_sealed_and_refused_in_the_clear(coded: CodeWorld, mode: str) -> None:
    client = Client(coded.world)
    params, finish = await started_login(coded, mode, client)
    assert await refused(client.call("CommitVerifier", params)) == REQUIRED
    assert coded.world.mailer.sent == []
    started = await client.call("CommitVerifier", params, sealed=True)
    answer = await finish(started)
    assert await refused(client.call("CompleteAuth", answer)) == REQUIRED
    done = await client.call("CompleteAuth", answer, sealed=True)
    assert done["signer"]["address"].startswith("0x")
    assert (await client.sign(done["signer"]["address"], bytes(32)))["signature"], "what is no login may come plain"


async def test_refusal_in_the_clear_counts_no_try(coded: CodeWorld) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit_params("user@example.com"), sealed=True)
    for _ in range(5):
        assert await refused(client.call("CompleteAuth", complete_params(started["verifier"], "0x00"))) == REQUIRED
    answer = otp_answer(started["challenge"], coded.world.mailer.last_code())
    assert await client.call("CompleteAuth", complete_params(started["verifier"], answer), sealed=True)


async def test_scope_that_says_nothing_takes_no_plain_login(pki_folder: Path) -> None:
    async with code_world(pki_folder, of_scope={"plain_login": None}) as coded:
        assert (
            await refused(Client(coded.world).call("CommitVerifier", commit_params("a@example.com", SCOPE))) == REQUIRED
        )


async def test_login_that_is_linked_has_to_come_sealed_as_well(coded: CodeWorld) -> None:
    client = Client(coded.world)
    started = await client.call("CommitVerifier", commit_params("user@example.com"), sealed=True)
    answer = otp_answer(started["challenge"], coded.world.mailer.last_code())
    await client.call("CompleteAuth", complete_params(started["verifier"], answer), sealed=True)
    params, finish = await started_login(coded, "AuthCodePKCE", client)
    named = await finish(await client.call("CommitVerifier", params, sealed=True))
    members = {name: named[name] for name in ("identityType", "authMode", "verifier", "answer")}
    path = "/rpc/Account/Link"
    assert await refused(client.own(path, **members)) == REQUIRED
    linked = await coded.world.sealed(path, client.envelope(client.own_params(path, **members)))
    assert {login["type"] for login in linked["logins"]} == {"Email", "OIDC"}
