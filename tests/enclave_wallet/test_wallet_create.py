"""Creating a wallet: once for an account, from the measured template, with the login and the device in their places."""

import asyncio
from typing import Any

import coincurve
import pytest

from enclave.sequence.new_wallet import NewSigners, new_plan
from evm.address import checksum
from evm.wallet.configuration_json import parse_configuration, parse_service_configuration
from evm.wallet.context import CONTEXTS
from evm.wallet.default_wallet import Guard, Module, default_configuration
from evm.wallet.recovery.tree import RecoveryLeaf, flat
from evm.wallet.sessions.configuration import image_hash, new_tree
from evm.wallet.topology import SignerLeaf
from tests.appliance import World

from .wallet_support import (
    DAY,
    DEVICE,
    FALLBACK,
    GUARD,
    GUARD_OF_SESSIONS,
    STRANGER,
    SmartUser,
    address_of,
    refused,
    wallet_scopes,
)


async def test_new_wallet_is_the_kits_default_for_this_login_device_guard_and_recovery(user: SmartUser) -> None:
    context = CONTEXTS["Rc5"]
    identity, device = bytes.fromhex(user.signer[2:]), address_of(DEVICE)
    sessions = new_tree([identity, device])  # type: ignore[list-item]
    recovery = flat([RecoveryLeaf(device, 30 * DAY), RecoveryLeaf(identity, 90 * DAY)])  # type: ignore[arg-type]
    expected = default_configuration(
        [SignerLeaf(identity, 1)],  # type: ignore[arg-type]
        [SignerLeaf(device, 1)],
        guard=Guard(*map(address_of, (GUARD, GUARD_OF_SESSIONS, FALLBACK))),
        sessions=Module(bytes.fromhex("00000000000030Bcc832F7d657f50D6Be35C92b3"), image_hash(sessions)),  # type: ignore[arg-type]
        recovery=Module(bytes.fromhex("000000000000AB36D17eB1150116371520565205"), recovery.hash),  # type: ignore[arg-type]
    )
    assert user.created["created"] is True
    assert parse_configuration(user.created["configuration"]) == expected
    assert parse_service_configuration(user.created["service"]["configuration"]) == expected
    assert user.created["address"] == checksum(context.wallet_address(expected.image_hash))
    assert user.created["deployHash"] == user.created["imageHash"] == "0x" + expected.image_hash.hex()
    assert f'weight 1: {checksum(identity)} "your login"' in "\n".join(user.created["words"])  # type: ignore[arg-type]


async def test_addresses_are_given_for_every_context_and_the_deploy_call_for_its_own(user: SmartUser) -> None:
    found = await user.ask("Address")
    first = bytes.fromhex(found["imageHash"][2:])
    assert found["contexts"] == {name: checksum(c.wallet_address(first)) for name, c in CONTEXTS.items()}
    assert found["contexts"][found["context"]] == found["address"] == user.created["address"]
    assert found["deploy"]["to"] == checksum(CONTEXTS["Rc5"].factory)
    assert found["deploy"]["data"].startswith("0x32c02a14")
    assert found["deploy"]["data"].endswith(found["imageHash"][2:])


async def test_second_creation_finds_the_first_wallet_whatever_it_asks_for(user: SmartUser) -> None:
    again = await user.ask("Create", device=checksum(address_of(STRANGER)))
    assert again["created"] is False
    assert (again["address"], again["imageHash"]) == (user.created["address"], user.created["imageHash"])


async def test_concurrent_creations_make_one_wallet(world: World) -> None:
    users = [await SmartUser.logged_in(world) for _ in range(3)]
    keys = [coincurve.PrivateKey(bytes([n]) * 32) for n in (1, 2, 3)]
    made = await asyncio.gather(
        *(one.ask("Create", device=checksum(address_of(key))) for one, key in zip(users, keys, strict=True))
    )
    assert sorted(answer["created"] for answer in made) == [False, False, True]
    assert len({answer["address"] for answer in made}) == 1


async def test_device_is_the_auth_key_where_that_is_an_account(world: World) -> None:
    user = await SmartUser.logged_in(world, ethereum=True)
    created = await user.ask("Create")
    assert user.client.auth_key["address"] in "\n".join(created["words"])


async def test_template_that_wants_a_device_refuses_a_login_without_one(world: World) -> None:
    user = await SmartUser.logged_in(world)
    error = await refused(user.ask("Create"))
    assert (error.code, error.cause) == (7341, "wallet-create-recovery-device")


