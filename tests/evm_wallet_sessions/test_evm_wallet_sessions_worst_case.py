"""The worst case of a session: never less than what its rules let through, and bounded where they bound."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evm.address import Address
from evm.wallet.errors import WalletError
from evm.wallet.payload import Call
from evm.wallet.sessions.chain_state import ChainState
from evm.wallet.sessions.configuration import Blacklist, Branch, Node
from evm.wallet.sessions.explicit import validate_explicit_call
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission
from evm.wallet.sessions.usage_limits import UsageTracker
from evm.wallet.sessions.words import attestation_words, rule_words, session_words, tree_words
from evm.wallet.sessions.worst_case import worst_case

from .samples import (
    ANY,
    APP,
    APPROVE,
    BOB,
    CHAIN_ID,
    DAPP,
    NOW_S,
    SELECTOR_MASK,
    SPEND,
    TOKEN,
    TRANSFER,
    at_most,
    attestation,
    calldata,
    selector_rule,
    session,
    tree,
)

EQUAL, LEAST = ParameterOperation.EQUAL, ParameterOperation.GREATER_THAN_OR_EQUAL
TO_BOB = ParameterRule(EQUAL, int.from_bytes(BOB, "big"), 4)
TRANSFER_FROM, APPROVE_ALL = bytes.fromhex("23b872dd"), bytes.fromhex("a22cb465")
ITEM_WITH_DATA, ITEMS_1155 = bytes.fromhex("b88d4fde"), bytes.fromhex("f242432a")


def total(*rules: ParameterRule, selector: bytes | None = TRANSFER, usage: int = 0) -> int | None:
    """The bound of the token for a session with one permission of these rules."""
    found = Permission(TOKEN, ((selector_rule(selector), *rules) if selector else rules))
    used = {found.usage_hash(APP.address, index): usage for index in range(len(found.rules))} if usage else {}
    return worst_case(session(permissions=(found,)), used).tokens[TOKEN]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([at_most(1000)], 1000),
        ([at_most(1000), at_most(300)], 300),
        ([at_most(1000), at_most(5, cumulative=False)], 1000),
        ([ParameterRule(EQUAL, 7, 36, cumulative=True)], 7),
        ([ParameterRule(EQUAL, 7, 36)], None),
        ([at_most(0, cumulative=False)], 0),
        ([at_most(1000, cumulative=False)], None),
        ([ParameterRule(LEAST, 7, 36, cumulative=True)], None),
        ([ParameterRule(ParameterOperation.NOT_EQUAL, 7, 36, cumulative=True)], None),
        ([at_most(1000, mask=2**128 - 1)], None),
        ([at_most(1000, mask=2**256 - 2)], None),
        ([at_most(1000, offset=35)], None),
        ([at_most(1000, offset=4)], None),
        ([], None),
    ],
)
def test_bound_of_transfers(rules: list[ParameterRule], expected: int | None) -> None:
    assert total(*rules) == expected


@pytest.mark.parametrize(
    ("selector", "offset", "expected"),
    [
        (APPROVE, 36, 9),
        (TRANSFER_FROM, 68, 9),
        (TRANSFER_FROM, 36, None),
        (ITEMS_1155, 100, 9),
        (ITEM_WITH_DATA, 68, None),
        (APPROVE_ALL, 36, None),
        (b"\xde\xad\xbe\xef", 36, None),
        (None, 36, None),
    ],
)
def test_bound_by_function(selector: bytes | None, offset: int, expected: int | None) -> None:
    assert total(at_most(9, offset), selector=selector) == expected


def test_operator_that_can_only_be_revoked_moves_nothing() -> None:
    assert total(ParameterRule(EQUAL, 0, 36), selector=APPROVE_ALL) == 0


@pytest.mark.parametrize(
    "rule",
    [
        ParameterRule(EQUAL, int.from_bytes(TRANSFER, "big") << 224, 0, 0xFFFFFF << 232),
        ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, int.from_bytes(TRANSFER, "big") << 224, 0, SELECTOR_MASK),
        ParameterRule(EQUAL, int.from_bytes(TRANSFER, "big") << 224, 0, SELECTOR_MASK, cumulative=True),
        ParameterRule(EQUAL, int.from_bytes(TRANSFER, "big") << 224, 4, SELECTOR_MASK),
    ],
)
def test_function_that_is_not_fixed_bounds_nothing(rule: ParameterRule) -> None:
    assert total(rule, at_most(9), selector=None) is None


def test_what_was_used_is_gone() -> None:
    assert total(at_most(1000), usage=400) == 600
    assert total(at_most(1000), usage=1001) == 0
    used = {session().value_usage_hash: 4}
    assert worst_case(session(value_limit=10), used).native_wei == 6
    assert worst_case(session(value_limit=3), used).native_wei == 0


def test_permissions_of_one_token_add_up_unless_they_are_the_same() -> None:
    to_bob = Permission(TOKEN, (*SPEND.rules, TO_BOB))
    found = worst_case(session(permissions=(SPEND, to_bob, SPEND)))
    assert found.tokens == {TOKEN: 2000}
    assert [movement.receiver for movement in found.movements] == [None, BOB]
    assert worst_case(session(permissions=(SPEND, Permission(TOKEN)))).tokens == {TOKEN: None}
    assert worst_case(session(permissions=(SPEND, ANY))).tokens == {TOKEN: 1000, DAPP: None}


def test_session_without_permissions_sends_nothing() -> None:
    assert worst_case(session(permissions=(), value_limit=10)).native_wei == 0


OFFSETS = st.sampled_from([0, 4, 35, 36, 37, 68])
SMALL_WORDS = st.integers(0, 6) | st.sampled_from([int.from_bytes(BOB, "big"), 2**255, 2**256 - 1])
MASKS = st.sampled_from([2**256 - 1, 2**256 - 2, 1, 0xFF, 2**160 - 1, SELECTOR_MASK, 0])
RULES = st.builds(ParameterRule, st.sampled_from(ParameterOperation), SMALL_WORDS, OFFSETS, MASKS, st.booleans())
BOUNDING = st.builds(at_most, st.integers(0, 9), cumulative=st.booleans())
PERMISSION = st.builds(
    lambda selector, rules: Permission(TOKEN, (selector_rule(selector), *rules)),
    st.sampled_from([TRANSFER, APPROVE, TRANSFER_FROM]),
    st.lists(RULES | BOUNDING | st.just(TO_BOB), max_size=3),
)
AMOUNTS = {TRANSFER: 1, APPROVE: 1, TRANSFER_FROM: 2}


@st.composite
def calls(draw: st.DrawFn) -> tuple[Call, int, int]:
    """A call of the token, the amount that it moves, and the permission that it claims."""
    selector = draw(st.sampled_from(sorted(AMOUNTS)))
    words = [draw(st.integers(0, 9) | st.sampled_from([int.from_bytes(BOB, "big"), 2**255])) for _ in range(3)]
    used = words[: AMOUNTS[selector] + 1]
    value = draw(st.integers(0, 5))
    return Call(TOKEN, value=value, data=calldata(selector, *used)), used[-1], draw(st.integers(0, 1))


@settings(max_examples=400)
@given(st.lists(PERMISSION, min_size=1, max_size=2), st.integers(0, 9), st.lists(calls(), max_size=12))
def test_no_sequence_of_allowed_calls_moves_more(
    permissions: list[Permission], value_limit: int, attempts: list[tuple[Call, int, int]]
) -> None:
    """Whatever the session contract lets through, over payloads that write down what they used."""
    found = session(permissions=tuple(permissions), value_limit=value_limit)
    bound = worst_case(found)
    stored: dict[bytes, int] = {}
    moved = sent = 0
    for call, amount, index in attempts:
        tracker = UsageTracker(stored)
        try:
            state = ChainState(CHAIN_ID, NOW_S, stored)
            validate_explicit_call(call, 1, APP.address, index, [found], state, tracker)
        except WalletError:
            continue
        stored |= {limit.usage_hash: limit.amount for limit in tracker.totals}
        moved, sent = moved + amount, sent + call.value
    most, left = bound.tokens[TOKEN], worst_case(found, stored)
    assert most is None or moved <= most
    assert sent <= bound.native_wei
    assert left.tokens[TOKEN] == (None if most is None else most - moved)
    assert left.native_wei == bound.native_wei - sent


# --- words ---


def test_words_say_what_may_be_spent_where_and_until_when() -> None:
    first, coins, token, dapp = session_words(session())
    assert first.endswith("on chain 137, until 2025-06-15 15:06:40 UTC")
    assert "at most 0.00000000000000001 coins (10 wei) in all" in coins
    assert token.startswith("By transfer it may give anybody of token")
    assert token.endswith("at most 1000 base units in all")
    assert "in any way" in dapp
    assert "all that the contract keeps for this wallet" in dapp


def test_words_of_odd_sessions() -> None:
    forever = session_words(session(chain_id=0, deadline=0, value_limit=0))
    assert forever[0].endswith("on every chain, with every limit anew on each, without an end")
    assert forever[1] == "It may send no coins"
    assert session_words(session(permissions=()))[1:] == ["It may call no contract"]
    assert "Unix time 18446744073709551615" in session_words(session(deadline=2**64 - 1))[0]


def test_words_follow_the_rules() -> None:
    allowance = Permission(TOKEN, (selector_rule(APPROVE), TO_BOB, at_most(5, cumulative=False)))
    twice = session_words(session(permissions=(SPEND, Permission(TOKEN, (*SPEND.rules, TO_BOB)))))
    assert twice[-1].endswith("that makes at most 2000 base units in all")
    words = session_words(session(permissions=(allowance,)))[-1]
    assert "0xb0B0B0b0b0B0B0b0b0b0b0b0b0b0B0B0b0b0b0b0".lower() in words.lower()
    assert "at most 5 base units in a call, without a limit in all" in words
    assert "the id of an item" in words
    unknown = Permission(DAPP, (selector_rule(b"\xde\xad\xbe\xef"), ParameterRule(LEAST, 3, 4, 0xFF, True)))
    assert (
        "the function 0xdeadbeef; at least 3 over all calls in bytes 4 to 35 under the mask 0x"
        in (session_words(session(permissions=(unknown,)))[-1])
    )
    assert rule_words(ParameterRule(EQUAL, 2**64, 4)) == f"exactly 0x{2**64:064x} in bytes 4 to 35"


def test_words_of_a_tree_and_of_an_attestation() -> None:
    found = tree(session(), blacklist=[BOB])
    words = tree_words(Branch((found, Node(b"\1" * 32))))
    assert any("may attest keys of implicit sessions" in sentence for sentence in words)
    assert any("neither be nor call: 0x" in sentence for sentence in words)
    assert words[-1] == "Parts that are not shown: 1"
    assert tree_words(Blacklist())[0].endswith("nobody is listed")
    key, login = attestation_words(attestation())
    assert '"https://dapp.example/"' in key
    assert login.endswith("2025-06-15 15:05:40 UTC")


@given(st.lists(PERMISSION, max_size=3))
def test_words_exist_for_every_session(permissions: list[Permission]) -> None:
    sentences: list[Any] = session_words(session(permissions=tuple(permissions)))
    assert all(isinstance(sentence, str) and sentence for sentence in sentences)
    assert isinstance(worst_case(session(permissions=tuple(permissions))).tokens.get(Address(TOKEN), 0), int | None)
