"""Outstanding authority is exact under concurrency, and whatever fails, never beyond its caps (SE-11, RB-03)."""

import asyncio
import dataclasses
import os

import pytest

from enclave.delegations.outstanding import RELEASE_AFTER_S, OutstandingAuthority
from enclave.delegations.policy import Caps
from enclave.errors import Refusal
from enclave.records import Records
from enclave.secret import Secret
from evm.delegations.rules import VerifiedGrant, verify_grant
from evm.delegations.terms import Amount, PerPeriod, Revocations, Times
from protocol.limits import MAX_LEDGER_ENTRIES
from tests.appliance import MemoryStore
from tests.enclave_guard.test_guard_budgets import BreakingStore, Clock
from tests.evm_delegations.samples import CHAIN, END_S, NOW_S, RULES, TOKEN_TERMS, USDC, WALLET, delegation, swapped
from tests.evm_delegations.test_delegations_grants import REVOCATIONS

CAPS = Caps(account=100, scope=150)


def grant(amount: int, end_s: int = END_S) -> VerifiedGrant:
    terms = swapped(TOKEN_TERMS, Amount(USDC, amount), Times(0, end_s), without=(PerPeriod,))
    made = dataclasses.replace(delegation(*terms), salt=int.from_bytes(os.urandom(32), "big"))
    return verify_grant(made, WALLET, CHAIN, RULES, NOW_S)


def boot(store: MemoryStore, clock: Clock) -> OutstandingAuthority:
    records = Records(store, Secret.take(bytearray(b"r" * 32)), "test", clock.now_ms, os.urandom)
    return OutstandingAuthority(records, clock.now_s)


def standing_clock() -> Clock:
    clock = Clock()
    clock.now = NOW_S
    return clock


async def reserved(authority: OutstandingAuthority, what: VerifiedGrant, account: str = "a") -> str:
    try:
        await authority.reserve("@1", account, what, CAPS)
    except Refusal as refusal:
        return refusal.cause or refusal.error.name
    return "reserved"


async def used(authority: OutstandingAuthority, account: str = "a") -> tuple[int, int]:
    found = await authority.of("@1", account, CHAIN, USDC, CAPS)
    return found.account, found.scope


async def test_both_caps_hold_and_a_delegation_counts_once() -> None:
    authority, first = boot(MemoryStore(), standing_clock()), grant(100)
    assert [await reserved(authority, first) for _ in range(3)] == ["reserved"] * 3
    assert await used(authority) == (100, 100)
    assert await reserved(authority, grant(1)) == "delegation-outstanding-account"
    assert await reserved(authority, grant(51), "b") == "delegation-outstanding-scope"
    assert await used(authority, "b") == (0, 100)  # on both ledgers, or on none
    assert await reserved(authority, grant(50), "b") == "reserved"


async def test_authority_ends_some_time_after_its_grant_and_not_before() -> None:
    clock = standing_clock()
    authority = boot(MemoryStore(), clock)
    await reserved(authority, grant(100))
    clock.now = END_S + RELEASE_AFTER_S - 1
    assert await used(authority) == (100, 100)
    clock.now += 1
    assert await used(authority) == (0, 0)


async def test_grant_that_lets_nothing_leave_is_on_no_ledger() -> None:
    store = MemoryStore()
    await boot(store, standing_clock()).reserve("@1", "a", verify_grant(REVOCATIONS, WALLET, CHAIN, RULES, NOW_S), None)
    assert not store.rows
    with pytest.raises(Refusal):
        await boot(store, standing_clock()).reserve("@1", "a", grant(1), None)


async def test_workers_that_race_reserve_exactly_the_cap() -> None:
    store, clock = MemoryStore(), standing_clock()
    workers = [boot(store, clock) for _ in range(3)]
    found = await asyncio.gather(*(reserved(workers[n % 3], grant(9)) for n in range(24)))
    while "Busy" in found:  # whoever lost too often asks again
        found = [each if each != "Busy" else await reserved(workers[0], grant(9)) for each in found]
    assert found.count("reserved") == 11
    assert await used(workers[0]) == (99, 99)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("operation", range(1, 5))
async def test_crash_at_any_operation_of_the_store_never_lets_a_cap_be_exceeded(operation: int, *, after: bool) -> None:
    store, clock = BreakingStore(), standing_clock()
    if after:
        store.breaks_after = operation
    else:
        store.breaks_before = operation
    signed = [each for each in [grant(40) for _ in range(4)] if await reserved(boot(store, clock), each) == "reserved"]
    account, scope = await used(boot(store, clock))
    assert 40 * len(signed) <= account <= 80
    assert account == scope


async def test_more_grants_than_a_ledger_holds_count_longer_and_never_less() -> None:
    authority, caps = boot(MemoryStore(), standing_clock()), Caps(10**6, 10**6)
    for number in range(MAX_LEDGER_ENTRIES + 20):
        await authority.reserve("@1", "a", grant(1, END_S + number), caps)
    assert (await used(authority))[0] == MAX_LEDGER_ENTRIES + 20


def test_samples_are_what_they_are_taken_for() -> None:
    assert grant(7).exposure == 7
    assert isinstance(verify_grant(REVOCATIONS, WALLET, CHAIN, RULES, NOW_S).grant.limit, Revocations)
