"""Every check of the session contract on calls of explicit sessions, by the error with which it refuses."""

from dataclasses import replace
from typing import Any

import pytest

from evm.wallet.payload import BehaviorOnError, Call, CallsPayload, MessagePayload
from evm.wallet.sessions import session_manager
from evm.wallet.sessions.assembly import assemble
from evm.wallet.sessions.configuration import Tree
from evm.wallet.sessions.explicit import PlannedCall, increment_call
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, value_usage_hash
from evm.wallet.sessions.usage_limits import UsageLimit, apply_increment

from .samples import (
    APP,
    CALL,
    CHAIN_ID,
    NOW_S,
    OTHER,
    SPEND,
    STRANGER,
    TOKEN,
    TRANSFER,
    WALLET,
    Key,
    at_most,
    calldata,
    check,
    explicit,
    implicit,
    increment,
    refused,
    selector_rule,
    session,
    signed,
    state,
    transfer,
    tree,
)

RULE_USAGE = SPEND.usage_hash(APP.address, 1)
VALUE_USAGE = value_usage_hash(APP.address)


def one_call(call: Call, permission: int = 1, *, of: Tree | None = None, key: Key = APP, **changes: Any) -> None:
    payload = CallsPayload((call,))
    check(signed(payload, permission, of=of, key=key), payload, of=of, **changes)


def test_call_within_its_permission_is_allowed() -> None:
    payload = CallsPayload((CALL,))
    assert check(signed(payload, 1), payload).signers == (APP.address,)


def test_payload_that_no_session_can_make() -> None:
    payload = CallsPayload((CALL,))
    signature = signed(payload, 1)
    with refused("InvalidPayloadKind"):
        check(signature, MessagePayload(b""))
    with refused("InvalidCallsLength"):
        check(signature, CallsPayload(()))


def test_11_space_ends_where_the_contract_ends_it_and_not_where_the_library_does() -> None:
    last = CallsPayload((CALL,), space=session_manager.MAX_SPACE)
    assert session_manager.MAX_SPACE == 2**80 - 2
    check(signed(last, 1), last)
    beyond = replace(last, space=2**80 - 1)
    with refused("InvalidSpace"):
        check(signed(beyond, 1), beyond)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (replace(CALL, delegate_call=True), "InvalidDelegateCall"),
        (replace(CALL, to=WALLET), "InvalidSelfCall"),
        (replace(CALL, behavior_on_error=BehaviorOnError.ABORT), "InvalidBehavior"),
        (replace(CALL, delegate_call=True, to=WALLET), "InvalidDelegateCall"),
        (replace(CALL, to=WALLET, behavior_on_error=BehaviorOnError.ABORT), "InvalidSelfCall"),
    ],
)
def test_call_that_no_session_may_make(call: Call, reason: str) -> None:
    with refused(reason):
        one_call(call)
    payload = CallsPayload((call,))
    with refused(reason):
        check(assemble(tree(), [implicit(payload, 0)]), payload)


def test_ignored_failures_and_fallbacks_are_allowed() -> None:
    one_call(replace(CALL, behavior_on_error=BehaviorOnError.IGNORE, only_fallback=True))


def test_key_without_a_leaf() -> None:
    payload = CallsPayload((CALL,))
    signature = signed(payload, 1)
    stolen = replace(signature, calls=signed(payload, 1, of=tree(session(STRANGER)), key=STRANGER).calls)
    with refused("InvalidSessionSigner"):
        check(stolen, payload)


@pytest.mark.parametrize("chain_id", [0, CHAIN_ID])
def test_session_of_this_chain_or_of_every_chain(chain_id: int) -> None:
    one_call(CALL, of=tree(session(chain_id=chain_id)))


def test_session_of_another_chain() -> None:
    with refused("InvalidChainId"):
        one_call(CALL, of=tree(session(chain_id=1)))
    with refused("InvalidChainId"):  # before the deadline is looked at
        one_call(CALL, of=tree(session(chain_id=1, deadline=1)))


