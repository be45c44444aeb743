"""The published service of administrators: who may read, by which proof, and what it says."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from enclave.errors import BootError
from protocol import limits
from tests.appliance import AUDIENCE, ISSUER, PCRS, config
from tests.waas.embedded import scopes
from tests.waas.tenancy import OFFICERS, PROJECT, STRANGER, TENANT_ORIGIN, TenantWorld, tenancy

ADMIN_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
TOKENS_FOR = "https://appliance.example.test"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[TenantWorld]:
    made = TenantWorld(pki_folder, {"admin_tokens": {"public_key": pem(ADMIN_KEY), "audience": TOKENS_FOR}})
    await made.boot()
    yield made
    await made.stop()


def token(world: TenantWorld, key: Any = ADMIN_KEY, *, alg: str = "RS256", **changes: Any) -> str:
    now_s = world.clock.wall_ms() // 1000
    claims = {"aud": TOKENS_FOR, "iat": now_s, "exp": now_s + 600, "roles": ["reader"]} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    wrapped = key if isinstance(key, OctKey) else RSAKey.import_key(key)
    return jwt.encode({"alg": alg}, kept, wrapped, algorithms=[alg])


async def with_token(world: TenantWorld, text: str, method: str = "Clock", body: Any = None) -> dict[str, Any]:
    return await world.ask(method, body or {}, authorization=f"BEARER {text}")


async def test_officer_and_token_read_the_same(world: TenantWorld) -> None:
    await world.put("CreateTenant", world.document())
    by_officer = (await world.read("GetTenant", projectId=PROJECT))["tenant"]
    by_token = (await with_token(world, token(world), "GetTenant", {"projectId": PROJECT}))["tenant"]
    assert by_officer == by_token
    assert by_token["oidcProviders"] == [{"iss": ISSUER, "aud": [AUDIENCE]}]
    assert by_token["allowedOrigins"] == [TENANT_ORIGIN]
    assert (by_token["authConfig"]["email"], by_token["authConfig"]["twitter"]) == (
        {"enabled": True},
        {"enabled": False},
    )
    assert json.loads(by_token["document"])["version"] == 1
    status = (await with_token(world, token(world), "RuntimeStatus"))["status"]
    assert (status["healthOK"], status["pcr0"]) == (True, PCRS[0].hex())
    assert (await with_token(world, token(world), "Version"))["version"]["appVersion"] == status["ver"]
    assert (await with_token(world, token(world)))["serverTime"].endswith("Z")


async def test_weakness_14_tokens_need_audience_expiry_and_role(world: TenantWorld) -> None:
    now_s = world.clock.wall_ms() // 1000
    for changes in (
        {"aud": None}, {"aud": "https://elsewhere.example"}, {"exp": None}, {"iat": None}, {"roles": None},
        {"roles": []}, {"roles": "reader"}, {"roles": ["admin"]}, {"exp": now_s - 1}, {"iat": now_s + 120},
        {"iat": now_s, "exp": now_s + limits.MAX_BEARER_LIFE_S + 1}, {"exp": str(now_s + 60)},
    ):  # fmt: skip
        assert (await with_token(world, token(world, **changes)))["error"] == "Unauthorized", changes
    assert "serverTime" in await with_token(world, token(world, aud=["x", TOKENS_FOR]))
    assert "serverTime" in await with_token(world, token(world, iat=now_s, exp=now_s + limits.MAX_BEARER_LIFE_S))


async def test_tokens_of_another_key_or_algorithm_are_none(world: TenantWorld) -> None:
    confused = OctKey.import_key(hashlib.sha256(pem(ADMIN_KEY).encode()).digest())
    head, body, _ = token(world).split(".")
    for text in (
        token(world, OTHER_KEY), token(world, alg="PS256"), token(world, confused, alg="HS256"),
        f"{head}.{body}.", "eyJhbGciOiJub25lIn0." + body + ".", "", "x", "x" * 9000,
    ):  # fmt: skip
        assert (await with_token(world, text))["error"] == "Unauthorized"
    assert (await world.ask("Clock", {}, authorization="Basic x"))["error"] == "Unauthorized"


async def test_token_changes_nothing(world: TenantWorld) -> None:
    document = world.document()
    body = {"document": document.decode(), "approvals": []}
    assert (await with_token(world, token(world), "CreateTenant", body))["error"] == "Unauthorized"
    published = {"projectId": PROJECT, "oidcProviders": [], "allowedOrigins": []}
    assert (await with_token(world, token(world), "UpdateTenant", published))["error"] == "WebrpcBadRequest"


async def test_nobody_else_reads(world: TenantWorld) -> None:
    assert (await world.read("Clock", STRANGER))["error"] == "AccessError"
    assert (await world.ask("Clock", {}))["error"] == "InvalidRequest"
    envelope = world.envelope("Clock", OFFICERS[0])
    assert "serverTime" in await world.ask("Clock", envelope)
    assert (await world.ask("Clock", envelope))["error"] == "PreconditionFailed", "a call is good once"
    assert (await world.ask("Version", world.envelope("Clock", OFFICERS[0])))["error"] == "InvalidRequest"


@pytest.mark.parametrize("project", [0, -1, 1.5, "500", None, True])
async def test_odd_project_numbers_are_refused(world: TenantWorld, project: Any) -> None:
    assert (await world.read("GetTenant", projectId=project))["error"] == "WebrpcBadRequest"


async def test_migrations_are_refused_under_their_names(world: TenantWorld) -> None:
    for method in ("NextMigrationBatch", "ProcessMigrationBatch"):
        refused = await world.read(method, migration="OIDCToEmail", projectId=PROJECT)
        assert (refused["error"], refused["cause"]) == ("WebrpcEndpoint", "there are no migrations")


async def test_image_without_officers_has_no_administration_and_one_without_a_key_takes_no_token(
    pki_folder: Path,
) -> None:
    made = TenantWorld(pki_folder)
    await made.boot()
    try:
        assert (await with_token(made, token(made)))["error"] == "InvalidRequest"
    finally:
        await made.stop()


@pytest.mark.parametrize("key", ["nonsense", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_key_of_tokens_is_a_strong_one(key: str) -> None:
    with pytest.raises(BootError, match="config-tenancy-key"):
        config(scopes=scopes(), tenancy=tenancy(admin_tokens={"public_key": key, "audience": "a"}))
