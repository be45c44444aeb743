"""What owners are told by mail about their accounts, and what waits until they were told."""

import asyncio
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from protocol import limits
from tests.appliance import World
from tests.enclave_accounts.people import ADA, DELAY_S, LIMITS, WORK, Person, code_of, refused


def notices(world: World) -> list[tuple[str, str]]:
    """Recipient and subject of every mail without a code, in order."""
    return [(mail["To"], mail["Subject"]) for mail in world.mailer.sent if "code" not in mail["Subject"].lower()]


async def logged_in(world: World) -> Person:
    phone = Person(world)
    await phone.log_in(ADA)
    return phone


async def test_every_address_is_told_of_a_new_login_also_the_new_one(world: World) -> None:
    phone = await logged_in(world)
    await phone.link(WORK)
    added = "A way to log in was added to your account"
    assert notices(world) == [(ADA, added), (WORK, added)]
    text = world.mailer.sent[-1].get_content()
    assert phone.signer in text
    assert "http" in text


async def test_linking_what_is_linked_already_tells_nobody(world: World) -> None:
    phone = await logged_in(world)
    await phone.link(WORK)
    told = notices(world)
    await phone.link(WORK)
    assert notices(world) == told


async def test_the_address_that_is_taken_off_is_told(world: World) -> None:
    phone = await logged_in(world)
    await phone.link(WORK)
    await phone.account("Unlink", login=f"Email:{WORK}")
    assert notices(world)[2:] == [(to, "A way to log in was taken off your account") for to in (ADA, WORK)]


@pytest.mark.parametrize("how", ["down", "hanging"])
async def test_a_freeze_waits_for_no_mail_server(world: World, monkeypatch: Any, how: str) -> None:
    phone = await logged_in(world)
    world.mailer.down = how == "down"
    if how == "hanging":
        monkeypatch.setattr(limits, "MAX_NOTICE_S", 0.01)
        monkeypatch.setattr(world.mailer, "send", hang)
    assert (await phone.account("Freeze"))["state"] == "frozen"
    assert await code_of(phone.sign()) == 7330


async def hang(_: EmailMessage) -> None:
    await asyncio.Event().wait()


async def test_no_freeze_ends_before_its_owner_was_told(world: World) -> None:
    phone = await logged_in(world)
    await phone.account("Freeze")
    await world.pass_time(5)
    await phone.log_in(ADA)
    world.mailer.down = True
    assert await refused(phone.account("Unfreeze")) == (7100, "the mail could not be sent")
    world.mailer.down = False
    await world.pass_time(DELAY_S + 10)
    assert (await phone.account("Get"))["state"] == "frozen", "nothing was begun"
    await phone.account("Unfreeze")
    assert notices(world)[-1] == (ADA, "Your account is about to be unfrozen")


async def test_one_address_that_can_be_told_is_enough(world: World, monkeypatch: Any) -> None:
    phone = await logged_in(world)
    await phone.link(WORK)
    await phone.account("Freeze")
    await world.pass_time(5)
    await phone.log_in(ADA)
    send = world.mailer.send

    async def without_ada(message: EmailMessage) -> None:
        world.mailer.down = message["To"] == ADA
        await send(message)

    monkeypatch.setattr(world.mailer, "send", without_ada)
    assert "thawsAt" in await phone.account("Unfreeze")


async def test_notices_have_an_allowance_of_their_own(pki_folder: Path) -> None:
    """Somebody who changes an account all day keeps its owner neither from codes nor from freezing."""
    world = World(pki_folder, limits=LIMITS | {"mails_per_address": 3})
    await world.boot()
    phone = await logged_in(world)
    for _ in range(6):
        assert (await phone.account("Freeze"))["state"] == "frozen"
    assert len(notices(world)) == 3
    assert await Person(world).log_in(ADA) == phone.signer
    await world.stop()