def test_deadline_is_the_last_second_and_zero_is_none() -> None:
    one_call(CALL, timestamp_s=NOW_S)
    one_call(CALL, of=tree(session(deadline=0)), timestamp_s=2**40)
    with refused("SessionExpired"):
        one_call(CALL, timestamp_s=NOW_S + 1)


def test_permission_that_is_missing_or_for_another_target() -> None:
    with refused("MissingPermission"):
        one_call(CALL, 2)
    with refused("InvalidPermission"):
        one_call(CALL, 0)
    with refused("MissingPermission"):
        one_call(CALL, 127)


def within(rule: ParameterRule, data: bytes) -> None:
    one_call(Call(TOKEN, data=data), 0, of=tree(session(permissions=(Permission(TOKEN, (rule,)),))))


@pytest.mark.parametrize(
    ("operation", "met", "not_met"),
    [
        (ParameterOperation.EQUAL, [5], [4, 6, 2**255 + 5]),
        (ParameterOperation.NOT_EQUAL, [4, 6], [5]),
        (ParameterOperation.GREATER_THAN_OR_EQUAL, [5, 6, 2**256 - 1], [4, 0]),
        (ParameterOperation.LESS_THAN_OR_EQUAL, [5, 0], [6, 2**256 - 1]),
    ],
)
def test_rule_compares_unsigned(operation: ParameterOperation, met: list[int], not_met: list[int]) -> None:
    rule = ParameterRule(operation, 5, 4)
    for found in met:
        within(rule, calldata(TRANSFER, found))
    for found in not_met:
        with refused("InvalidPermission"):
            within(rule, calldata(TRANSFER, found))


def test_mask_hides_bits_before_the_comparison() -> None:
    within(ParameterRule(ParameterOperation.EQUAL, 0x05, 4, 0xFF), calldata(TRANSFER, 0xFF05))
    with refused("InvalidPermission"):
        within(ParameterRule(ParameterOperation.EQUAL, 0xFF05, 4, 0xFF), calldata(TRANSFER, 0xFF05))


def test_17_rule_past_the_end_of_the_call_data_is_not_met() -> None:
    """The contract reads what follows there, the library zeros: neither is what the session key signed."""
    data = calldata(TRANSFER, 0)
    within(ParameterRule(ParameterOperation.EQUAL, 0, 4), data)
    for offset in (5, len(data), 2**32, 2**256 - 1):
        with refused("InvalidPermission", "wallet-session-permission-past-data"):
            within(ParameterRule(ParameterOperation.EQUAL, 0, offset), data)


def test_rule_on_the_selector_alone_needs_no_more_than_the_selector() -> None:
    within(selector_rule(TRANSFER), TRANSFER)
    with refused("InvalidPermission"):
        within(selector_rule(TRANSFER), TRANSFER[:3])
    within(ParameterRule(ParameterOperation.EQUAL, 0, 2**256 - 1, mask=0), b"")


def spend(*amounts: int, used: int = 0, totals: int | None = None, **changes: Any) -> CallsPayload:
    """Transfers behind the increment call that they need, unless `totals` says something else."""
    total = sum(amounts) + used if totals is None else totals
    return CallsPayload((increment((RULE_USAGE, total), **changes), *map(transfer, amounts)))


def test_cumulative_rule_counts_over_payload_and_past() -> None:
    payload = spend(400, 600)
    assert check(signed(payload, 0, 0, 0), payload).totals == (UsageLimit(RULE_USAGE, 1000),)
    used = {RULE_USAGE: 400}
    payload = spend(300, 300, used=400)
    assert check(signed(payload, 0, 0, 0), payload, usage=used).totals == (UsageLimit(RULE_USAGE, 1000),)


