"""Client secrets that an administrator gives to the running enclave, sealed past the host (OI-16)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulator import settings
from tests.appliance import ISSUER, OTHER_SCOPE, SCOPE, Client, Refused
from tests.enclave_accounts.administration import ADMIN, Administrator
from tests.enclave_login.code_flow import PUBLIC, TEAM, WEB, CodeWorld, code_world, pkce_login
from tests.enclave_login.test_auth_code import team_login

CANARY = "canary-of-a-client-secret"


@pytest.fixture
def administrator() -> Administrator:
    return Administrator()


@pytest.fixture
async def coded(pki_folder: Path, administrator: Administrator) -> AsyncIterator[CodeWorld]:
    """All confidential clients wait for their secrets."""
    async with code_world(pki_folder, admins=[administrator.key()], provisioned=True) as made:
        administrator.client.world = made.world
        yield made


async def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code, caught.value.cause


async def provision(administrator: Administrator, secret: Any, audience: str = WEB, **members: Any) -> dict[str, Any]:
    named = {"scope": SCOPE, "issuer": ISSUER, "audience": audience, "secret": secret} | members
    envelope = administrator.client.envelope(administrator.params("SetClientSecret", **named))
    return await administrator.client.world.sealed(f"{ADMIN}SetClientSecret", envelope)


async def test_provisioned_secret_is_what_the_provider_gets(coded: CodeWorld, administrator: Administrator) -> None:
    missing = (7104, "provider-client-secret")
    assert await refused(pkce_login(coded, Client(coded.world), WEB)) == missing
    assert coded.posted == []
    assert await provision(administrator, {"value": settings.WEB_CLIENT_SECRET}) == {}
    await coded.world.boot()
    assert await pkce_login(coded, Client(coded.world), WEB)
    assert await provision(administrator, {"value": "another"}) == {}
    assert await refused(pkce_login(coded, Client(coded.world), WEB)) == (7006, "invalid_client")
    assert await refused(team_login(coded, Client(coded.world))) == missing


async def test_key_of_generated_secrets_can_be_provisioned(coded: CodeWorld, administrator: Administrator) -> None:
    secret = settings.oidc_clients()[2]["client_secret"]
    secret["generate_jwt"]["claims"]["aud"] = ISSUER
    await provision(administrator, secret, TEAM)
    assert (await team_login(coded, Client(coded.world)))["identity"]["sub"] == "alice"


async def test_secret_of_one_scope_is_not_that_of_another(coded: CodeWorld, administrator: Administrator) -> None:
    await provision(administrator, {"value": settings.WEB_CLIENT_SECRET}, scope=OTHER_SCOPE)
    assert await refused(pkce_login(coded, Client(coded.world), WEB)) == (7104, "provider-client-secret")


async def test_secret_is_taken_from_an_administrator_and_sealed_only(
    coded: CodeWorld, administrator: Administrator
) -> None:
    members = {"scope": SCOPE, "issuer": ISSUER, "audience": WEB, "secret": {"value": CANARY}}
    in_the_clear = administrator.call("SetClientSecret", **members)
    assert await refused(in_the_clear) == (7200, "a secret comes through the sealed channel only")
    stranger = Client(coded.world)
    envelope = stranger.envelope(administrator.params("SetClientSecret", **members))
    assert (await refused(coded.world.sealed(f"{ADMIN}SetClientSecret", envelope)))[0] == 7007
    assert "client-secret" not in {table for table, _ in coded.world.store.rows}


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ({"audience": PUBLIC}, "no client of that name takes a secret"),
        ({"audience": "nobody"}, "no client of that name takes a secret"),
        ({"issuer": "https://evil.example.test"}, "no client of that name takes a secret"),
        ({"secret": {"value": ""}}, "invalid secret"),
        ({"secret": {"value": f"{CANARY}\n"}}, "invalid secret"),
        ({"secret": {"value": CANARY, "more": 1}}, "invalid secret"),
        ({"secret": CANARY}, "invalid secret"),
        ({"secret": None}, "invalid secret"),
        ({"secret": {"generate_jwt": {"claims": {}, "signing_key": CANARY}}}, "invalid secret"),
        ({"more": 1}, "unknown member"),
    ],
)
async def test_what_is_no_secret_of_a_client_is_refused_without_a_word_of_it(
    coded: CodeWorld,
    administrator: Administrator,
    members: dict[str, Any],
    cause: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    found = {"secret": {"value": CANARY}} | members
    refusal = await refused(provision(administrator, **found))
    assert refusal == (7200, f"invalid params: {cause}")
    assert CANARY not in "".join(capfd.readouterr())
    assert "client-secret" not in {table for table, _ in coded.world.store.rows}


async def test_store_does_not_show_the_secret(coded: CodeWorld, administrator: Administrator) -> None:
    await provision(administrator, {"value": CANARY})
    stored = [row.value for (table, _), row in coded.world.store.rows.items() if table == "client-secret"]
    assert len(stored) == 1
    assert CANARY.encode() not in stored[0]
