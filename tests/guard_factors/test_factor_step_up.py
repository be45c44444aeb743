"""The second factor that a signature needs: when it is asked for, what counts, and what guessing leads to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from enclave.errors import StoreError
from enclave.guard.factors.attempts import FREE_ATTEMPTS, MOST_IN_A_ROW, Attempts
from enclave.guard.factors.totp import code_at, find_step
from evm.address import checksum
from evm.signature import parse_signature
from tests.guard_factors.factor_world import SETTINGS, FactorWorld, Holder, authenticator, running
from tests.guard_review.review_world import BUDGETS, ReviewWorld, held_id
from tests.guard_review.review_world import LARGE as LARGE_FOR_BOTH
from tests.guard_wire.guard_world import RefusedByGuard

DAY_S = 86_400
LARGE = 2_000 * 10**6


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[FactorWorld]:
    async with running(pki_folder) as made:
        yield made


@pytest.fixture
async def user(world: FactorWorld) -> Holder:
    """Somebody who has an authenticator app."""
    made = await Holder.registered(world)
    await made.enrol_totp()
    return made


async def refused(asking: Any) -> tuple[int, str]:
    with pytest.raises(RefusedByGuard) as caught:
        await asking
    return caught.value.code, caught.value.cause


def wrong(user: Holder) -> dict[str, str]:
    """A code that is none of those that count now."""
    right = {authenticator(user.seed, user.world.now_s() + 30 * step) for step in (-1, 0, 1)}
    return {"id": "TOTP", "token": next(code for code in ("000000", "111111", "222222", "333333") if code not in right)}


@pytest.mark.parametrize(
    ("time_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_rfc_6238(time_s: int, code: str) -> None:
    """Appendix B, the last six digits."""
    seed = b"12345678901234567890"
    assert code_at(seed, time_s // 30) == code == authenticator(seed, time_s)
    assert find_step(seed, 0, code, time_s) == time_s // 30
    assert find_step(seed, time_s // 30, code, time_s) is None
    for off_s in (-60, 60):
        assert find_step(seed, 0, code, time_s + off_s) is None


async def test_every_signature_of_a_wallet_that_has_a_factor_needs_it(user: Holder) -> None:
    assert await refused(user.pay()) == (6600, "guard:second-factor:enrolled")
    sig = await user.pay(user.totp())
    digest = bytes.fromhex(user.payment()["msg"][2:])
    assert parse_signature(bytes.fromhex(sig[2:])).recover(digest) == user.guard


async def test_only_what_the_rules_ask_for_needs_it_where_the_configuration_says_so(pki_folder: Path) -> None:
    async with running(pki_folder, second_factors=SETTINGS | {"asked": "rules"}) as world:
        user = await Holder.registered(world)
        await user.enrol_totp()
        await user.pay()
        assert await refused(user.pay(amount=LARGE)) == (6600, "guard:second-factor:budget:usd-day")
        assert await refused(user.pay(wrong(user), amount=LARGE)) == (6600, "guard:second-factor:wrong")
        await user.pay(user.totp(), amount=LARGE)
        assert await refused(user.update("ResetTOTP")) == (6600, "guard:second-factor:update")


async def test_what_the_rules_ask_for_is_refused_to_a_wallet_without_a_factor(world: FactorWorld) -> None:
    user = await Holder.registered(world)
    for token in (None, {"id": "TOTP", "token": "123456"}, {"id": "recovery", "token": "AAAAA-AAAAA"}):
        code, cause = await refused(user.pay(token, amount=LARGE))
        assert (code, cause.rsplit(":", 1)[0]) in [(1001, "guard:second-factor:budget"), (1001, "guard:second-factor")]


async def test_a_code_counts_once_and_none_behind_it_does(user: Holder) -> None:
    token, before = user.totp(), user.totp(-1)
    await user.pay(token)
    for used in (token, before):
        assert await refused(user.pay(used)) == (6600, "guard:second-factor:wrong")
    await user.world.pass_time(60)
    await user.pay(user.totp(1))


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_step_early_or_late_counts(user: Holder, steps: int, counts: bool) -> None:
    await user.world.pass_time(90)
    asking = user.pay(user.totp(steps))
    if counts:
        await asking
    else:
        assert await refused(asking) == (6600, "guard:second-factor:wrong")


async def test_a_denial_uses_no_code_up_and_counts_no_attempt(user: Holder) -> None:
    token = user.totp()
    for _ in range(FREE_ATTEMPTS + 1):
        assert (await refused(user.pay(token, amount=9_000 * 10**6)))[0] == 1001
    await user.pay(token)


async def test_the_code_is_judged_anew_with_its_request(user: Holder) -> None:
    """What came without a code, and what comes with one, need not be the same request."""
    assert (await refused(user.pay()))[0] == 6600
    assert (await refused(user.pay(user.totp(), amount=11_000 * 10**6))) == (1001, "guard:deny:budget:usd-day")


@pytest.mark.parametrize(
    "token",
    [
        {"id": "totp", "token": "123456"},
        {"id": "TOTP"},
        {"id": "TOTP", "token": 123456},
        {"id": "TOTP", "token": "1" * 200},
        {"id": "TOTP", "token": "123456", "more": 1},
        {"id": "TOTP", "token": "123456", "resetAuth": "yes"},
        "123456",
        [],
    ],
)
async def test_a_malformed_token_is_refused(user: Holder, token: Any) -> None:
    assert await refused(user.pay(token)) == (2001, "guard:token")


async def test_absent_null_and_empty_are_the_same(user: Holder) -> None:
    for token in ("", None):
        asked = {"signer": checksum(user.guard), "request": user.payment(), "token": token}
        assert (await refused(user.world.ask("SignWith", asked)))[0] == 6600
    await user.pay(user.totp() | {"resetAuth": None})


async def test_a_recovery_code_signs_once_and_may_take_the_factors_off(user: Holder) -> None:
    await user.pay({"id": "recovery", "token": user.codes[0]})
    assert (await refused(user.pay({"id": "recovery", "token": user.codes[0], "resetAuth": True})))[0] == 6600
    await user.pay({"id": "recovery", "token": user.codes[1], "resetAuth": True})
    await user.pay(nonce=1)


async def test_wrong_codes_soon_have_to_wait_and_a_recovery_code_has_not(user: Holder) -> None:
    for _ in range(FREE_ATTEMPTS):
        assert await refused(user.pay(wrong(user))) == (6600, "guard:second-factor:wrong")
    assert await refused(user.pay(user.totp())) == (1007, "guard:second-factor-wait")
    await user.pay({"id": "recovery", "token": user.codes[0]})
    for _ in range(FREE_ATTEMPTS):
        assert (await refused(user.pay(wrong(user))))[0] == 6600
    await user.world.pass_time(60)
    await user.pay(user.totp())


async def test_parallel_guesses_are_counted_one_by_one(user: Holder) -> None:
    asked = await asyncio.gather(*[user.pay(wrong(user)) for _ in range(60)], return_exceptions=True)
    looked_at = [found for found in asked if isinstance(found, RefusedByGuard) and found.code == 6600]
    assert len(looked_at) == FREE_ATTEMPTS
    assert all(isinstance(found, RefusedByGuard) for found in asked)


async def test_parallel_requests_with_one_code_get_one_signature(user: Holder) -> None:
    token = user.totp()
    asked = await asyncio.gather(*[user.pay(token, nonce=n) for n in range(FREE_ATTEMPTS)], return_exceptions=True)
    assert [isinstance(found, str) for found in asked].count(True) == 1


def test_a_million_guesses_lead_nowhere() -> None:
    """By the schedule alone: how many guesses a year has room for, and how likely one of them is right."""
    attempts, now_s, looked_at = Attempts(), 0, 0
    while attempts.in_a_row < MOST_IN_A_ROW:
        now_s = max(now_s, attempts.not_before_s)
        attempts, looked_at = attempts.counted(now_s), looked_at + 1
    assert (looked_at, now_s > 80 * DAY_S) == (MOST_IN_A_ROW, True)
    codes_at_a_time, codes = 3, 10**6
    assert looked_at * codes_at_a_time / codes <= 3e-4
    with pytest.raises(Exception, match="locked"):
        attempts.counted(now_s + 1000 * DAY_S)


async def test_guessing_ends_for_good_and_a_recovery_code_begins_anew(user: Holder) -> None:
    world = user.world
    for _ in range(MOST_IN_A_ROW):
        assert (await refused(user.pay(wrong(user))))[0] == 6600
        await world.pass_time(DAY_S)
    assert await refused(user.pay(user.totp())) == (1007, "guard:second-factor-locked")
    await user.pay({"id": "recovery", "token": user.codes[0], "resetAuth": True})
    await world.pass_time(1)
    await user.enrol_totp()
    await user.pay(user.totp())


async def test_a_store_that_is_rolled_back_within_a_boot_gives_no_attempt_back(user: Holder) -> None:
    before = user.world.store.snapshot()
    assert (await refused(user.pay(wrong(user))))[0] == 6600
    user.world.store.rows = before
    assert (await refused(user.pay(wrong(user)))) == (7307, "")
    for asking in (user.pay(user.totp()), user.pay({"id": "recovery", "token": user.codes[0]})):
        assert (await refused(asking))[0] == 7307


async def test_after_a_restart_counting_starts_where_waiting_starts(user: Holder) -> None:
    """A host that restarts over an older store gets one guess a minute at most, and each boot asks the holders."""
    world, before = user.world, user.world.store.snapshot()
    looked_at = 0
    for _ in range(5):
        world.store.rows = dict(before)
        await world.boot()
        assert await refused(user.pay(wrong(user))) == (1007, "guard:second-factor-wait")
        await world.pass_time(60)
        for _ in range(5):
            looked_at += (await refused(user.pay(wrong(user))))[0] == 6600
    assert looked_at == 5


@pytest.mark.parametrize("attempt", ["wrong", "right"])
async def test_a_write_that_fails_leaves_nothing_looked_at(user: Holder, attempt: str) -> None:
    """The count is durable before the comparison: a store that takes no writes gives no answer about a code."""
    saving = user.world.store.put

    async def fails(writes: Any) -> None:
        raise StoreError("store-unreachable")

    user.world.store.put = fails  # type: ignore[method-assign]
    token = wrong(user) if attempt == "wrong" else user.totp()
    code, _ = await refused(user.pay(token))
    assert code not in (6600, 6601)
    user.world.store.put = saving  # type: ignore[method-assign]
    await user.pay(user.totp())


class BothWorld(ReviewWorld, FactorWorld):
    """A guard that keeps second factors, and whose rules name reviewers."""


async def test_a_second_factor_and_a_review_are_both_needed(pki_folder: Path) -> None:
    """Reviewers approve of a request, not of who asks; and a code is nobody's approval."""
    usual = BUDGETS[0] | {"second_factor_above": "1000"}
    async with running(pki_folder, BothWorld, budgets=[usual], second_factors=SETTINGS | {"asked": "rules"}) as world:
        user = await Holder.registered(world)
        await user.enrol_totp()
        code, cause = await refused(user.pay(user.totp(), amount=LARGE_FOR_BOTH))
        assert code == 1001
        await world.approve(held_id(cause))
        assert await refused(user.pay(amount=LARGE_FOR_BOTH)) == (6600, "guard:second-factor:budget:usd-day")
        assert await refused(user.pay(wrong(user), amount=LARGE_FOR_BOTH)) == (6600, "guard:second-factor:wrong")
        await user.pay(user.totp(), amount=LARGE_FOR_BOTH)
        again = await refused(user.pay(amount=LARGE_FOR_BOTH))
        assert held_id(again[1]) != held_id(cause)