def test_cumulative_rule_is_exhausted() -> None:
    payload = spend(400, 601)
    with refused("InvalidPermission"):
        check(signed(payload, 0, 0, 0), payload)
    payload = spend(1, used=1000)
    with refused("InvalidPermission"):
        check(signed(payload, 0, 0), payload, usage={RULE_USAGE: 1000})


def test_16_cumulative_rule_whose_value_is_zero_is_listed_all_the_same() -> None:
    """The client library leaves it out, and the contract refuses that."""
    payload = spend(0)
    check(signed(payload, 0, 0), payload)
    left_out = CallsPayload((transfer(0),))
    with refused("InvalidLimitUsageIncrement"):
        check(signed(left_out, 0), left_out)
    empty = CallsPayload((increment(), transfer(0)))
    with refused("InvalidLimitUsageIncrement"):
        check(signed(empty, 0, 0), empty)


def test_sum_beyond_a_word_is_a_panic_before_it_is_compared() -> None:
    used = {RULE_USAGE: 2**256 - 1}
    payload = spend(1, totals=0)
    with refused("Panic"):
        check(signed(payload, 0, 0), payload, usage=used)


def test_sum_beyond_a_word_is_a_panic() -> None:
    open_ended = ParameterRule(ParameterOperation.GREATER_THAN_OR_EQUAL, 0, 36, cumulative=True)
    greedy = tree(session(permissions=(Permission(TOKEN, (open_ended,)),)))
    usage_hash = Permission(TOKEN, (open_ended,)).usage_hash(APP.address, 0)
    payload = CallsPayload((increment((usage_hash, 0)), transfer(1)))
    with refused("Panic"):
        check(signed(payload, 0, 0, of=greedy), payload, of=greedy, usage={usage_hash: 2**256 - 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"totals": 999},
        {"totals": 1001},
        {"behavior_on_error": BehaviorOnError.IGNORE},
        {"only_fallback": True},
        {"data": b""},
    ],
)
def test_increment_call_must_be_exact_and_certain(changes: dict[str, Any]) -> None:
    payload = spend(1000, **changes)
    with refused("InvalidLimitUsageIncrement"):
        check(signed(payload, 0, 0), payload)


def test_increment_call_elsewhere_than_first() -> None:
    first, second = spend(1000).calls
    payload = CallsPayload((second, first))
    with refused("InvalidLimitUsageIncrement", "wallet-session-increment-not-first"):
        check(signed(payload, 0, 0), payload)


def test_increment_call_sends_nothing() -> None:
    payload = spend(1000, value=1)
    with refused("InvalidValue"):
        check(signed(payload, 0, 0), payload)


def test_increment_call_needs_a_key_with_a_leaf_and_no_permission_of_it() -> None:
    payload = spend(1000)
    check(signed(payload, 77, 0), payload)
    stranger = signed(payload, 0, 0, of=tree(session(STRANGER)), key=STRANGER)
    with refused("InvalidSessionSigner"):
        check(replace(signed(payload, 0, 0), calls=stranger.calls), payload)


def test_increment_call_without_need() -> None:
    payload = CallsPayload((increment(), CALL))
    with refused("InvalidLimitUsageIncrement"):
        check(signed(payload, 0, 1), payload)


def test_coins_are_limited_over_payload_and_past() -> None:
    def payload(total: int, *values: int) -> CallsPayload:
        calls = [replace(CALL, value=value) for value in values]
        return CallsPayload((increment((VALUE_USAGE, total)), *calls))

    check(signed(payload(10, 4, 6), 0, 1, 1), payload(10, 4, 6))
    check(signed(payload(10, 3), 0, 1), payload(10, 3), usage={VALUE_USAGE: 7})
    with refused("InvalidValue"):
        check(signed(payload(11, 4, 7), 0, 1, 1), payload(11, 4, 7))
    with refused("InvalidValue"):
        check(signed(payload(10, 3), 0, 1), payload(10, 3), usage={VALUE_USAGE: 8})


