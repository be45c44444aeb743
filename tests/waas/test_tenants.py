"""Tenants that no image names: who puts one in force, what it can be, and how far one is from another."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.errors import BootError
from protocol import limits
from simulator.delegations import delegations
from tests.appliance import config
from tests.waas.embedded import ACCESS_KEY, CHAIN, TEMPLATE, Application, hash_text, scopes
from tests.waas.tenancy import (
    OFFICERS,
    PROJECT,
    STRANGER,
    TENANT_KEY,
    TENANT_ORIGIN,
    TenantWorld,
    hashed,
    tenancy,
)


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[TenantWorld]:
    made = TenantWorld(pki_folder)
    await made.boot()
    yield made
    await made.stop()


def application(world: TenantWorld, access_key: str = TENANT_KEY, key: Any = None) -> Application:
    app = Application(world, key, access_key)
    app.headers["origin"] = TENANT_ORIGIN
    return app


async def test_tenant_in_force_is_served_like_a_measured_one(world: TenantWorld) -> None:
    app = application(world)
    assert (await app.begin("Guest", app.key.id))["error"] == "AccessError"
    made = await world.put("CreateTenant", world.document())
    assert made["upgradeCode"] == ""
    assert made["tenant"]["version"] == 1
    world.clock.advance_s(2)
    await app.sign_in_by_mail("ada@example.com")
    signed = await app.of_wallet("signMessage", network=str(CHAIN), message="0x12")
    assert signed["code"] == "signedMessage"
    wallet = app.wallet
    await world.boot()
    await app.sign_in_by_mail("ada@example.com")
    assert app.wallet == wallet


async def test_owners_of_a_tenants_accounts_are_told_of_new_logins(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    world.clock.advance_s(2)
    app = application(world)
    await app.sign_in_by_mail("ada@example.com")
    begun = await app.begin("Email", f"ada@work.example;{app.key.id}")
    answer = hash_text(begun["data"]["challenge"] + world.mailer.last_code())
    verifier = f"ada@work.example;{app.key.id}"
    linked = await app.of_wallet(
        "federateAccount", sessionId=app.key.id, identityType="Email", verifier=verifier, answer=answer
    )
    assert linked["code"] == "accountFederated"
    told = [(mail["To"], mail["Subject"]) for mail in world.mailer.sent[-2:]]
    assert told == [(to, "A way to log in was added to your account") for to in ("ada@example.com", "ada@work.example")]


async def test_users_sessions_and_addresses_are_a_projects_own(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    await world.put("CreateTenant", world.document(tenant=world.tenant(501, "another-access-key")))
    wallets = set()
    app = application(world)
    for access_key in (TENANT_KEY, "another-access-key"):
        app.headers["x-access-key"] = access_key
        listed = await app.of_wallet("listSessions") if app.wallet else {"cause": "session invalid or not found"}
        assert listed["cause"] == "session invalid or not found", "a session of one tenant is none of another"
        world.clock.advance_s(2)
        await app.sign_in_by_mail("ada@example.com")
        wallets.add(app.wallet)
    measured = Application(world)
    world.clock.advance_s(2)  # an intent is good once, whoever's key it comes with
    await measured.sign_in_by_mail("ada@example.com")
    assert len(wallets | {measured.wallet}) == 3


async def test_weakness_14_one_officer_or_strangers_change_nothing(world: TenantWorld) -> None:
    document = world.document()
    for keys in ((OFFICERS[0],), (OFFICERS[0], OFFICERS[0]), (STRANGER, OFFICERS[0], OFFICERS[1])):
        assert (await world.put("CreateTenant", document, *keys))["error"] == "Unauthorized"
    nobody = {"document": document.decode(), "approvals": []}
    assert (await world.ask("CreateTenant", nobody))["error"] == "Unauthorized"
    other = world.document(2)
    moved = {"document": document.decode(), "approvals": world.approvals(other)}
    assert (await world.ask("CreateTenant", moved))["error"] == "InvalidSignature", "signed for another document"
    assert (await world.read("GetTenant", projectId=PROJECT))["error"] == "TenantNotFound"


async def test_version_only_rises(world: TenantWorld) -> None:
    assert (await world.put("UpdateTenant", world.document(3)))["error"] == "TenantNotFound"
    await world.put("CreateTenant", world.document(3))
    assert (await world.put("CreateTenant", world.document(4)))["error"] == "TenantConflict"
    for version in (2, 3):
        assert (await world.put("UpdateTenant", world.document(version)))["error"] == "TenantConflict"
    updated = await world.put("UpdateTenant", world.document(4))
    assert updated["tenant"]["version"] == 4
    await world.boot()
    assert (await world.put("UpdateTenant", world.document(4)))["error"] == "TenantConflict"


async def test_older_document_is_refused_within_a_boot_and_one_of_another_tenant_always(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    older = world.store.snapshot()
    await world.put("UpdateTenant", world.document(2))
    newer, world.store.rows = world.store.rows, older
    assert (await world.read("GetTenant", projectId=PROJECT))["error"] == "StaleRecord"
    app = application(world)
    assert (await app.begin("Guest", app.key.id))["error"] == "StaleRecord"
    world.store.rows = newer
    await world.put("CreateTenant", world.document(tenant=world.tenant(501, "another-access-key")))
    first, second = (place for place in world.store.rows if place[0] == "tenant")
    rows = world.store.rows
    rows[first], rows[second] = rows[second], rows[first]
    await world.boot()
    assert (await world.read("GetTenant", projectId=PROJECT))["error"] == "DataIntegrityError"


async def test_update_counts_at_once(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    app = application(world)
    await app.sign_in_as_guest()
    new_origin = "https://new.example.test"
    changed = world.tenant(origins=[new_origin], embedded={"access_key_hashes": [hashed("rotated-key")]})
    await world.put("UpdateTenant", world.document(2, tenant=changed))
    app.headers["x-access-key"] = "rotated-key"
    assert (await app.of_wallet("listSessions"))["error"] == "AccessError", "the origin is no longer one"
    app.headers["origin"] = new_origin
    app.headers["x-access-key"] = TENANT_KEY
    assert (await app.of_wallet("listSessions"))["error"] == "AccessError", "nor is the key"
    app.headers["x-access-key"] = "rotated-key"
    assert (await app.of_wallet("listSessions"))["error"] == "SessionMismatch", "a session belongs to its origin"


async def test_tenant_says_which_logins_it_takes_and_how_long_sessions_last(world: TenantWorld) -> None:
    closed = world.tenant(email_login=False, oidc=[], embedded={"guest_login": False, "session_s": 60})
    await world.put("CreateTenant", world.document(tenant=closed))
    app = application(world)
    for kind, verifier in {"Guest": app.key.id, "Email": f"ada@example.com;{app.key.id}"}.items():
        assert (await app.begin(kind, verifier))["code"] == 7200
    await world.put("UpdateTenant", world.document(2, tenant=world.tenant(embedded={"session_s": 60})))
    world.clock.advance_s(2)
    await app.sign_in_as_guest()
    assert (await app.of_wallet("listSessions"))["code"] == "sessionList"
    await world.pass_time(61)
    assert (await app.of_wallet("listSessions"))["cause"] == "session invalid or not found"


async def test_wallets_of_a_tenant_may_have_a_guard(world: TenantWorld) -> None:
    keys = dict.fromkeys(("wallet", "sessions", "fallback"), "0x" + "9a" * 20)
    guarded = world.tenant(wallet=TEMPLATE | {"guard": keys})
    assert "tenant" in await world.put("CreateTenant", world.document(tenant=guarded))
    app = application(world)
    await app.sign_in_as_guest()
    refused = await app.of_wallet("signMessage", network=str(CHAIN), message="0x12")
    assert refused["cause"] == "guard-unknown", "the login alone completes nothing"


async def test_right_that_was_taken_away_is_gone_for_sessions_that_exist(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    app = application(world)
    await app.sign_in_as_guest()
    await world.put("UpdateTenant", world.document(2, tenant=world.tenant(rights=[])))
    refused = await app.of_wallet("signMessage", network=str(CHAIN), message="0x12")
    assert refused["error"] == "RightNotGranted"


async def test_access_key_is_one_tenants_and_free_once_it_was_given_up(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    thief = world.document(tenant=world.tenant(501))
    assert (await world.put("CreateTenant", thief))["error"] == "TenantConflict"
    without = world.tenant(embedded={"access_key_hashes": [hashed("rotated-key")]})
    await world.put("UpdateTenant", world.document(2, tenant=without))
    assert (await world.put("CreateTenant", thief))["tenant"]["projectId"] == 501
    chains = await application(world).call("ChainList", {})
    assert chains["chains"][0]["id"] == CHAIN


async def test_two_tenants_that_claim_a_key_at_once_do_not_both_get_it(world: TenantWorld) -> None:
    first, second = (world.document(tenant=world.tenant(number)) for number in (501, 502))
    answers = await asyncio.gather(world.put("CreateTenant", first), world.put("CreateTenant", second))
    assert sorted("tenant" in answer for answer in answers) == [False, True]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("tenant-scope", {"scope": "@501"}),
        ("tenant-scope", {"scope": "@500:games"}),
        ("tenant-rights", {"rights": ["sign_digest"]}),
        ("tenant-member", {"passkey_rp_id": "game.example.test"}),
        ("tenant-member", {"delegations": delegations()}),
        ("tenant-access-key", {"embedded": {"access_keys": ["plain-access-key"]}}),
        ("tenant-access-key", {"embedded": {"access_key_hashes": [hashed(ACCESS_KEY)]}}),
        ("tenant-embedded", {"embedded": {"access_key_hashes": []}}),
        ("tenant-embedded", {"wallet": None}),
        ("tenant-origin", {"origins": ["https://*"]}),
        ("tenant-mail-template", {"email_subject": "Your code {auth_code} {scope}"}),
        ("tenant-mail-template", {"email_intro": "Hello {name}"}),
        ("tenant-email", {"email_sender": "a@b.test\r\nBcc: eve@example.test"}),
        ("tenant-provider-host", {"oidc": [{"issuer": "https://evil.example", "audience": "a"}]}),
        ("tenant-provider", {"oidc": [{"issuer": "http://idp.example.test", "audience": "a"}]}),
        ("tenant-malformed", {"unknown": 1}),
        ("tenant-malformed", {"origins": []}),
    ],
)
async def test_document_that_no_tenant_can_have_is_refused_by_name(
    world: TenantWorld, code: str, change: dict[str, Any]
) -> None:
    refused = await world.put("CreateTenant", world.document(tenant=world.tenant(**change)))
    assert (refused["error"], refused["cause"]) == ("InvalidRequest", code)


async def test_secrets_and_endpoints_of_providers_are_measured_only(world: TenantWorld) -> None:
    for more in (
        {"client_authentication": "client_secret_post", "client_secret": {"value": "secret"}},
        {"redirect_uris": ["https://game.example.test/"], "token_endpoint": "https://idp.example.test/token"},
        {"tls_roots": "-----BEGIN CERTIFICATE-----"},
    ):
        oidc = [{"issuer": "https://idp.example.test", "audience": "a"} | more]
        refused = await world.put("CreateTenant", world.document(tenant=world.tenant(oidc=oidc)))
        assert refused["cause"] == "tenant-provider-settings"


async def test_measured_projects_stay_measured(world: TenantWorld) -> None:
    for project in (123, 7):
        refused = await world.put("CreateTenant", world.document(tenant=world.tenant(project)))
        assert refused["cause"] == "tenant-measured"
    found = (await world.read("GetTenant", projectId=7))["tenant"]
    assert (found["projectId"], found["version"]) == (7, 0)


async def test_document_is_for_this_deployment_and_for_a_while(world: TenantWorld) -> None:
    elsewhere = world.document(deployment="another-deployment")
    assert (await world.put("CreateTenant", elsewhere))["cause"] == "tenant-deployment"
    now_s = world.clock.wall_ms() // 1000
    for at_s in (now_s - 1, now_s + limits.MAX_TENANT_PENDING_S + 5):
        late = world.document(activate_before_s=at_s)
        assert (await world.put("CreateTenant", late))["error"] == "RequestExpired"
    assert "tenant" in await world.put(
        "CreateTenant", world.document(activate_before_s=now_s + limits.MAX_TENANT_PENDING_S)
    )


async def test_one_document_has_one_spelling_and_a_bound(world: TenantWorld) -> None:
    canonical = world.document()
    spaced = json.dumps(json.loads(canonical)).encode()
    assert (await world.put("CreateTenant", spaced))["cause"] == "tenant-not-canonical"
    twice = canonical.replace(b'"version":1', b'"version":1,"version":1')
    assert (await world.put("CreateTenant", twice))["cause"] == "tenant-malformed"


async def test_document_and_approvals_at_their_caps_pass_and_no_more(world: TenantWorld) -> None:
    fixed = {"activate_before_s": world.clock.wall_ms() // 1000 + 3600}

    def sized(clients: int, intro: int) -> bytes:
        oidc = [{"issuer": "https://idp.example.test", "audience": f"{n:0200}"} for n in range(clients)]
        return world.document(tenant=world.tenant(oidc=oidc, email_intro="y" * intro), **fixed)

    clients = next(n for n in range(200) if limits.MAX_TENANT_BYTES - len(sized(n, 1)) < 400)
    missing = limits.MAX_TENANT_BYTES - len(sized(clients, 1))
    for size, error in ((missing + 1, "WebrpcBadRequest"), (missing, None)):
        document = sized(clients, 1 + size)
        many = world.approvals(document) * (limits.MAX_APPROVALS // 2)
        body = {"document": document.decode(), "approvals": many}
        too_many = body | {"approvals": [*many, many[0]]}
        assert (await world.ask("CreateTenant", too_many))["error"] == "WebrpcBadRequest"
        assert (await world.ask("CreateTenant", body)).get("error") == error


async def test_project_that_a_request_names_is_that_of_its_key(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    app = application(world)
    app.headers["x-sequence-project"] = "501"
    assert (await app.begin("Guest", app.key.id))["error"] == "AccessError"
    world.clock.advance_s(2)
    app.headers["x-sequence-project"] = str(PROJECT)
    assert "response" in await app.sign_in_as_guest()


async def test_nothing_is_looked_up_for_who_has_signed_nothing(world: TenantWorld) -> None:
    app = application(world)
    world.store.down = True
    forged = app.intent("initiateAuth", {"sessionId": app.key.id, "identityType": "Guest", "verifier": app.key.id})
    forged["signatures"][0]["signature"] = "0x" + "11" * 65
    refused = await app.call("SendIntent", {"intent": forged})
    assert refused["cause"] == "intent is invalid: invalid signature"


@pytest.mark.parametrize("quorum", [0, 1, 4])
def test_quorum_is_two_at_least_and_can_be_met(quorum: int) -> None:
    with pytest.raises(BootError, match="config-tenancy-quorum"):
        config(scopes=scopes(), tenancy=tenancy(quorum=quorum))


def test_officers_are_needed_and_different(pki_folder: Path) -> None:
    [first, *others] = tenancy()["officers"]
    with pytest.raises(BootError, match="config-malformed"):
        config(scopes=scopes(), tenancy=tenancy(officers=[]))
    with pytest.raises(BootError, match="config-admin"):
        config(scopes=scopes(), tenancy=tenancy(officers=[first, {**first, "name": "again"}, *others]))
