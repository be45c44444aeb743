"""Sign-up by invitation: a link, a login by mail, a wallet, and an event that the tenant's server gets."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import KeySet
from msgspec.structs import replace

from enclave.errors import BootError, StoreError
from enclave.invitations import events
from protocol import limits
from protocol.frames import Request
from protocol.services import Page
from simulator.webhook import PATH, Webhook
from tests.appliance import ORIGIN, Client, MemoryStore, Refused, World, _tls_authority, config
from tests.enclave_login.login_support import LoopbackEgress
from tests.evm_intents.samples import K1Key, R1Key
from tests.waas.embedded import ACCESS_KEY, OTHER_ACCESS_KEY, Application, embedded, hash_text, scopes
from tests.waas.test_id_tokens import ISSUER, URL

HOOKS = "hooks.example.test"
ADA = "ada@example.com"


def settings(inviter: Client, **changes: Any) -> dict[str, Any]:
    key = {"name": "backend", "key_type": inviter.auth_key["keyType"], "address": inviter.auth_key["address"].lower()}
    facts = {"inviters": [key], "page": f"{ORIGIN}/join", "webhook": f"https://{HOOKS}{PATH}"}
    return facts | changes


class InvitingWorld(World):
    """An appliance whose first tenant invites, and the tenant's server."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.inviter = Client(self, ethereum=True)
        of_first = embedded(invitations=settings(self.inviter, **changes))
        super().__init__(folder, scopes=scopes(embedded=of_first), issuer=ISSUER)
        audience = f"{ISSUER['audience_prefix']}123"
        self.webhook = Webhook(URL, audience, self.keys, now_s=lambda: self.clock.wall_ms() / 1000)
        self._number = 0

    async def keys(self) -> KeySet:
        answer = await self.enclave.answer(Request(1, "GET /.well-known/jwks.json", {}, b""))
        return KeySet.import_key_set(json.loads(answer.body))

    async def call(self, method: str, by: Client | None = None, **members: Any) -> dict[str, Any]:
        """A call that the inviter signs, or somebody else; `Refused`."""
        signer, path = by or self.inviter, f"/rpc/Invitation/{method}"
        self._number += 1
        bound = {"method": path, "deployment": self.config.deployment, "nonce": hex(self._number)}
        params = bound | {"expires": self.clock.wall_ms() + 30_000, "projectId": 123} | members
        return await signer.send(path, signer.envelope(params))

    async def invite(self, email: str = ADA, reference: str = "customer-7") -> dict[str, str]:
        """What the link of a new invitation says."""
        link = urlsplit((await self.call("Create", email=email, reference=reference))["link"])
        assert f"{link.scheme}://{link.netloc}{link.path}" == f"{ORIGIN}/join"
        return {name: value for name, [value] in parse_qs(link.fragment).items()}

    async def open(self, said: dict[str, str], access_key: str = ACCESS_KEY) -> dict[str, Any]:
        """What the page of the link does."""
        body = {"email": said["email"], "code": said["invitation"]}
        return await Client(self).send("/rpc/Invitation/Open", body, **{"x-access-key": access_key})

    async def told(self, count: int = 1) -> list[dict[str, Any]]:
        """What the server was told, once there is as much."""
        async with asyncio.timeout(10):
            while len(self.webhook.events) < count:  # noqa: ASYNC110  the stand-in has no hook for tests
                await asyncio.sleep(0.01)
        return [claims["events"][f"{URL}{events.SIGNED_UP}"] for claims in self.webhook.events.values()]


@contextlib.asynccontextmanager
async def inviting(folder: Path, **changes: Any) -> AsyncIterator[InvitingWorld]:
    world = InvitingWorld(folder, **changes)
    context = _tls_authority().issue(HOOKS).server_context()
    async with await world.webhook.serve("127.0.0.1", 0, context) as served:
        world.egress = LoopbackEgress({(HOOKS, 443): served.port})
        await world.boot()
        try:
            yield world
        finally:
            await world.stop()


