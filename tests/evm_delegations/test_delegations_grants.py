"""What is granted, in words and at its worst; and a corpus of what is refused, each with its reason."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evm.address import ZERO_ADDRESS, Address, checksum
from evm.authorization import Authorization
from evm.delegations.deployment import METAMASK
from evm.delegations.grant import Grant, read_grant
from evm.delegations.model import ANY_DELEGATE, Caveat, Delegation
from evm.delegations.rules import VerifiedGrant, validate_code, verify_grant
from evm.delegations.terms import (
    NO_RENEWAL_S,
    Amount,
    CalldataSlice,
    ExactCalldata,
    Item,
    Once,
    PerPeriod,
    Redeemers,
    Revocable,
    Revocations,
    Stream,
    Targets,
    Terms,
    Times,
    Uses,
    ValueAtMost,
)
from evm.wallet.abi import word

from .samples import (
    CHAIN,
    COIN_TERMS,
    DAY_S,
    END_S,
    EXECUTOR,
    NOW_S,
    PAYEE,
    RULES,
    STRANGER,
    TOKEN_TERMS,
    USDC,
    WALLET,
    code_of,
    delegation,
    swapped,
)


def verified(made: Delegation, chain_id: int = CHAIN, **rules: Any) -> VerifiedGrant:
    return verify_grant(made, WALLET, chain_id, dataclasses.replace(RULES, **rules), NOW_S)


def refused(made: Delegation, chain_id: int = CHAIN, **rules: Any) -> str:
    return code_of(verified, made, chain_id, **rules)


def token(*others: Terms | Caveat, without: tuple[type, ...] = ()) -> Delegation:
    return delegation(*swapped(TOKEN_TERMS, *others, without=without))


def coins(*others: Terms | Caveat, without: tuple[type, ...] = ()) -> Delegation:
    return delegation(*swapped(COIN_TERMS, *others, without=without))


ITEM = delegation(Item(USDC, 7), ValueAtMost(0), CalldataSlice(4, word(WALLET) + word(PAYEE)), Times(0, END_S), Once(9))
REVOCATIONS = delegation(Revocations(3), Times(0, END_S), Revocable(0))


def test_token_grant_is_signed_shown_and_bounded() -> None:
    found = verified(delegation())
    assert found.exposure == 30 * 100
    assert found.grant.recipients == (PAYEE,)
    assert found.digest == delegation().digest(METAMASK.manager, CHAIN)
    who, limit, *others = found.understood["words"][0].partition(": ")[::2] + tuple(found.understood["words"][1:])
    executor, wallet = "0x1111111111111111111111111111111111111111", "0x2222222222222222222222222222222222222222"
    token_text = checksum(USDC)
    assert who == f"{executor} may act for {wallet} on chain 137"
    assert [limit, *others] == [
        f"send 100 base units of token {token_text} in every 86400 seconds, from 2027-01-15 08:00:00 UTC",
        "Sent only to 0x3333333333333333333333333333333333333333",
        "Valid until 2027-02-14 08:00:00 UTC",
        f"At the most, this costs 3000 base units of token {token_text}",
        "Can be taken back before that",
    ]


@pytest.mark.parametrize(
    ("made", "exposure"),
    [
        (delegation(*COIN_TERMS), 3000),
        (coins(Amount(None, 5), without=(PerPeriod,)), 5),
        (coins(PerPeriod(None, 7, NO_RENEWAL_S, NOW_S)), 7),
        (coins(Stream(None, 10, 10**17, 1, NOW_S), without=(PerPeriod,)), 10 + 30 * DAY_S - 1),
        (coins(Stream(None, 0, 50, 1, NOW_S), without=(PerPeriod,)), 50),
        (token(Amount(USDC, 10_000), without=(PerPeriod,)), 10_000),
        (token(Stream(USDC, 0, 2**256 - 1, 1, END_S - 101), without=(PerPeriod,)), 100),
        (token(PerPeriod(USDC, 100, DAY_S, NOW_S - 10 * DAY_S)), 3000),
        (token(PerPeriod(USDC, 100, DAY_S, END_S - 1)), 100),
        (token(PerPeriod(USDC, 100, DAY_S, END_S)), 0),
        (ITEM, 1),
        (REVOCATIONS, 0),
    ],
)
def test_exposure_is_the_most_that_can_go(made: Delegation, exposure: int) -> None:
    found = verified(made, max_exposure={USDC: 10**18, None: 10**18})
    assert found.exposure == exposure
    assert all(found.understood["words"])


def test_words_of_other_grants() -> None:
    assert "take back approvals (erc20 approve, erc721 approve)" in verified(REVOCATIONS).understood["words"][0]
    assert "costs nothing" in " ".join(verified(REVOCATIONS).understood["words"])
    assert "Usable once" in verified(ITEM).understood["words"]
    anybody = delegation(*TOKEN_TERMS, Redeemers((EXECUTOR,)), Uses(2), delegate=ANY_DELEGATE)
    words = verified(anybody).understood["words"]
    assert words[0].startswith("Whoever (only 0x1111111111111111111111111111111111111111) may act")
    assert words[2].endswith("2 times at the most")


@given(
    amount=st.integers(1, 10**6),
    duration_s=st.integers(1, 10_000),
    start_s=st.integers(NOW_S - 20_000, NOW_S + 20_000),
    life_s=st.integers(2, 20_000),
)
def test_periods_are_counted_as_the_contract_counts_them(
    amount: int, duration_s: int, start_s: int, life_s: int
) -> None:
    """The contract gives `amount` for each value of (now - start) / duration that some moment before the end has."""
    limit, end_s = PerPeriod(USDC, amount, duration_s, start_s), NOW_S + life_s
    grant = read_grant(token(limit, Times(0, end_s)), METAMASK)
    moments = range(max(NOW_S, start_s), end_s)
    expected = len({(moment - start_s) // duration_s for moment in moments}) * amount
    assert grant.exposure(NOW_S) == expected


def other_enforcer(number: int, terms: bytes = b"") -> Caveat:
    return Caveat(Address(bytes([number]) * 20), terms)


OWNERSHIP = Address(bytes.fromhex("7eef9734e7092032b5c56310eb9bbd1f4a524681"))
LOGICAL_OR = Address(bytes.fromhex("e1302607a3251af54c3a6e69318d6aa07f5eb46c"))
MULTI_TOKEN = Address(bytes.fromhex("fb2f1a9bd76d3701b730e5d69c3219d42d80ebb7"))
PERIOD = METAMASK.enforcers["ERC20PeriodTransferEnforcer"]
TIMES = METAMASK.enforcers["TimestampEnforcer"]

HOSTILE: dict[str, tuple[Delegation, str]] = {
    "no caveats": (delegation(caveats=()), "delegation-no-limit"),
    "no limit": (token(without=(PerPeriod,)), "delegation-no-limit"),
    "only an end": (delegation(Times(0, END_S)), "delegation-no-limit"),
    "only uses and an end, which a batch passes": (
        delegation(Uses(1), Times(0, END_S), Revocable(0)), "delegation-no-limit",
    ),
    "only redeemers": (delegation(Redeemers((EXECUTOR,)), Times(0, END_S), Revocable(0)), "delegation-no-limit"),
    "only targets": (delegation(Targets((USDC,)), Times(0, END_S), Revocable(0)), "delegation-no-limit"),
    "no end": (token(without=(Times,)), "delegation-no-expiry"),
    "an end of 0": (token(Times(0, 0)), "delegation-no-expiry"),
    "a beginning alone": (token(Times(NOW_S, 0)), "delegation-no-expiry"),
    "ended": (token(Times(0, NOW_S)), "delegation-expired"),
    "ends at once": (token(Times(0, NOW_S + 1)), "delegation-expired"),
    "ended long ago": (token(Times(0, 1)), "delegation-expired"),
    "lives too long": (token(Times(0, NOW_S + 366 * DAY_S + 1)), "delegation-lifetime"),
    "lives for ever": (token(Times(0, 2**128 - 1)), "delegation-lifetime"),
    "cannot be taken back": (token(without=(Revocable,)), "delegation-not-revocable"),
    "both a nonce and an id": (token(Once(1)), "delegation-caveat-superfluous"),
    "open to anybody": (delegation(delegate=ANY_DELEGATE), "delegation-open-delegate"),
    "open to strangers": (
        delegation(*TOKEN_TERMS, Redeemers((STRANGER,)), delegate=ANY_DELEGATE), "delegation-delegate",
    ),
    "open to a stranger among executors": (
        delegation(*TOKEN_TERMS, Redeemers((EXECUTOR, STRANGER)), delegate=ANY_DELEGATE), "delegation-delegate",
    ),
    "redeemed by a stranger": (delegation(*TOKEN_TERMS, Redeemers((STRANGER,))), "delegation-delegate"),
    "to a stranger": (delegation(delegate=STRANGER), "delegation-delegate"),
    "to nobody": (delegation(delegate=ZERO_ADDRESS), "delegation-delegate"),
    "to itself": (delegation(delegate=WALLET), "delegation-delegate"),
    "of another wallet": (delegation(delegator=STRANGER), "delegation-delegator"),
    "of the zero address": (delegation(delegator=ZERO_ADDRESS), "delegation-delegator"),
    "passed on": (delegation(authority=b"\x11" * 32), "delegation-authority"),
    "passed on from nothing": (delegation(authority=bytes(32)), "delegation-authority"),
    "nearly the root": (delegation(authority=b"\xff" * 31 + b"\xfe"), "delegation-authority"),
    "to whomever": (token(without=(CalldataSlice,)), "delegation-recipient-open"),
    "to whomever, for that token": (
        token(Targets((USDC,)), without=(CalldataSlice,)), "delegation-recipient-open",
    ),
    "the selector fixed, not the recipient": (
        token(CalldataSlice(0, bytes.fromhex("a9059cbb"))), "delegation-recipient-open",
    ),
    "the amount fixed, not the recipient": (token(CalldataSlice(36, word(1))), "delegation-recipient-open"),
    "half a recipient": (token(CalldataSlice(4, word(PAYEE)[:31])), "delegation-recipient-open"),
    "a recipient's padding alone": (token(CalldataSlice(4, bytes(12))), "delegation-recipient-open"),
    "recipient and amount fixed": (token(CalldataSlice(4, word(PAYEE) + word(1))), "delegation-recipient-open"),
    "a recipient with dirty padding": (
        token(CalldataSlice(4, b"\x01" + word(PAYEE)[1:])), "delegation-recipient-open",
    ),
    "a place that wraps around": (token(CalldataSlice(2**256 - 28, word(PAYEE))), "delegation-recipient-open"),
    "to the zero address": (token(CalldataSlice(4, bytes(32))), "delegation-recipient"),
    "to the wallet itself": (token(CalldataSlice(4, word(WALLET))), "delegation-recipient"),
    "with coins along": (token(without=(ValueAtMost,)), "delegation-value-open"),
    "with a wei along": (token(ValueAtMost(1)), "delegation-value-open"),
    "another contract is called": (token(Targets((STRANGER,))), "delegation-targets"),
    "another contract, too": (token(Targets((USDC, STRANGER))), "delegation-targets"),
    "coins with call data": (coins(without=(ExactCalldata,)), "delegation-calldata-open"),
    "coins with some call data": (coins(ExactCalldata(b"\x01")), "delegation-calldata-open"),
    "coins to whomever": (coins(without=(Targets,)), "delegation-recipient-open"),
    "coins to the zero address": (coins(Targets((ZERO_ADDRESS,))), "delegation-recipient"),
    "coins to one twice": (coins(Targets((PAYEE, PAYEE))), "delegation-recipient-twice"),
    "coins to the wallet itself": (coins(Targets((PAYEE, WALLET))), "delegation-recipient"),
    "coins and a limit for values": (coins(ValueAtMost(1)), "delegation-caveat-superfluous"),
    "two limits": (token(Amount(USDC, 1)), "delegation-limits"),
    "two limits, of token and coins": (delegation(*TOKEN_TERMS, Amount(None, 1)), "delegation-limits"),
    "two ends": (delegation(*TOKEN_TERMS, Times(0, END_S + 1)), "delegation-caveat-twice"),
    "the same twice": (delegation(*TOKEN_TERMS, Revocable(0)), "delegation-caveat-twice"),
    "two recipients": (
        delegation(*TOKEN_TERMS, CalldataSlice(4, word(STRANGER))), "delegation-caveat-twice",
    ),
    "an unknown enforcer": (delegation(*TOKEN_TERMS, other_enforcer(0x99)), "delegation-enforcer"),
    "an unknown enforcer in place of the limit": (
        token(other_enforcer(0x99, bytes(116)), without=(PerPeriod,)), "delegation-enforcer",
    ),
    "the manager as enforcer": (
        delegation(*TOKEN_TERMS, Caveat(METAMASK.manager.address, b"")), "delegation-enforcer",
    ),
    "ownership is handed over": (delegation(*TOKEN_TERMS, Caveat(OWNERSHIP, USDC)), "delegation-enforcer"),
    "the redeemer chooses among conditions": (
        delegation(*TOKEN_TERMS, Caveat(LOGICAL_OR, bytes(64))), "delegation-enforcer",
    ),
    "the redeemer chooses among tokens": (
        token(Caveat(MULTI_TOKEN, bytes(116)), without=(PerPeriod,)), "delegation-enforcer",
    ),
    "terms that are too short": (
        token(Caveat(PERIOD, bytes(115)), without=(PerPeriod,)), "delegation-terms",
    ),
    "terms that are too long": (
        token(Caveat(PERIOD, bytes(117)), without=(PerPeriod,)), "delegation-terms",
    ),
    "a period of nothing": (token(Caveat(PERIOD, USDC + bytes(96)), without=(PerPeriod,)), "delegation-terms"),
    "times of other widths": (token(Caveat(TIMES, bytes(64)), without=(Times,)), "delegation-terms"),
    "another token": (token(PerPeriod(STRANGER, 1, DAY_S, NOW_S)), "delegation-asset"),
    "too much a day": (token(PerPeriod(USDC, 334, DAY_S, NOW_S)), "delegation-exposure"),
    "too much by many short periods": (token(PerPeriod(USDC, 1, 1, NOW_S)), "delegation-exposure"),
    "everything": (token(Amount(USDC, 2**256 - 1), without=(PerPeriod,)), "delegation-exposure"),
    "everything, in one period": (token(PerPeriod(USDC, 2**256 - 1, DAY_S, NOW_S)), "delegation-exposure"),
    "a stream without an end of its own": (
        token(Stream(USDC, 0, 2**256 - 1, 1, 1), without=(PerPeriod,)), "delegation-exposure",
    ),
    "a fast stream": (coins(Stream(None, 0, 2**255, 10**18, NOW_S), without=(PerPeriod,)), "delegation-exposure"),
    "no use": (delegation(*TOKEN_TERMS, Uses(0)), "delegation-uses"),
    "an item of another's": (
        dataclasses.replace(
            ITEM,
            caveats=tuple(
                METAMASK.caveat(CalldataSlice(4, word(STRANGER) + word(PAYEE)))
                if METAMASK.understand(caveat) == CalldataSlice(4, word(WALLET) + word(PAYEE)) else caveat
                for caveat in ITEM.caveats
            ),
        ),
        "delegation-recipient-open",
    ),
    "an item to whomever": (
        delegation(Item(USDC, 7), ValueAtMost(0), CalldataSlice(4, word(WALLET)), Times(0, END_S), Once(9)),
        "delegation-recipient-open",
    ),
    "revocations and more": (delegation(Revocations(1), ValueAtMost(0), Times(0, END_S), Revocable(0)),
                             "delegation-caveat-superfluous"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_delegations_are_refused_with_reasons(name: str) -> None:
    made, code = HOSTILE[name]
    assert refused(made) == code


@pytest.mark.parametrize("chain_id", [0, 1, -137, 2**64])
def test_chain_that_is_not_served_is_refused(chain_id: int) -> None:
    assert refused(delegation(), chain_id) == "delegation-chain-id"
    assert refused(delegation(), 0, chains=frozenset({0})) == "delegation-chain-id"


def test_recipient_that_is_not_allowed_is_refused() -> None:
    assert refused(delegation(), recipients=frozenset({STRANGER})) == "delegation-recipient"
    assert refused(delegation(), recipients=frozenset({STRANGER, PAYEE})) == "accepted"


@pytest.mark.parametrize("terms", [TOKEN_TERMS, COIN_TERMS], ids=["token", "coins"])
def test_no_condition_of_a_grant_can_be_left_out(terms: tuple[Terms, ...]) -> None:
    for left_out in terms:
        assert refused(delegation(*(each for each in terms if each != left_out))) != "accepted"


def test_order_of_conditions_changes_nothing_but_the_hash() -> None:
    turned = delegation(*TOKEN_TERMS[::-1])
    assert verified(turned).grant == verified(delegation()).grant
    assert isinstance(verified(turned).grant, Grant)


# --- code for an account (EIP-7702) ---

CODE, KEYLESS = Address(b"\x63" * 20), Address(b"\x64" * 20)


def authorize(authorization: Authorization, **changes: Any) -> None:
    facts: dict[str, Any] = {
        "account": WALLET, "chains": frozenset({CHAIN}), "code": frozenset({CODE}), "nonce": 5, "sends_itself": False,
        "contracts": frozenset({KEYLESS}),
    }  # fmt: skip
    validate_code(authorization, **(facts | changes))


def test_account_takes_on_listed_code_and_gives_it_up() -> None:
    authorize(Authorization(CHAIN, CODE, 5))
    authorize(Authorization(CHAIN, ZERO_ADDRESS, 5))
    authorize(Authorization(CHAIN, CODE, 6), sends_itself=True)


@pytest.mark.parametrize(
    ("make", "changes", "code"),
    [
        (lambda: Authorization(0, CODE, 5), {}, "authorization-chain-id"),
        (lambda: Authorization(1, CODE, 5), {}, "authorization-chain-id"),
        (lambda: Authorization(2**63, CODE, 5), {}, "authorization-chain-id"),
        (lambda: Authorization(CHAIN, STRANGER, 5), {}, "authorization-code"),
        (lambda: Authorization(CHAIN, WALLET, 5), {}, "authorization-code"),
        (lambda: Authorization(CHAIN, CODE, 4), {}, "authorization-nonce"),
        (lambda: Authorization(CHAIN, CODE, 6), {}, "authorization-nonce"),
        (lambda: Authorization(CHAIN, CODE, 5), {"sends_itself": True}, "authorization-nonce"),
        (lambda: Authorization(CHAIN, CODE, 2**64 - 1), {}, "authorization-nonce"),
        (lambda: Authorization(CHAIN, CODE, -1), {}, "authorization-nonce"),
        (lambda: Authorization(CHAIN, CODE, 5), {"account": KEYLESS}, "authorization-account"),
        (lambda: Authorization(CHAIN, CODE, 5), {"code": frozenset()}, "authorization-code"),
        (lambda: Authorization(CHAIN, CODE, 5), {"chains": frozenset()}, "authorization-chain-id"),
        (lambda: Authorization(CHAIN, Address(CODE[1:]), 5), {}, "authorization-address"),
    ],
)
def test_hostile_authorizations_are_refused_with_reasons(make: Any, changes: dict[str, Any], code: str) -> None:
    assert code_of(lambda: authorize(make(), **changes)) == code


def test_corpus_is_as_large_as_promised() -> None:
    assert len(HOSTILE) >= 60