def test_coins_of_the_past_count_even_when_none_are_sent() -> None:
    alone = CallsPayload((CALL,))
    with refused("InvalidLimitUsageIncrement"):
        check(signed(alone, 1), alone, usage={VALUE_USAGE: 1})
    counted = CallsPayload((increment((VALUE_USAGE, 1)), CALL))
    check(signed(counted, 0, 1), counted, usage={VALUE_USAGE: 1})


def test_limits_come_key_by_key_in_order_of_their_first_call() -> None:
    both = tree(session(APP), session(OTHER))
    other_usage = SPEND.usage_hash(OTHER.address, 1)
    expected = [(other_usage, 5), (RULE_USAGE, 7), (VALUE_USAGE, 1)]

    def check_order(limits: list[tuple[bytes, int]]) -> None:
        payload = CallsPayload((increment(*limits), transfer(7), replace(CALL, value=1), transfer(5)))
        calls = [explicit(payload, 0, 0, OTHER), explicit(payload, 1, 0), explicit(payload, 2, 1)]
        signature = assemble(both, [*calls, explicit(payload, 3, 0, OTHER)])
        check(signature, payload, of=both)

    check_order(expected)
    with refused("InvalidLimitUsageIncrement"):
        check_order([expected[1], expected[2], expected[0]])


def test_planned_increment_is_the_one_that_is_demanded() -> None:
    both = tree(session(APP), session(OTHER))
    used = {RULE_USAGE: 3, value_usage_hash(OTHER.address): 2}
    planned = [
        PlannedCall(transfer(7), session(APP), 0),
        PlannedCall(replace(CALL, value=1), session(APP), 1),
        PlannedCall(CALL, session(OTHER), 1),
    ]
    first = increment_call(planned, OTHER.address, state(used))
    assert first is not None
    payload = CallsPayload((first, *(each.call for each in planned)))
    keys, permissions = (OTHER, APP, APP, OTHER), (0, 0, 1, 1)
    calls = [explicit(payload, index, permissions[index], key) for index, key in enumerate(keys)]
    check(assemble(both, calls), payload, of=both, usage=used)
    assert increment_call([PlannedCall(CALL, session(), 1)], APP.address, state()) is None
    with refused("InvalidPermission"):
        increment_call([PlannedCall(transfer(1001), session(), 0)], APP.address, state())


def test_planned_increment_knows_its_signer_and_one_session_of_each_key() -> None:
    with refused(None, "wallet-session-increment-signer"):
        increment_call([PlannedCall(CALL, session(), 1)], OTHER.address, state())
    twice = [PlannedCall(CALL, session(), 1), PlannedCall(CALL, session(value_limit=0), 1)]
    with refused(None, "wallet-session-signer-twice"):
        increment_call(twice, APP.address, state())


def test_permissions_of_one_key_count_each_for_itself() -> None:
    second = Permission(TOKEN, (selector_rule(TRANSFER), at_most(5)))
    both = tree(session(permissions=(SPEND, second)))
    limits = ((RULE_USAGE, 1000), (second.usage_hash(APP.address, 1), 5))
    payload = CallsPayload((increment(*limits), transfer(1000), transfer(5)))
    check(signed(payload, 0, 0, 1, of=both), payload, of=both)


def test_usage_never_decreases() -> None:
    assert apply_increment({RULE_USAGE: 1}, [UsageLimit(RULE_USAGE, 1), UsageLimit(VALUE_USAGE, 2)]) == {
        RULE_USAGE: 1,
        VALUE_USAGE: 2,
    }
    with refused("InvalidLimitUsageIncrement"):
        apply_increment({RULE_USAGE: 1}, [UsageLimit(RULE_USAGE, 0)])


def test_change_of_a_permission_starts_its_count_anew() -> None:
    changed = Permission(TOKEN, (selector_rule(TRANSFER), at_most(1001)))
    assert changed.usage_hash(APP.address, 1) != RULE_USAGE