@pytest.fixture
async def world(pki_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InvitingWorld]:
    monkeypatch.setattr(events, "FIRST_PAUSE_S", 0.02)
    async with inviting(pki_folder) as made:
        yield made


async def test_invited_person_gets_a_wallet_and_the_tenants_server_its_address(world: InvitingWorld) -> None:
    said = await world.invite()
    assert said["email"] == ADA
    opened = await world.open(said)
    assert (opened["email"], opened["projectId"]) == (ADA, 123)
    app = Application(world)
    await app.sign_in_by_mail(ADA)
    [event] = await world.told()
    assert event == {"invitation": opened["invitation"], "reference": "customer-7", "wallet": app.wallet}
    status = await world.call("Status", email=ADA)
    assert (status["wallet"], status["opened"], status["reference"]) == (app.wallet, True, "customer-7")
    again = Application(world, R1Key())
    world.clock.advance_s(2)
    await again.sign_in_by_mail(ADA)
    assert again.wallet == app.wallet
    await asyncio.sleep(0.1)
    assert world.webhook.attempts == 1


async def test_link_is_good_for_one_sign_up(world: InvitingWorld) -> None:
    said = await world.invite()
    for _ in range(2):  # a page may be loaded again
        await world.open(said)
    await Application(world).sign_in_by_mail(ADA)
    for attempt in (world.open(said), world.call("Create", email=ADA, reference="again")):
        with pytest.raises(Refused) as refused:
            await attempt
        assert refused.value.name == "InvitationUsed"


async def test_link_ends_and_a_new_one_replaces_it(world: InvitingWorld) -> None:
    first = await world.invite()
    second = await world.invite()
    with pytest.raises(Refused, match="InvitationNotFound"):
        await world.open(first)
    await world.pass_time(7 * 86_400 + 1)
    with pytest.raises(Refused, match="InvitationNotFound"):
        await world.open(second)


async def test_wrong_codes_addresses_and_tenants_are_told_apart_by_nobody(world: InvitingWorld) -> None:
    said = await world.invite()
    wrong = {"invitation": "A" * len(said["invitation"]), "email": said["email"]}
    for attempt in (
        world.open(wrong), world.open(said | {"email": "eve@example.com"}), world.open(said, OTHER_ACCESS_KEY),
    ):  # fmt: skip
        with pytest.raises(Refused) as refused:
            await attempt
        assert (refused.value.name, refused.value.cause) == ("InvitationNotFound", "")


async def test_code_at_the_cap_is_a_wrong_one_and_a_longer_one_is_none(world: InvitingWorld) -> None:
    said = await world.invite()
    for size, error in ((0, "InvitationNotFound"), (1, "InvalidRequest")):
        with pytest.raises(Refused, match=error):
            await world.open(said | {"invitation": "A" * (limits.MAX_INVITATION_CODE_CHARS + size)})


@pytest.mark.parametrize("more", [0, 1])
async def test_reply_at_the_cap_is_one_and_a_larger_one_is_none(world: InvitingWorld, more: int) -> None:
    world.webhook.reply = b" " * (limits.MAX_WEBHOOK_REPLY_BYTES + more)
    await world.open(await world.invite())
    await Application(world).sign_in_by_mail(ADA)
    await world.told()
    await asyncio.sleep(0.2)
    assert (world.webhook.attempts > 1) is bool(more)


