"""Factors that are shown for one request alone: a code by mail, a passkey, an ID token of the user."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.enclave_login.authenticator import Authenticator
from tests.guard_factors.factor_world import SETTINGS, FactorWorld, Holder, running
from tests.guard_wire.guard_world import RefusedByGuard

SITE, PAGE = "wallet.example.test", "https://wallet.example.test"
BOUND = SETTINGS | {"email_sender": "guard@example.test", "passkey_site": SITE, "passkey_origins": [PAGE]}
ADDRESS = "ada@example.test"
KINDS = ("Email", "Passkey", "OIDC")


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[FactorWorld]:
    async with running(pki_folder, second_factors=BOUND) as made:
        yield made


async def refused(asking: Awaitable[Any]) -> tuple[int, str]:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value.code, caught.value.cause


class Equipped(Holder):
    """A user with a mailbox, a passkey and an account at the provider."""

    passkey: Authenticator

    async def own(self, method: str, factor: Any = None, **more: Any) -> dict[str, Any]:
        """A method of ours that takes token and signature of the wallet."""
        proof = await self.signed_update(factor)
        return await self.world.ask(method, proof | more, "GuardFactors", **self.bearer())

    async def told(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One that takes the token alone."""
        return await self.world.ask(method, arguments, "GuardFactors", **self.bearer())

    def mailed(self) -> str:
        body = self.world.mailer.sent[-1].get_body(("plain",))
        assert body is not None
        match = re.search(r"code: ([0-9A-Z-]+)", body.get_content())
        assert match is not None
        return match[1]

    async def enrol(self, kind: str) -> None:
        if kind == "Email":
            challenge = (await self.own("StartEmail", email=ADDRESS))["challenge"]
            await self.told("ConfirmEmail", email=ADDRESS, challenge=challenge, code=self.mailed())
        elif kind == "Passkey":
            self.passkey = Authenticator(SITE)
            challenge = (await self.own("StartPasskey"))["challenge"]
            await self.told("ConfirmPasskey", registration=json.dumps(self.passkey.create(challenge, PAGE)))
        else:
            await self.own("AddIDToken")

    async def challenge(self, kind: str, **more: Any) -> str:
        asked = {"kind": kind, "request": self.payment(**more)}
        challenge: str = (await self.world.ask("Challenge", asked, "GuardFactors"))["challenge"]
        return challenge

    def answer(self, kind: str, challenge: str) -> dict[str, str]:
        shown: dict[str, Callable[[], str]] = {
            "Email": lambda: f"{challenge}.{self.mailed()}",
            "Passkey": lambda: json.dumps(self.passkey.get(challenge, PAGE)),
            "OIDC": lambda: self.token(nonce=challenge),
        }
        return {"id": kind, "token": shown[kind]()}


@pytest.fixture(params=KINDS)
async def equipped(world: FactorWorld, request: pytest.FixtureRequest) -> tuple[Equipped, str]:
    """A user who has enrolled one kind."""
    user = await Equipped.registered(world)
    await user.enrol(request.param)
    return user, request.param


async def test_a_factor_is_shown_for_the_request_that_it_was_asked_for(equipped: tuple[Equipped, str]) -> None:
    user, kind = equipped
    assert await user.told("List") == {"factors": [kind]}
    assert await user.world.ask("AuthMethods", {}, **user.bearer()) == {"methods": [], "active": False}
    assert await refused(user.pay()) == (1001, "guard:second-factor:enrolled")
    await user.pay(user.answer(kind, await user.challenge(kind)))


async def test_it_counts_once_and_for_no_other_request(equipped: tuple[Equipped, str]) -> None:
    user, kind = equipped
    shown = user.answer(kind, await user.challenge(kind))
    assert await refused(user.pay(shown, nonce=1)) == (1001, "guard:second-factor:wrong")
    await user.pay(shown)
    assert await refused(user.pay(shown)) == (1001, "guard:second-factor:wrong")


async def test_it_counts_for_five_minutes_and_not_after_a_restart(equipped: tuple[Equipped, str]) -> None:
    user, kind = equipped
    late = user.answer(kind, await user.challenge(kind))
    await user.world.pass_time(301)
    assert await refused(user.pay(late)) == (1001, "guard:second-factor:wrong")
    before = user.answer(kind, await user.challenge(kind, nonce=1))
    await user.world.pass_time(1)
    await user.world.boot()
    assert await refused(user.pay(before, nonce=1)) == (1001, "guard:second-factor:wrong")


