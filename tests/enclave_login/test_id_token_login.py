"""Logins by ID token over the wire: once, whatever the store or a restart forgets (OI-05, OI-07)."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.auth_key import parse_key
from enclave.login.id_token import login_nonce, token_handle
from protocol import limits
from tests.appliance import ISSUER, OTHER_SCOPE, SCOPE, Client, Refused
from tests.enclave_login.code_flow import PUBLIC, CodeWorld, code_world


@pytest.fixture
async def coded(pki_folder: Path) -> AsyncIterator[CodeWorld]:
    async with code_world(pki_folder) as made:
        yield made


def expiry(coded: CodeWorld) -> int:
    return coded.world.clock.wall_ms() // 1000 + 240


def issue(coded: CodeWorld, **claims: Any) -> tuple[str, int]:
    expires_s = expiry(coded)
    return coded.provider.issue_token("alice", PUBLIC, claims={"exp": expires_s} | claims), expires_s


def commit_params(handle: str, expires_s: int, scope: str = SCOPE) -> dict[str, Any]:
    metadata = {"iss": ISSUER, "aud": PUBLIC, "exp": str(expires_s)}
    return {"scope": scope, "identityType": "OIDC", "authMode": "IDToken", "metadata": metadata, "handle": handle}


def complete_params(verifier: str, token: str, scope: str = SCOPE) -> dict[str, Any]:
    params = {"scope": scope, "identityType": "OIDC", "authMode": "IDToken", "signerType": "Ethereum_Secp256k1"}
    return params | {"verifier": verifier, "answer": token}


async def log_in(client: Client, token: str, expires_s: int, scope: str = SCOPE) -> dict[str, Any]:
    started = await client.call("CommitVerifier", commit_params(token_handle(token), expires_s, scope))
    assert started == {"verifier": token_handle(token), "loginHint": "", "challenge": ""}
    return await client.call("CompleteAuth", complete_params(started["verifier"], token, scope))


async def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code, caught.value.cause


REUSED = (7200, "cannot reuse an old ID token")


@pytest.mark.parametrize("scope", [SCOPE, OTHER_SCOPE])
async def test_token_logs_in_once_whatever_key_or_scope(coded: CodeWorld, scope: str) -> None:
    token, expires_s = issue(coded)
    client = Client(coded.world)
    await log_in(client, token, expires_s)
    for again in (client, Client(coded.world)):
        assert await refused(log_in(again, token, expires_s, scope)) == REUSED


async def test_one_token_committed_by_two_keys_at_once_logs_in_one(coded: CodeWorld) -> None:
    token, expires_s = issue(coded)
    first, second = Client(coded.world), Client(coded.world)
    await first.call("CommitVerifier", commit_params(token_handle(token), expires_s))
    assert await refused(second.call("CommitVerifier", commit_params(token_handle(token), expires_s))) == REUSED
    stolen = complete_params(token_handle(token), token)
    assert await refused(second.call("CompleteAuth", stolen)) == (7200, "commitment not found")
    await first.call("CompleteAuth", stolen)


async def test_used_token_stays_used_after_a_restart(coded: CodeWorld) -> None:
    ahead_s = coded.world.clock.wall_ms() // 1000 + 20  # a provider whose clock is ahead, so that its age says nothing
    token, expires_s = issue(coded, iat=ahead_s)
    await log_in(Client(coded.world), token, expires_s)
    await coded.world.boot()
    assert await refused(log_in(Client(coded.world), token, expires_s)) == REUSED


async def test_token_from_before_a_restart_is_worth_nothing_even_if_its_record_is_rolled_back(coded: CodeWorld) -> None:
    """The host holds a token back or hides that it was used, restarts, and commits to it with a key of its own."""
    token, expires_s = issue(coded)
    before = copy.copy(coded.world.store.rows)
    await log_in(Client(coded.world), token, expires_s)
    coded.world.store.rows = before
    coded.world.clock.advance_s(1)
    await coded.world.boot()
    assert await refused(log_in(Client(coded.world), token, expires_s)) == (7002, "token is too old")
    fresh, expires_s = issue(coded)
    assert (await log_in(Client(coded.world), fresh, expires_s))["identity"]["sub"] == "alice"


async def test_token_bound_to_one_auth_key_logs_in_no_other(pki_folder: Path) -> None:
    """OI-05, where a scope demands the nonce."""
    async with code_world(pki_folder, require_nonce=True) as coded:
        owner, thief = Client(coded.world, ethereum=True), Client(coded.world)
        key = parse_key(owner.auth_key)
        assert key is not None
        token, expires_s = issue(coded, nonce=login_nonce(SCOPE, key))
        assert await refused(log_in(thief, token, expires_s)) == (7002, "token nonce does not match")
        unbound, unbound_expires_s = issue(coded)
        assert await refused(log_in(owner, unbound, unbound_expires_s)) == (7002, "token nonce does not match")
        elsewhere, elsewhere_expires_s = issue(coded, nonce=login_nonce(OTHER_SCOPE, key))
        refusal = await refused(log_in(owner, elsewhere, elsewhere_expires_s))
        assert refusal == (7002, "token nonce does not match")
        token, expires_s = issue(coded, nonce=login_nonce(SCOPE, key))
        assert (await log_in(owner, token, expires_s))["identity"]["sub"] == "alice"


async def test_login_ends_with_the_age_of_tokens_whatever_expiry_it_names(coded: CodeWorld) -> None:
    """Else whoever commits to tokens of next month fills the table for a month."""
    expires_s = coded.world.clock.wall_ms() // 1000 + 86_400
    client, handle = Client(coded.world), token_handle("some token")
    await client.call("CommitVerifier", commit_params(handle, expires_s))
    for passed_s, expected in ((limits.MAX_ID_TOKEN_AGE_S - 5, (7002, "invalid token hash")), (5, (7004, ""))):
        await coded.world.pass_time(passed_s)
        assert await refused(client.call("CompleteAuth", complete_params(handle, "another"))) == expected


async def test_metadata_that_names_another_token_endpoint_vouches_for_nobody(coded: CodeWorld) -> None:
    coded.provider.misbehaviour.metadata = {"token_endpoint": "https://evil.example.test/token"}
    token, expires_s = issue(coded)
    assert await refused(log_in(Client(coded.world), token, expires_s)) == (7104, "provider-token-endpoint")


@pytest.mark.parametrize("lie", ["https://other.example.test", "https://idp.example.test/x", None, ["x"]])
async def test_metadata_of_another_issuer_vouches_for_nobody(coded: CodeWorld, lie: Any) -> None:
    coded.provider.misbehaviour.metadata = {"issuer": lie}
    token, expires_s = issue(coded)
    code, cause = await refused(log_in(Client(coded.world), token, expires_s))
    assert (code, cause) in [(7104, "provider-issuer"), (7104, "provider-json")]
