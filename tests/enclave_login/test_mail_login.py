"""Codes by mail: when they can be answered, how many are sent, and to whom that matters (OT-05 to OT-07, OT-11)."""

import asyncio
import contextlib
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol import limits
from tests.appliance import (
    OTHER_SCOPE,
    SCOPE,
    Client,
    MemoryMailer,
    Refused,
    World,
    commit_params,
    complete_params,
    config_json,
    otp_answer,
)

EMAIL = "user@example.com"
GENEROUS = {"mails_per_address": 1000, "mails_per_scope": 1_000_000, "mails_total_per_window": 1_000_000}


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder, limits=GENEROUS | {"otp_digit_codes_per_day": 4, "otp_s": 60})
    await made.boot()
    yield made
    await made.stop()


async def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code, caught.value.cause


async def ask(world: World, client: Client, email: str = EMAIL, scope: str = SCOPE) -> dict[str, Any]:
    """Ask for a code, after the strangers' last ones have expired."""
    await world.pass_time(61)
    return await client.call("CommitVerifier", commit_params(email, scope))


async def test_long_code_logs_in_however_it_is_typed(world: World) -> None:
    for spell in (str, str.lower, lambda code: code.replace("-", "")):
        client = Client(world, scope=OTHER_SCOPE)
        started = await ask(world, client, scope=OTHER_SCOPE)
        answer = otp_answer(started["challenge"], spell(world.mailer.last_code()))
        done = await client.call("CompleteAuth", complete_params(EMAIL, answer, OTHER_SCOPE))
        assert done["identity"]["email"] == EMAIL


async def test_nobody_can_answer_a_code_that_the_mail_server_has_not_taken(world: World) -> None:
    """Otherwise a host that holds mails back would get its tries for nothing."""

    class Slow(MemoryMailer):
        async def send(self, message: Any) -> None:
            self.started.set()
            await self.gate.wait()
            await super().send(message)

        def __init__(self) -> None:
            super().__init__()
            self.started, self.gate = asyncio.Event(), asyncio.Event()

    world.mailer = slow = Slow()
    await world.boot()
    client = Client(world)
    committing = asyncio.create_task(client.call("CommitVerifier", commit_params(EMAIL)))
    await slow.started.wait()
    not_found = (7200, "commitment not found")
    assert await refused(client.call("CompleteAuth", complete_params(EMAIL, "0x00"))) == not_found
    slow.gate.set()
    await committing
    assert (await refused(client.call("CompleteAuth", complete_params(EMAIL, "0x00"))))[0] == 7003


async def test_codes_of_digits_for_one_address_are_bounded_over_restarts(world: World) -> None:
    for _ in range(4):
        await ask(world, Client(world))
        await world.boot()
    assert (await refused(ask(world, Client(world))))[0] == 7205
    assert await ask(world, Client(world), "other@example.com")
    assert await ask(world, Client(world), EMAIL, OTHER_SCOPE), "long codes need no such bound"
    world.clock.advance_s(86_400)
    await world.boot()
    assert await ask(world, Client(world)), "another day"


async def test_strangers_use_up_nothing_of_a_device_that_has_proven_the_address(world: World) -> None:
    owner = Client(world)
    await world.log_in(owner)
    for _ in range(3):
        await ask(world, Client(world))
    assert (await refused(ask(world, Client(world))))[0] == 7205
    started = await ask(world, owner)
    answer = otp_answer(started["challenge"], world.mailer.last_code())
    assert await owner.call("CompleteAuth", complete_params(EMAIL, answer))