async def test_another_users_factor_is_none(equipped: tuple[Equipped, str]) -> None:
    user, kind = equipped
    other = await Equipped.registered(user.world, "mallory")
    await other.enrol(kind)
    challenge = await user.challenge(kind)
    stolen = other.answer(kind, await other.challenge(kind) if kind == "Email" else challenge)
    assert await refused(user.pay(stolen)) == (1001, "guard:second-factor:wrong")


async def test_it_is_taken_off_by_who_has_it(equipped: tuple[Equipped, str]) -> None:
    user, kind = equipped
    assert await refused(user.own("Remove", kind=kind)) == (1001, "guard:second-factor:update")
    await user.world.pass_time(1)
    update = user.update_request()
    asked = {"kind": kind, "request": update}
    challenge = (await user.world.ask("Challenge", asked, "GuardFactors"))["challenge"]
    proof = await user.signed_update(user.answer(kind, challenge), later_s=0)
    await user.world.ask("Remove", proof | {"kind": kind}, "GuardFactors", **user.bearer())
    assert await user.told("List") == {"factors": []}


@pytest.mark.parametrize("kind", KINDS)
async def test_who_has_none_of_a_kind_gets_no_challenge(world: FactorWorld, kind: str) -> None:
    user = await Equipped.registered(world)
    assert await refused(user.challenge(kind)) == (3000, "guard:enrolment")
    for shown in ("", "x.y", "{}", "a.b.c"):
        assert (await refused(user.pay({"id": kind, "token": shown}, amount=2_000 * 10**6)))[0] == 1001


async def test_a_mail_says_for_which_wallet_and_what_its_code_is(world: FactorWorld) -> None:
    user = await Equipped.registered(world)
    await user.enrol("Email")
    await user.challenge("Email")
    mail = world.mailer.sent[-1]
    body = mail.get_body(("plain",))
    assert body is not None
    text = body.get_content().replace("=\n", "")
    digest = user.payment()["msg"]
    assert (mail["To"], mail["From"], user.mailed() in mail["Subject"]) == (ADDRESS, "guard@example.test", False)
    assert all(part in text for part in (digest, "Transfer", user.mailed()))


async def test_mails_are_limited_and_a_denied_request_sends_none(world: FactorWorld) -> None:
    user = await Equipped.registered(world)
    await user.enrol("Email")
    sent = len(world.mailer.sent)
    assert (await refused(user.challenge("Email", amount=11_000 * 10**6)))[0] == 1001
    assert len(world.mailer.sent) == sent
    allowed = world.config.limits.mails_per_address - sent
    for _ in range(allowed):
        await user.challenge("Email")
    assert await refused(user.challenge("Email")) == (1007, "guard:mail")


async def test_a_mailbox_counts_once_its_code_was_shown(world: FactorWorld) -> None:
    user = await Equipped.registered(world)
    challenge = (await user.own("StartEmail", email=ADDRESS))["challenge"]
    other = {"email": "other@example.test", "challenge": challenge, "code": user.mailed()}
    assert (await refused(user.told("ConfirmEmail", **other)))[0] == 1000
    assert (await refused(user.told("ConfirmEmail", email=ADDRESS, challenge=challenge, code="AAAAA-AAAAA")))[0] == 1000
    assert await user.told("List") == {"factors": []}
    assert await refused(user.own("StartEmail", email="no address")) == (2001, "guard:email")


async def test_a_copied_passkey_is_found_out(world: FactorWorld) -> None:
    user = await Equipped.registered(world)
    await user.enrol("Passkey")
    await user.pay(user.answer("Passkey", await user.challenge("Passkey")))
    user.passkey.count = 0
    assert (await refused(user.pay(user.answer("Passkey", await user.challenge("Passkey")))))[0] == 1001


async def test_what_is_not_configured_is_not_offered(pki_folder: Path) -> None:
    async with running(pki_folder) as world:
        user = await Equipped.registered(world)
        assert await refused(user.own("StartPasskey")) == (3000, "guard:passkeys")
        assert await refused(user.own("StartEmail", email=ADDRESS)) == (3000, "guard:mail")
    async with running(pki_folder, second_factors=None) as world:
        response = await world.raw("/rpc/GuardFactors/List", b"{}")
        assert response.status == 404