async def test_key_in_two_places_is_refused(world: World) -> None:
    user = await SmartUser.logged_in(world)
    for device in (checksum(address_of(GUARD)), user.signer):
        error = await refused(user.ask("Create", device=device))
        assert (error.code, error.cause) == (7341, "wallet-plan-signer-twice")
    error = await refused(user.ask("Create", device="0x" + "00" * 20))
    assert (error.code, error.cause) == (7341, "wallet-session-tree-identity-signer (InvalidIdentitySigner)")


async def test_passkey_stands_beside_the_login(world: World) -> None:
    user = await SmartUser.logged_in(world)
    passkey = {"requireUserVerification": True, "x": "0x" + "01" * 32, "y": "0x" + "02" * 32}
    created = await user.ask("Create", device=checksum(address_of(DEVICE)), passkey=passkey)
    assert "passkeys of Rc5" in "\n".join(created["words"])
    assert created["service"]["passkeys"][0][0] == ["0x" + "01" * 32, "0x" + "02" * 32]


async def test_recovery_key_of_the_users_own_where_the_template_has_a_place_for_it(pki_folder: object) -> None:
    own = checksum(address_of(STRANGER))
    world = World(pki_folder, scopes=wallet_scopes(recovery=[{"key": "own", "delay_s": DAY}]))  # type: ignore[arg-type]
    await world.boot()
    try:
        user = await SmartUser.logged_in(world)
        assert (await refused(user.ask("Create"))).cause == "wallet-create-recovery-own"
        created = await user.ask("Create", recovery=own)
        assert created["recovery"]["signer"] == own
    finally:
        await world.stop()


async def test_spent_nonce_creates_nothing(world: World) -> None:
    user = await SmartUser.logged_in(world)
    await user.client.own("/rpc/Session/List")
    asked = {"device": checksum(address_of(DEVICE)), "nonce": "0x1"}
    assert (await refused(user.ask("Create", **asked))).code == 7206
    assert (await refused(user.ask("Address"))).code == 7340


async def test_no_method_answers_without_a_wallet(world: World) -> None:
    user = await SmartUser.logged_in(world)
    for method in ("Address", "Configuration"):
        assert (await refused(user.ask(method))).code == 7340


async def test_other_account_sees_its_own_wallet_alone(world: World, user: SmartUser) -> None:
    other = await SmartUser.with_wallet(world, "other@example.com")
    assert other.created["address"] != user.created["address"]
    assert (await other.ask("Address"))["address"] == other.created["address"]
    stolen = other.client.own("/rpc/Wallet/Address", session=user.session)
    assert (await refused(stolen)).code == 7301


async def test_other_device_of_the_account_finds_the_wallet(world: World, user: SmartUser) -> None:
    second = await SmartUser.logged_in(world)
    assert (await second.ask("Address"))["address"] == user.created["address"]


async def test_wallet_of_another_login_in_the_accounts_place_is_found_out(world: World) -> None:
    user = await SmartUser.logged_in(world)
    method: Any = world.enclave._dispatcher._routes.signed["/rpc/Wallet/Create"]
    service = (await method.func.__self__.get()).wallet
    device = await service._calls._authorizer._devices.load(user.client.scope, user.client.name)
    foreign = NewSigners(address_of(DEVICE), None, None)
    template = world.config.scopes[0].wallet
    await service._records.create(device.login.account_id, new_plan(template, address_of(STRANGER), foreign))
    for asked in (user.ask("Address"), user.ask("SignPayload", chainId=1, message={"text": "x"})):
        assert (await refused(asked)).code == 7103


async def test_wallet_survives_a_restart(world: World, user: SmartUser) -> None:
    await world.boot()
    again = await SmartUser.logged_in(world)
    assert (await again.ask("Configuration"))["imageHash"] == user.created["imageHash"]


async def test_replayed_creation_and_address_are_refused(user: SmartUser) -> None:
    params = user.client.own_params("/rpc/Wallet/Address", session=user.session)
    envelope = user.client.envelope(params)
    await user.client.send("/rpc/Wallet/Address", envelope)
    assert (await refused(user.client.send("/rpc/Wallet/Address", envelope))).code == 7206


async def test_scope_without_a_template_has_no_wallets(pki_folder: object) -> None:
    scopes = wallet_scopes()
    del scopes[0]["wallet"]
    world = World(pki_folder, scopes=scopes)  # type: ignore[arg-type]
    await world.boot()
    try:
        user = await SmartUser.logged_in(world)
        assert (await refused(user.ask("Create"))).code == 7300
    finally:
        await world.stop()


@pytest.mark.parametrize("member", ["digest", "guard", "threshold"])
async def test_unknown_members_are_refused(user: SmartUser, member: str) -> None:
    error = await refused(user.ask("Create", **{member: "1"}))
    assert (error.code, error.cause) == (7200, "invalid params: unknown member")
