"""Freezing stops everything at once; thawing and deleting take a login from after the freeze, and time (ADR 0036)."""

from typing import Any

import pytest

from enclave.errors import StoreError
from protocol.services import Write
from tests.appliance import MemoryStore, World
from tests.enclave_accounts.people import ADA, DELAY_S, SCOPE, WORK, Person, accounts_of, code_of, refused

TRANSACTION = {"type": "0x2", "chainId": "0x1", "nonce": "0x0", "gas": "0x5208", "to": "0x" + "11" * 20}
TRANSACTION |= {"value": "0x1", "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x1", "data": "0x"}


async def two_devices(world: World) -> tuple[Person, Person]:
    phone, laptop = Person(world), Person(world)
    assert await phone.log_in(ADA) == await laptop.log_in(ADA)
    return phone, laptop


async def test_any_device_freezes_and_from_then_on_nothing_is_signed(world: World) -> None:
    phone, laptop = await two_devices(world)
    session = (await laptop.client.session())["session"]
    assert (await phone.account("Freeze"))["state"] == "frozen"
    own = laptop.client.own
    calls = [
        laptop.sign(),
        own("/rpc/Signer/SignMessage", session=session, message={"text": "x"}),
        own("/rpc/Signer/SignTransaction", session=session, transaction=TRANSACTION),
        laptop.client.session(),
        laptop.link(WORK),
        laptop.account("Unlink", login=f"Email:{ADA}"),
    ]
    assert [await code_of(call) for call in calls] == [7330] * len(calls)


async def test_a_refused_signature_leaves_its_nonce(world: World) -> None:
    phone, _ = await two_devices(world)
    await phone.account("Freeze")
    before = dict(world.store.rows)
    assert await code_of(phone.client.sign(phone.signer, bytes(32), nonce=10**9)) == 7330
    assert world.store.rows == before


async def test_looking_logging_in_and_removing_devices_still_work(world: World) -> None:
    phone, laptop = await two_devices(world)
    await phone.account("Freeze")
    assert len((await phone.client.own("/rpc/Session/List"))["devices"]) == 2
    assert await laptop.log_in(ADA) == phone.signer
    assert (await laptop.account("RemoveDevices"))["devices"] == [laptop.client.name]


async def test_a_freeze_that_lands_while_a_nonce_is_being_spent_counts(world: World, monkeypatch: Any) -> None:
    """The account was active when the request was looked at; it is frozen when the key would be opened."""
    phone, laptop = await two_devices(world)
    await laptop.sign()
    put, frozen = world.store.put, []

    async def freezing(writes: list[Write]) -> None:
        await put(writes)
        if writes[0].key.table == "nonce" and not frozen:
            frozen.append(True)
            frozen.append(await phone.account("Freeze"))

    monkeypatch.setattr(world.store, "put", freezing)
    assert await code_of(laptop.sign()) == 7330
    assert frozen[1]["state"] == "frozen"


async def test_a_login_that_overlaps_a_freeze_does_not_bring_back_the_account_from_before(
    world: World, monkeypatch: Any
) -> None:
    """The login has read the account; then it is frozen, and something else fails to be written; then it goes on."""
    phone, laptop = await two_devices(world)
    renew, frozen = world.enclave._shards.renew, []

    async def overtaken(*arguments: Any) -> Any:
        if not frozen:
            frozen.append(await phone.account("Freeze"))
            put, world.store.put = world.store.put, failing  # type: ignore[method-assign]
            assert await code_of(phone.account("RemoveDevices")) == 7102
            world.store.put = put  # type: ignore[method-assign]
        return await renew(*arguments)

    async def failing(writes: list[Write]) -> None:
        if writes[0].key.table == "account":
            raise StoreError("store-unreachable")
        await MemoryStore.put(world.store, writes)

    monkeypatch.setattr(world.enclave._shards, "renew", overtaken)
    await laptop.log_in(ADA)
    assert frozen
    assert await code_of(laptop.sign()) == 7330


async def test_a_freeze_that_lands_while_a_login_is_being_linked_counts(world: World, monkeypatch: Any) -> None:
    phone, laptop = await two_devices(world)
    accounts = accounts_of(world)
    slot, frozen = accounts.slot, []

    async def freezing(scope: str, identity: Any) -> Any:
        if not frozen:
            frozen.append(await phone.account("Freeze"))
        return await slot(scope, identity)

    proof = await laptop.start_link(WORK)
    monkeypatch.setattr(accounts, "slot", freezing)
    assert await code_of(laptop.account("Link", **proof)) == 7330
    assert len((await phone.account("Get"))["logins"]) == 1


async def test_a_freeze_whose_write_was_not_acknowledged_counts_if_it_happened(world: World, monkeypatch: Any) -> None:
    """Meanwhile somebody has read the account as it was before."""
    phone, laptop = await two_devices(world)
    put, accounts = world.store.put, accounts_of(world)
    key = (await accounts.find_by_address(SCOPE, phone.signer)).key

    async def lost(writes: list[Write]) -> None:
        if writes[0].key.table == "account":
            await accounts.load(key)
            await put(writes)
            raise StoreError("store-unreachable")
        await put(writes)

    monkeypatch.setattr(world.store, "put", lost)
    assert await code_of(phone.account("Freeze")) == 7102
    monkeypatch.undo()
    assert await code_of(laptop.sign()) == 7330


async def test_a_freeze_outlives_a_restart(world: World) -> None:
    phone, _ = await two_devices(world)
    await phone.account("Freeze")
    await world.boot()
    await phone.log_in(ADA)
    assert await code_of(phone.sign()) == 7330


# --- thawing ---


