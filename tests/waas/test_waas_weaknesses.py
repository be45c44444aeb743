"""What the original leaves open in its rows, logs and administration, and this service does not."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from evm.address import parse_address
from protocol.frames import Request
from tests.appliance import World
from tests.evm_intents.samples import K1Key, R1Key
from tests.waas.embedded import CHAIN, Application, hash_text


def rows_of(world: World, table: str) -> list[Any]:
    return [key for key in world.store.rows if key[0] == table]


async def signed_in(world: World, address: str = "ada@example.com") -> Application:
    app = Application(world)
    await app.sign_in_by_mail(address)
    return app


async def answer_to_sign_in(app: Application, address: str = "ada@example.com") -> dict[str, Any]:
    verifier = f"{address};{app.key.id}"
    begun = await app.begin("Email", verifier)
    return await app.open("Email", verifier, hash_text(begun["data"]["challenge"] + app.world.mailer.last_code()))


@pytest.mark.parametrize("table", ["account", "login", "wallet"])
async def test_weakness_2_rows_that_somebody_wrote_are_believed_in_nothing(world: World, table: str) -> None:
    app = await signed_in(world)
    [row] = rows_of(world, table)
    await world.boot()
    world.clock.advance_s(2)
    kept = world.store.rows[row]
    world.store.rows[row] = replace(kept, value=kept.value[:-1] + bytes([kept.value[-1] ^ 1]))
    assert (await answer_to_sign_in(app))["error"] == "DataIntegrityError"
    world.store.rows[row] = kept
    world.clock.advance_s(2)
    assert (await answer_to_sign_in(app))["response"]["data"]["wallet"] == app.wallet


@pytest.mark.parametrize("table", ["account", "login", "wallet"])
async def test_weakness_4_rows_of_two_users_cannot_change_places(world: World, table: str) -> None:
    await signed_in(world)
    world.clock.advance_s(2)
    app = Application(world, R1Key())
    await app.sign_in_by_mail("eve@example.com")
    first, second = rows_of(world, table)
    rows = world.store.rows
    rows[first], rows[second] = rows[second], rows[first]
    await world.boot()
    world.clock.advance_s(2)
    assert (await answer_to_sign_in(app, "eve@example.com"))["error"] in ("DataIntegrityError", "StaleRecord")


@pytest.mark.parametrize("verifier", ["x", ";", "0x12;", "0x" + "11" * 32, "0x" + "11" * 32 + ";tomorrow", ";" * 100])
@pytest.mark.parametrize("token", ["", "x", "a.b.c", "...", "e30.e30.e30"])
async def test_weakness_11_malformed_tokens_and_verifiers_are_refused_and_break_nothing(
    world: World, verifier: str, token: str
) -> None:
    app = Application(world)
    await app.begin("OIDC", verifier)
    answer = await app.open("OIDC", verifier, token or hash_text(""))
    assert answer["status"] == 400
    assert world.enclave._dispatcher.failures == 0


async def test_weakness_13_nothing_of_an_intent_is_logged(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    app = Application(world, K1Key(b"\x41" * 32))
    await app.sign_in_by_mail("canary@example.com")
    await app.of_wallet("signMessage", network=str(CHAIN), message="0x" + b"canary".hex())
    await app.of_wallet("signMessage", network="0", message="0x" + b"canary".hex())
    out, err = capfd.readouterr()
    told = (out + err).lower()
    for canary in ("canary", b"canary".hex(), app.wallet.lower(), app.key.id.lower()):
        assert canary not in told
    assert parse_address(app.wallet).hex() not in told


async def test_weakness_14_image_without_officers_has_no_administration_to_take_over(world: World) -> None:
    """All its tenants are part of the measured configuration: no call changes one."""
    for method in ("CreateTenant", "UpdateTenant", "GetTenant", "ProcessMigrationBatch"):
        request = Request(1, f"POST /rpc/WaasAuthenticatorAdmin/{method}", {"content-type": "application/json"}, b"{}")
        answer = await world.enclave.answer(request)
        assert (answer.status, json.loads(answer.body)["error"]) == (404, "WebrpcBadRoute")
