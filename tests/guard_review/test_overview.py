"""What officers and reviewers see of budgets and decisions: how much is left, of whose, and when it comes back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evm.address import checksum
from tests.enclave_guard.guard_rules import STRANGER
from tests.evm_effects.made import THIEF, WALLET
from tests.guard_review.review_world import ReviewWorld
from tests.guard_wire.guard_world import OWNER, RefusedByGuard, approval, pay, said

DAY_S = 86_400
BUDGETS = [
    {"id": "usd-day", "asset": "usd", "per": "wallet", "window_s": DAY_S, "at_most": "100"},
    {"id": "usd-session", "asset": "usd", "per": "session", "window_s": 3600, "at_most": "50"},
    {"id": "usd-all", "asset": "usd", "per": "everyone", "window_s": DAY_S, "review_above": "80", "at_most": "90"},
    {"id": "usd-one", "asset": "usd", "per": "wallet", "at_most": "40"},
]
USD = 10**6


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[ReviewWorld]:
    made = ReviewWorld(pki_folder, budgets=BUDGETS)
    await made.boot()
    yield made
    await made.stop()


async def overview(guard: ReviewWorld, number: int = 0, action: str = "read guard overview", **more: str) -> Any:
    document = (await guard.ask("Get", {}, "GuardRules"))["document"].encode()
    asked = {"approval": approval(number, said(action, document, 1)), **more}
    return await guard.ask("Overview", asked, "GuardRules")


def shares(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {budget["id"]: budget["shares"] for budget in found["budgets"]}


async def test_an_officer_sees_what_is_left_and_when_it_comes_back(guard: ReviewWorld) -> None:
    assert shares(await overview(guard)) == {budget["id"]: [] for budget in BUDGETS}
    first_s = guard.clock.wall_ms() // 1000
    await guard.sign(pay(10 * USD))
    await guard.pass_time(100)
    await guard.sign(pay(15 * USD, nonce=1))
    found = await overview(guard)
    [of_wallet], [of_session], [of_all] = (shares(found)[name] for name in ("usd-day", "usd-session", "usd-all"))
    frees = [{"timeS": first_s + DAY_S, "amount": "10"}, {"timeS": first_s + 100 + DAY_S, "amount": "15"}]
    assert of_wallet == {"subject": checksum(WALLET), "spent": "25", "left": "75", "frees": frees}
    assert (of_session["subject"], of_session["left"]) == (OWNER.address, "25")
    assert (of_all["subject"], of_all["left"]) == ("", "65")
    assert shares(found)["usd-one"] == []
    assert found["budgets"][2] | {"shares": []} == {
        "id": "usd-all", "asset": "usd", "per": "everyone", "windowS": DAY_S, "reviewAbove": "80", "atMost": "90",
        "shares": [],
    }  # fmt: skip
    await guard.pass_time(3600)
    [of_session] = shares(await overview(guard))["usd-session"]
    assert of_session == {"subject": OWNER.address, "spent": "0", "left": "50", "frees": []}


async def test_later_steps_are_summed_up(guard: ReviewWorld) -> None:
    for nonce in range(6):
        await guard.sign(pay(USD, nonce=nonce))
        await guard.pass_time(10)
    [share] = shares(await overview(guard))["usd-day"]
    assert [step["amount"] for step in share["frees"]] == ["1", "1", "1", "3"]
    assert share["spent"] == "6"


async def test_a_wallet_can_be_asked_about_also_after_a_restart(guard: ReviewWorld) -> None:
    await guard.sign(pay(10 * USD))
    await guard.boot()
    assert shares(await overview(guard))["usd-day"] == []
    found = await overview(guard, wallet=checksum(WALLET))
    assert [share["left"] for share in shares(found)["usd-day"]] == ["90"]
    other = await overview(guard, wallet=checksum(STRANGER))
    assert [share["left"] for share in shares(other)["usd-day"]] == ["100"]
    assert [share["left"] for share in shares(other)["usd-all"]] == ["80"]


async def test_the_newest_decisions_are_told_without_what_they_were_about(guard: ReviewWorld) -> None:
    await guard.sign(pay(5))
    with pytest.raises(RefusedByGuard):
        await guard.sign(pay(5, THIEF))
    refused, paid = (await overview(guard))["decisions"][:2]
    assert (refused["outcome"], refused["by"], refused["session"]) == ("deny", "thieves", OWNER.address)
    assert (paid["outcome"], paid["by"], paid["wallet"]) == ("allow", "pay", checksum(WALLET))
    assert set(paid) == {"timeS", "wallet", "session", "outcome", "by"}
    about_another = await overview(guard, wallet=checksum(STRANGER))
    assert about_another["decisions"] == []


async def test_only_officers_see_it_by_an_approval_of_its_own(guard: ReviewWorld) -> None:
    for asking in (overview(guard, action="read guard decisions"), overview(guard, action="freeze guard")):
        with pytest.raises(RefusedByGuard) as caught:
            await asking
        assert caught.value.code == 7201
    with pytest.raises(RefusedByGuard, match="guard:approvals"):
        await guard.ask("Overview", {}, "GuardRules")
    with pytest.raises(RefusedByGuard, match="guard:wallet"):
        await overview(guard, wallet="0x12")


async def test_reviewers_see_the_same_in_their_session(guard: ReviewWorld) -> None:
    await guard.sign(pay(10 * USD))
    session = await guard.session(guard.reviewers[0])
    seen = await guard.review("Overview", session=session, wallet="")
    assert seen == await overview(guard)
    named = await guard.review("Overview", session=session, wallet=checksum(WALLET))
    assert shares(named) == {**shares(await overview(guard, wallet=checksum(WALLET)))}
    with pytest.raises(RefusedByGuard, match="guard:review-session"):
        await guard.review("Overview", session="nobody", wallet="")
