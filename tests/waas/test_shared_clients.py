"""Tenants that share a provider's client on purpose: one user, one address, and sessions of each tenant's own."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocol import limits
from simulator.authorization import RegisteredClient
from simulator.identity_provider import IdentityProvider
from tests.appliance import AUDIENCE, ISSUER, _tls_authority
from tests.enclave_login.login_support import LoopbackEgress
from tests.evm_intents.samples import K1Key, R1Key
from tests.waas.embedded import CHAIN, Application, hash_text
from tests.waas.tenancy import TENANT_ORIGIN, TenantWorld

OTHER = "another-client"
FIRST, SECOND = "first-access-key", "second-access-key"
INVALID_SESSION = "session invalid or not found"


def clients(**changes: Any) -> list[dict[str, Any]]:
    shared = {"issuer": ISSUER, "audience": AUDIENCE, "shared_users": True} | changes
    return [shared, {"issuer": ISSUER, "audience": OTHER}]


class SharingWorld(TenantWorld):
    """Two tenants that take logins of the same two clients, of which they share one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        registered = [RegisteredClient(name, ("http://localhost:8080/callback",)) for name in (AUDIENCE, OTHER)]
        self.provider = IdentityProvider(ISSUER, registered, now_s=lambda: self.clock.wall_ms() // 1000)

    async def set_up(self) -> None:
        for project, access_key in ((501, FIRST), (502, SECOND)):
            tenant = self.tenant(project, access_key, oidc=clients())
            assert "tenant" in await self.put("CreateTenant", self.document(tenant=tenant))

    async def log_in(self, access_key: str, key: Any, *, subject: str = "ada", audience: str = AUDIENCE) -> Application:
        app = Application(self, key, access_key)
        app.headers["origin"] = TENANT_ORIGIN
        self.clock.advance_s(2)
        opened = await app.open("OIDC", *await self.token(app, subject, audience))
        app.wallet = opened["response"]["data"]["wallet"]
        return app

    async def token(self, app: Application, subject: str, audience: str) -> tuple[str, str]:
        """Verifier and answer of a login that has begun."""
        exp = self.clock.wall_ms() // 1000 + 300
        token = self.provider.issue_token(subject, audience, claims={"exp": exp, "jti": str(time.monotonic_ns())})
        verifier = f"{hash_text(token)};{exp}"
        await app.begin("OIDC", verifier)
        return verifier, token


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[SharingWorld]:
    made = SharingWorld(pki_folder)
    async with contextlib.AsyncExitStack() as stack:
        context = _tls_authority().issue("idp.example.test").server_context()
        served = await stack.enter_async_context(await made.provider.serve("127.0.0.1", 0, context))
        made.egress = LoopbackEgress({("idp.example.test", 443): served.port})
        await made.boot()
        stack.push_async_callback(made.stop)
        await made.set_up()
        yield made


async def signed(app: Application) -> dict[str, Any]:
    app.world.clock.advance_s(1)
    return await app.of_wallet("signMessage", network=str(CHAIN), message="0x12")


async def test_shared_client_gives_the_same_address_and_another_client_another(world: SharingWorld) -> None:
    first = await world.log_in(FIRST, K1Key())
    second = await world.log_in(SECOND, R1Key())
    assert first.wallet == second.wallet
    assert (await signed(first))["code"] == (await signed(second))["code"] == "signedMessage"
    others = {(await world.log_in(key, K1Key(), audience=OTHER)).wallet for key in (FIRST, SECOND)}
    assert len(others | {first.wallet}) == 3
    eve = await world.log_in(FIRST, R1Key(), subject="eve")
    assert eve.wallet not in others | {first.wallet}


async def test_sessions_of_one_tenant_are_none_of_another(world: SharingWorld) -> None:
    app = await world.log_in(FIRST, K1Key())
    app.headers["x-access-key"] = SECOND
    assert (await signed(app))["cause"] == INVALID_SESSION
    second = await world.log_in(SECOND, R1Key())
    listed = (await second.of_wallet("listSessions"))["data"]
    assert [each["id"] for each in listed] == [second.key.id]
    assert (await second.send("closeSession", {"sessionId": app.key.id}))["code"] == "sessionClosed"
    app.headers["x-access-key"] = FIRST
    assert (await signed(app))["code"] == "signedMessage"


async def test_tenant_that_no_longer_shares_ends_the_sessions_of_shared_users(world: SharingWorld) -> None:
    app = await world.log_in(FIRST, K1Key())
    alone = world.tenant(501, FIRST, oidc=clients(shared_users=False))
    await world.put("UpdateTenant", world.document(2, tenant=alone))
    assert (await signed(app))["cause"] == INVALID_SESSION
    again = await world.log_in(FIRST, K1Key())
    assert again.wallet != app.wallet
    assert (await world.log_in(SECOND, R1Key())).wallet == app.wallet


async def test_shared_user_has_one_login(world: SharingWorld) -> None:
    app = await world.log_in(FIRST, K1Key())
    verifier = f"ada@example.com;{app.key.id}"
    world.clock.advance_s(2)
    begun = await app.begin("Email", verifier)
    answer = hash_text(begun["data"]["challenge"] + world.mailer.last_code())
    data = {"sessionId": app.key.id, "identityType": "Email", "verifier": verifier, "answer": answer}
    refused = await app.of_wallet("federateAccount", **data)
    assert refused["cause"] == "a shared account has one login"


async def test_full_list_of_devices_ends_the_oldest_in_whichever_tenant(
    world: SharingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_DEVICES_PER_ACCOUNT", 2)
    first = await world.log_in(FIRST, K1Key())
    second = await world.log_in(SECOND, K1Key())
    await world.log_in(SECOND, R1Key())
    assert (await signed(first))["cause"] == INVALID_SESSION
    assert (await signed(second))["code"] == "signedMessage"