async def test_server_that_hangs_is_left_at_the_deadline_and_asked_again(
    world: InvitingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WEBHOOK_DEADLINE_S", 0.2)
    world.webhook.gate.clear()
    await world.open(await world.invite())
    await Application(world).sign_in_by_mail(ADA)
    async with asyncio.timeout(10):
        while world.webhook.attempts < 2:  # noqa: ASYNC110  the stand-in has no hook for tests
            await asyncio.sleep(0.01)
    world.webhook.gate.set()
    await world.told()


async def test_invitation_that_was_not_opened_tells_nothing(world: InvitingWorld) -> None:
    await world.invite()
    await Application(world).sign_in_by_mail(ADA)
    await asyncio.sleep(0.1)
    assert world.webhook.attempts == 0
    assert "wallet" not in await world.call("Status", email=ADA)


async def test_only_inviters_invite_and_each_call_once(world: InvitingWorld) -> None:
    with pytest.raises(Refused, match="AccessError"):
        await world.call("Create", Client(world), email=ADA, reference="x")
    with pytest.raises(Refused, match="AccessError"):
        await world.call("Create", email=ADA, reference="x", projectId=7)
    await world.call("Create", email=ADA, reference="x")
    with pytest.raises(Refused, match="PreconditionFailed"):
        await world.call("Create", email=ADA, reference="x", nonce=hex(world._number - 1))
    for members in (
        {"email": "no address"},
        {"reference": "x" * (limits.MAX_INVITATION_REFERENCE_BYTES + 1)},
        {"reference": "a\nb"},
        {"more": 1},
    ):
        with pytest.raises(Refused, match="InvalidRequest"):
            await world.call("Create", **({"email": ADA, "reference": "x"} | members))
    await world.call("Create", email=ADA, reference="x" * limits.MAX_INVITATION_REFERENCE_BYTES)


@pytest.mark.parametrize("first", [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.NOT_FOUND])
async def test_event_is_told_until_it_was_taken(world: InvitingWorld, first: HTTPStatus) -> None:
    world.webhook.status = first
    await world.open(await world.invite())
    await Application(world).sign_in_by_mail(ADA)
    async with asyncio.timeout(10):
        while world.webhook.attempts < 2:  # noqa: ASYNC110  the stand-in has no hook for tests
            await asyncio.sleep(0.01)
    world.webhook.status = HTTPStatus.ACCEPTED
    await world.told()


async def test_event_outlives_a_restart_and_is_the_same_one_if_it_comes_twice(world: InvitingWorld) -> None:
    world.webhook.status = HTTPStatus.SERVICE_UNAVAILABLE
    await world.open(await world.invite())
    await Application(world).sign_in_by_mail(ADA)
    before = world.store.snapshot()
    [event] = [place for place in before if place[0] == "event"]
    await world.boot()
    world.webhook.status = HTTPStatus.ACCEPTED
    await world.told()
    async with asyncio.timeout(10):
        while world.store.rows[event] == before[event]:  # noqa: ASYNC110  until the store says that it was told
            await asyncio.sleep(0.01)
    attempts = world.webhook.attempts
    await world.boot()
    await world.open(await world.invite("eve@example.com"))
    world.clock.advance_s(2)
    await Application(world, R1Key()).sign_in_by_mail("eve@example.com")
    await world.told(2)
    assert world.webhook.attempts == attempts + 1, "what was taken is not told again"
    attempts += 1
    before |= {place: row for place, row in world.store.rows.items() if place not in before}
    world.store.rows = before
    await world.boot()
    async with asyncio.timeout(10):
        while world.webhook.attempts == attempts:  # noqa: ASYNC110  a host that rolls back gets it told again
            await asyncio.sleep(0.01)
    assert len(world.webhook.events) == 2


async def test_damaged_record_of_an_event_and_a_store_that_is_away_hold_up_no_other(world: InvitingWorld) -> None:
    world.webhook.status = HTTPStatus.SERVICE_UNAVAILABLE
    for email, key in ((ADA, K1Key()), ("eve@example.com", R1Key())):
        await world.open(await world.invite(email))
        world.clock.advance_s(2)
        await Application(world, key).sign_in_by_mail(email)
    place = next(place for place in world.store.rows if place[0] == "event")
    row = world.store.rows[place]
    world.store.rows[place] = replace(row, value=row.value[:-1] + bytes([row.value[-1] ^ 1]))
    listed, turns = world.store.ids, itertools.count()

    async def away_at_first(page: Page) -> list[bytes]:
        if next(turns) < 2:
            raise StoreError("store-unreachable")
        return await listed(page)

    world.store.ids = away_at_first  # type: ignore[method-assign]
    world.webhook.status = HTTPStatus.ACCEPTED
    await world.boot()
    assert len(await world.told()) == 1


@pytest.mark.parametrize("recovers", [True, False])
async def test_one_worker_tells_what_earlier_boots_have_left(world: InvitingWorld, recovers: bool) -> None:
    """The others tell what they write down themselves."""
    asked: list[Page] = []

    class EmptyStore(MemoryStore):
        async def ids(self, page: Page) -> list[bytes]:
            asked.append(page)
            return []

    nothing: Any = None
    made = events.Events(nothing, EmptyStore(), nothing, nothing, nothing, recovers=recovers)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await made.run()
    assert bool(asked) is recovers


async def test_wallet_that_was_made_just_before_the_end_is_told_after_the_next_login(world: InvitingWorld) -> None:
    """The enclave stops after the wallet was made and before the invitation was used up."""
    await world.open(await world.invite())
    invitations = {place: row for place, row in world.store.rows.items() if place[0] == "invitation"}
    await Application(world).sign_in_by_mail(ADA)
    await world.stop()
    world.webhook.events.clear()
    for place in [place for place in world.store.rows if place[0] == "event"]:
        del world.store.rows[place]
    world.store.rows |= invitations
    await world.boot()
    world.clock.advance_s(8 * 86_400)
    app = Application(world)
    await world.pass_time(2)
    await app.sign_in_by_mail(ADA)
    [event] = await world.told()
    assert event["wallet"] == app.wallet


async def test_tenant_may_take_nobody_without_an_invitation(pki_folder: Path) -> None:
    async with inviting(pki_folder, required=True) as world:
        stranger = Application(world)
        begun = await stranger.begin("Guest", stranger.key.id)
        assert (await sign_in(stranger, begun))["error"] == "InvitationRequired"
        said = await world.invite()
        assert (await by_mail(Application(world, R1Key())))["error"] == "InvitationRequired", "not opened"
        await world.open(said)
        world.clock.advance_s(2)
        app = Application(world, R1Key())
        await app.sign_in_by_mail(ADA)
        world.clock.advance_s(2)
        await app.sign_in_by_mail(ADA)  # who is a user needs none
        assert (await by_mail(Application(world), "eve@example.com"))["error"] == "InvitationRequired"


async def sign_in(app: Application, begun: dict[str, Any]) -> dict[str, Any]:
    return await app.open("Guest", app.key.id, hash_text(begun["data"]["challenge"] + app.key.id))


async def by_mail(app: Application, email: str = ADA) -> dict[str, Any]:
    verifier = f"{email};{app.key.id}"
    begun = await app.begin("Email", verifier)
    return await app.open("Email", verifier, hash_text(begun["data"]["challenge"] + app.world.mailer.last_code()))


async def test_neither_address_nor_code_nor_wallet_is_in_the_store_or_the_log(
    world: InvitingWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    said = await world.invite("canary@example.com", "canary-reference")
    await world.open(said)
    app = Application(world)
    await app.sign_in_by_mail("canary@example.com")
    await world.told()
    kept = b"".join(place[1] + row.value for place, row in world.store.rows.items())
    told = "".join(capfd.readouterr())
    for canary in ("canary", said["invitation"], app.wallet[2:].lower()):
        assert canary.encode() not in kept
        assert canary not in told.lower()


@pytest.mark.parametrize(
    "changes",
    [
        {"page": "https://elsewhere.example.test/join"},
        {"page": f"{ORIGIN}/join#x"},
        {"webhook": "http://hooks.example.test/"},
        {"webhook": "https://user@hooks.example.test/"},
        {"inviters": []},
        {"life_s": 1},
    ],
)
def test_settings_that_cannot_be_meant_refuse_the_boot(changes: dict[str, Any]) -> None:
    facts = settings(Client(None)) | changes  # type: ignore[arg-type]  only its key is looked at
    with pytest.raises(BootError, match="config-"):
        config(scopes=scopes(embedded=embedded(invitations=facts)), issuer=ISSUER)


def test_invitations_take_an_issuer() -> None:
    facts = settings(Client(None))  # type: ignore[arg-type]  only its key is looked at
    with pytest.raises(BootError, match="config-invitations"):
        config(scopes=scopes(embedded=embedded(invitations=facts)))
