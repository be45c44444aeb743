"""The devices of an account: listed, removed, and never logged in without being listed."""

import pytest

from protocol import limits
from tests.appliance import World
from tests.enclave_accounts.people import ADA, EVE, Person, code_of


async def logged_in(world: World, count: int) -> list[Person]:
    people = [Person(world) for _ in range(count)]
    for person in people:
        await person.log_in(ADA)
    return people


async def test_all_other_devices_are_logged_out_at_once(world: World) -> None:
    phone, laptop, tablet = await logged_in(world, 3)
    session = (await laptop.client.session())["session"]
    shown = await phone.account("RemoveDevices")
    assert shown["devices"] == [phone.client.name]
    for other in (laptop, tablet):
        assert await code_of(other.sign()) == 7202
    sign_message = laptop.client.own("/rpc/Signer/SignMessage", session=session, message={"text": "x"})
    assert await code_of(sign_message) == 7202
    await phone.sign()


async def test_named_devices_go_and_others_stay(world: World) -> None:
    phone, laptop, tablet = await logged_in(world, 3)
    shown = await phone.account("RemoveDevices", devices=[laptop.client.name, "WebCrypto_Secp256r1:0x00"])
    assert shown["devices"] == [phone.client.name, tablet.client.name]
    assert await code_of(laptop.sign()) == 7202
    await tablet.sign()


async def test_a_removed_device_stays_out_over_a_restart_and_may_log_in_again(world: World) -> None:
    phone, laptop = await logged_in(world, 2)
    await phone.account("RemoveDevices")
    await world.boot()
    assert await code_of(laptop.sign()) == 7202
    await laptop.log_in(ADA)
    await laptop.sign()


async def test_a_key_that_logged_in_as_somebody_else_is_theirs(world: World) -> None:
    phone, shared = await logged_in(world, 2)
    await shared.log_in(EVE)
    await phone.account("RemoveDevices", devices=[shared.client.name])
    await shared.sign()


@pytest.mark.parametrize(
    ("devices", "code"),
    [("x", -4), ([1], -4), (["x"] * (limits.MAX_DEVICES_PER_ACCOUNT + 1), 7200), (["x" * 1000], 7200)],
)
async def test_odd_lists_are_refused(world: World, devices: object, code: int) -> None:
    [phone] = await logged_in(world, 1)
    assert await code_of(phone.account("RemoveDevices", devices=devices)) == code


async def test_a_device_that_leaves_the_full_list_is_logged_out_first(world: World) -> None:
    """Nobody is logged in whom the owner cannot see."""
    people = await logged_in(world, limits.MAX_DEVICES_PER_ACCOUNT + 1)
    assert await code_of(people[0].sign()) == 7202
    await people[1].sign()
    listed = (await people[-1].client.own("/rpc/Session/List"))["devices"]
    assert [device["device"] for device in listed] == [person.client.name for person in people[1:]]
    assert all(device["live"] and device["login"] == f"Email:{ADA}" for device in listed)