async def test_concurrent_codes_are_all_counted(world: World) -> None:
    sent = 0
    for _ in range(4):
        await world.pass_time(61)
        calls = [Client(world).call("CommitVerifier", commit_params(EMAIL)) for _ in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        sent += sum(isinstance(result, dict) for result in results)
    assert sent == len(world.mailer.sent) == 4


async def test_hidden_or_older_count_is_refused_within_a_boot(world: World) -> None:
    await ask(world, Client(world))
    older = world.store.snapshot()
    await ask(world, Client(world))
    newer, world.store.rows = world.store.rows, older
    assert (await refused(ask(world, Client(world))))[0] == 7307
    world.store.rows = newer
    world.store.hidden = {"code-budget"}
    assert (await refused(ask(world, Client(world))))[0] == 7307
    assert len(world.mailer.sent) == 2


async def test_a_code_whose_count_is_not_durable_is_not_sent(world: World) -> None:
    world.store.down = True
    assert (await refused(Client(world).call("CommitVerifier", commit_params(EMAIL))))[0] == 7102
    assert world.mailer.sent == []


async def test_one_scope_cannot_use_up_the_mails_of_another(pki_folder: Path) -> None:
    world = World(pki_folder, limits=GENEROUS | {"mails_per_scope": 2})
    await world.boot()
    for number in range(2):
        await Client(world).call("CommitVerifier", commit_params(f"user{number}@example.com"))
    assert (await refused(Client(world).call("CommitVerifier", commit_params("user2@example.com"))))[0] == 7205
    assert await Client(world).call("CommitVerifier", commit_params("user2@example.com", OTHER_SCOPE))
    await world.stop()


@pytest.mark.parametrize("scope", [SCOPE, OTHER_SCOPE])
async def test_known_and_unknown_addresses_take_the_same_way(pki_folder: Path, scope: str) -> None:
    """OT-06: the same answer, the same calls of the store, the same mail, and the same work, in calls of functions.

    Time itself is not compared here: it says more about the machine than about the address.
    """
    world = World(pki_folder, limits=GENEROUS | {"otp_digit_codes_per_day": 1000})
    await world.boot()
    for number in range(60):
        owner = Client(world)
        params = commit_params(f"known{number}@example.com", scope)
        started = await owner.call("CommitVerifier", params)
        answer = otp_answer(started["challenge"], world.mailer.last_code())
        await owner.call("CompleteAuth", complete_params(started["verifier"], answer, scope))
    calls: list[str] = []
    world.store.get = watched(calls, "get", world.store.get)  # type: ignore[method-assign]
    world.store.put = watched(calls, "put", world.store.put)  # type: ignore[method-assign]
    work: dict[str, list[int]] = {"known": [], "other": []}
    seen: dict[str, set[Any]] = {"known": set(), "other": set()}
    for number in range(60):
        for kind in work:
            envelope = Client(world).envelope(commit_params(f"{kind}{number}@example.com", scope))
            calls.clear()
            with counted_calls() as count:
                started = await Client(world).send("/rpc/IdentityInstrument/CommitVerifier", envelope)
            work[kind].append(count())
            seen[kind].add((tuple(started), len(started["challenge"]), tuple(calls)))
    await world.stop()
    assert seen["known"] == seen["other"]
    assert len(seen["known"]) == 1
    known, other = (statistics.median(work[kind]) for kind in ("known", "other"))
    assert 0.95 < known / other < 1.05


@contextlib.contextmanager
def counted_calls() -> Iterator[Callable[[], int]]:
    """How many functions of Python and of libraries are called meanwhile, in this thread."""
    count = 0

    def profile(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        yield lambda: count
    finally:
        sys.setprofile(None)


def watched(calls: list[str], name: str, call: Any) -> Any:
    async def counted(items: Any) -> Any:
        calls.append(name)
        return await call(items)

    return counted


async def test_flood_of_other_logins_leaves_room_for_codes_by_mail(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_COMMITMENTS", 3)
    world = World(pki_folder)
    await world.boot()
    metadata = {"iss": "https://idp.example.test", "aud": "audience", "exp": str(world.clock.wall_ms() // 1000 + 600)}
    params = {"scope": SCOPE, "identityType": "OIDC", "authMode": "IDToken", "metadata": metadata}
    for number in range(3):
        await Client(world).call("CommitVerifier", params | {"handle": f"0x{number:064x}"})
    assert (await refused(Client(world).call("CommitVerifier", params | {"handle": f"0x{9:064x}"})))[0] == 7310
    assert await world.log_in(Client(world))
    await world.stop()


def scopes(**changes: Any) -> list[dict[str, Any]]:
    return [scope | changes for scope in config_json()["scopes"]]


async def test_mail_looks_as_the_scope_says(pki_folder: Path) -> None:
    template = {
        "email_subject": "{auth_code} is your code",
        "email_intro": "Welcome to <Games>",
        "email_logo_url": "https://cdn.example.com/logo.png?a=1&b=2",
        "email_sender": "Games <login@games.example>",
    }
    world = World(pki_folder, scopes=scopes(**template))
    await world.boot()
    await world.log_in(Client(world))
    await world.stop()
    message, code = world.mailer.sent[-1], world.mailer.last_code()
    assert (message["Subject"], message["From"]) == (f"{code} is your code", "Games <login@games.example>")
    bodies = {part.get_content_subtype(): part.get_content() for part in message.iter_parts()}
    assert bodies["plain"].startswith(f"Welcome to <Games>\n\nYour code: {code}\n")
    assert "<p>Welcome to &lt;Games&gt;</p>" in bodies["html"]
    assert '<img src="https://cdn.example.com/logo.png?a=1&amp;b=2" alt=""' in bodies["html"]