async def thawing(world: World) -> Person:
    """A device of an account that somebody asked to thaw."""
    phone, _ = await two_devices(world)
    frozen = await phone.account("Freeze")
    await world.pass_time(2)
    await phone.log_in(ADA)
    shown = await phone.account("Unfreeze")
    assert shown["state"] == "frozen"
    assert shown["thawsAt"] >= frozen["frozenSince"] + 2 + DELAY_S
    return phone


async def test_the_end_of_a_freeze_takes_a_login_from_after_it(world: World) -> None:
    phone, laptop = await two_devices(world)
    await phone.account("Freeze")
    await world.pass_time(2)
    for device in (phone, laptop):
        assert await code_of(device.account("Unfreeze")) == 7334
    await world.pass_time(2 * DELAY_S)
    assert await code_of(phone.sign()) == 7330


async def test_it_thaws_after_the_delay_and_not_before(world: World) -> None:
    phone = await thawing(world)
    await world.pass_time(DELAY_S - 10)
    assert await code_of(phone.sign()) == 7330
    await world.pass_time(20)
    await phone.sign()
    shown = await phone.account("Get")
    assert shown["state"] == "active"
    assert "thawsAt" not in shown


async def test_asking_again_does_not_put_it_off(world: World) -> None:
    phone = await thawing(world)
    first = (await phone.account("Get"))["thawsAt"]
    await world.pass_time(50)
    await phone.log_in(ADA)
    assert (await phone.account("Unfreeze"))["thawsAt"] == first


async def test_freezing_again_cancels_it(world: World) -> None:
    phone = await thawing(world)
    assert "thawsAt" not in await phone.account("Freeze")
    await world.pass_time(2 * DELAY_S)
    assert await code_of(phone.sign()) == 7330
    await phone.log_in(ADA)
    assert (await phone.account("Unfreeze"))["state"] == "frozen"


async def test_an_account_that_thawed_can_be_frozen_again(world: World) -> None:
    phone = await thawing(world)
    await world.pass_time(DELAY_S + 10)
    await phone.account("Freeze")
    assert await code_of(phone.sign()) == 7330


async def test_over_a_restart_a_host_can_undo_a_freeze_but_revives_no_session(world: World) -> None:
    """What the design cannot do (ADR 0036): it takes the host and a new login together."""
    phone, _ = await two_devices(world)
    before = world.store.snapshot()
    await phone.account("Freeze")
    world.store.rows = before
    assert await code_of(phone.sign()) == 7330, "within the boot the newer record is known"
    await world.boot()
    assert await code_of(phone.sign()) == 7203
    await phone.log_in(ADA)
    await phone.sign()


# --- deleting ---


async def due(world: World) -> Person:
    """A device whose account may be deleted now."""
    phone = Person(world)
    await phone.log_in(ADA)
    await phone.link(WORK)
    await phone.account("Freeze")
    await world.pass_time(DELAY_S + 2)
    await phone.log_in(ADA)
    return phone


async def test_a_deleted_wallet_is_gone_and_no_login_gets_another_by_surprise(world: World) -> None:
    phone = await due(world)
    wallet = phone.signer
    rows = {place: row for place, row in world.store.rows.items() if place[0] == "account"}
    assert await phone.account("Delete", signer=wallet) == {"signer": wallet, "state": "deleted"}
    assert [code for code in [await code_of(phone.sign()), await code_of(phone.account("Get"))] if code != 7202] == []
    for email in (ADA, WORK):
        assert await code_of(Person(world).log_in(email)) == 7331
    await world.boot()
    for email in (ADA, WORK):
        assert await code_of(Person(world).log_in(email)) == 7331
    assert await Person(world).log_in(ADA, newWallet=True) != wallet
    [place] = rows
    assert len(world.store.rows[place].value) < 200 < len(rows[place].value), "no share is left"


async def test_a_deleted_wallet_is_not_found_by_its_address(world: World) -> None:
    phone = await due(world)
    await phone.account("Delete", signer=phone.signer)
    key = {"keyType": "Ethereum_Secp256k1", "address": phone.signer}
    params = {"scope": "@123", "identityType": "Email", "authMode": "OTP", "metadata": {}, "signer": key}
    assert await refused(Person(world).client.call("CommitVerifier", params)) == (7200, "signer not found")


async def test_only_a_frozen_account_is_deleted_and_only_after_the_delay(world: World) -> None:
    phone = Person(world)
    await phone.log_in(ADA)
    assert await code_of(phone.account("Delete", signer=phone.signer)) == 7335
    await phone.account("Freeze")
    await world.pass_time(DELAY_S - 10)
    await phone.log_in(ADA)
    assert await code_of(phone.account("Delete", signer=phone.signer)) == 7335


async def test_deleting_takes_a_login_from_after_the_freeze(world: World) -> None:
    phone = Person(world)
    await phone.log_in(ADA)
    await phone.account("Freeze")
    await world.pass_time(DELAY_S + 2)
    assert await code_of(phone.account("Delete", signer=phone.signer)) == 7334


async def test_an_account_that_is_to_thaw_is_not_deleted(world: World) -> None:
    phone = await due(world)
    await phone.account("Unfreeze")
    await world.pass_time(DELAY_S // 2)
    assert await code_of(phone.account("Delete", signer=phone.signer)) == 7335


@pytest.mark.parametrize("signer", ["", "0x" + "11" * 20])
async def test_deleting_takes_the_wallet_s_address(world: World, signer: str) -> None:
    phone = await due(world)
    assert (await refused(phone.account("Delete", signer=signer)))[0] == 7200
    assert (await phone.account("Get"))["state"] == "frozen"
