"""Wrapping changes nothing: what lies around a forbidden call, in whatever order, it is found and refused (SE-18)."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.guard.judging import Outcome
from evm.address import Address, checksum
from evm.effects import (
    MAX_DEPTH,
    Effect,
    Kind,
    Reason,
    all_effects,
    effects_of_payload,
    effects_of_transaction,
    effects_of_typed_data,
)
from evm.typed_data import parse_typed_data
from evm.wallet.payload import Call, CallsPayload
from tests.enclave_guard.guard_rules import DOCUMENT, PAYROLL, STRANGER, USD, decide, rules
from tests.evm_effects.made import (
    ENTRY_POINT,
    FRIEND,
    MAX,
    MULTI_SEND,
    MULTICALL3,
    SAFE,
    THIEF,
    WALLET,
    calldata,
    document,
    multi_send,
    tx,
)

# Every container is permitted, around whatever and at whosever address: only what lies inside can be refused.
_OPEN: list[dict[str, Any]] = [
    {"id": "containers", "decision": "allow", "effects": ["nested", "user-operation"], "contracts": ["any"],
     "accounts": "any", "by_signature": True},
    {"id": "delegate-calls", "decision": "allow", "effects": ["delegate-call"], "contracts": ["any"],
     "accounts": "any"},
    {"id": "pay", "decision": "allow", "effects": ["transfer"], "assets": ["usd"], "counterparties": ["payroll"],
     "accounts": "any", "by_signature": True},
    {"id": "fees", "decision": "allow", "effects": ["fee"], "accounts": "any"},
]  # fmt: skip
_DENIALS = [rule for rule in DOCUMENT["rules"] if rule["decision"] == "deny"]
OPEN = rules(rules=[*_DENIALS, *_OPEN], budgets=[])

Wrapper = Callable[[Address, bytes], tuple[Address, bytes]]


def _packed(to: Address, data: bytes) -> bytes:
    """One call of a Sequence v3 wallet."""
    return b"\x11\x04" + to + len(data).to_bytes(3, "big") + data


def _safe(to: Address, data: bytes, operation: int) -> bytes:
    signature = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)"
    return calldata(signature, to, 0, data, operation, 0, 0, 0, FRIEND, FRIEND, b"sig")


def _operation(to: Address, data: bytes) -> tuple[Address, bytes]:
    handle = "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)"
    call = calldata("execute(address,uint256,bytes)", to, 0, data)
    return ENTRY_POINT, calldata(handle, [(SAFE, 0, b"", call, bytes(32), 0, bytes(32), b"", b"")], FRIEND)


WRAPPERS: dict[str, Wrapper] = {
    "multicall": lambda to, data: (to, calldata("multicall(bytes[])", [data])),
    "multicall with deadline": lambda to, data: (to, calldata("multicall(uint256,bytes[])", 1, [data, data])),
    "aggregate": lambda to, data: (MULTICALL3, calldata("aggregate((address,bytes)[])", [(to, data)])),
    "tryAggregate": lambda to, data: (
        MULTICALL3, calldata("tryAggregate(bool,(address,bytes)[])", False, [(to, data)])),
    "aggregate3": lambda to, data: (MULTICALL3, calldata("aggregate3((address,bool,bytes)[])", [(to, True, data)])),
    "Safe": lambda to, data: (SAFE, _safe(to, data, 0)),
    "batch of a Safe": lambda to, data: (SAFE, _safe(MULTI_SEND, multi_send((0, to, 0, data)), 1)),
    "batch in the batch of a Safe": lambda to, data: (
        SAFE, _safe(MULTI_SEND, multi_send((1, MULTI_SEND, 0, multi_send((0, to, 0, data)))), 1)),
    "account": lambda to, data: (SAFE, calldata("execute(address,uint256,bytes)", to, 0, data)),
    "account batch": lambda to, data: (SAFE, calldata("executeBatch(address[],bytes[])", [to], [data])),
    "ERC-7579": lambda to, data: (SAFE, calldata("execute(bytes32,bytes)", bytes(32), to + bytes(32) + data)),
    "Sequence v3": lambda to, data: (SAFE, calldata("execute(bytes,bytes)", _packed(to, data), b"sig")),
    "Sequence v2": lambda to, data: (
        SAFE, calldata("execute((bool,bool,uint256,address,uint256,bytes)[],uint256,bytes)",
                       [(False, False, 0, to, 0, data)], 0, b"sig")),
    "forwarder": lambda to, data: (
        FRIEND, calldata("execute((address,address,uint256,uint256,uint256,bytes),bytes)",
                         (WALLET, to, 0, 1, 1, data), b"sig")),
    "operation": _operation,
}  # fmt: skip


def transaction(to: Address, data: bytes) -> tuple[Effect, ...]:
    return effects_of_transaction(tx(to, data), WALLET, OPEN.tokens)


def payload(to: Address, data: bytes) -> tuple[Effect, ...]:
    return effects_of_payload(CallsPayload((Call(to, data=data),)), WALLET, 1, OPEN.tokens)


def confirmation(to: Address, data: bytes) -> tuple[Effect, ...]:
    members = (
        "address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,"
        "address gasToken,address refundReceiver,uint256 nonce"
    )
    message = {"to": to, "value": 0, "data": data, "operation": 0, "safeTxGas": 0, "baseGas": 0, "gasPrice": 0,
               "gasToken": FRIEND, "refundReceiver": FRIEND, "nonce": 0}  # fmt: skip
    found = document("SafeTx", {"SafeTx": members}, message, contract=SAFE, name=None)
    return effects_of_typed_data(parse_typed_data(found), WALLET, OPEN.tokens)


SIGNED: list[Callable[[Address, bytes], tuple[Effect, ...]]] = [transaction, payload, confirmation]
FORBIDDEN: list[tuple[str, Address, bytes]] = [
    ("thieves", USD, calldata("transfer(address,uint256)", THIEF, 1)),
    ("thieves", USD, calldata("approve(address,uint256)", THIEF, 1)),
    ("no-unlimited", USD, calldata("approve(address,uint256)", STRANGER, MAX)),
    ("no-operators", USD, calldata("setApprovalForAll(address,bool)", STRANGER, True)),
    ("no-control-change", SAFE, calldata("swapOwner(address,address,address)", WALLET, FRIEND, THIEF)),
    ("no-control-change", WALLET, calldata("updateImageHash(bytes32)", b"h" * 32)),
]
PAYMENT = calldata("transfer(address,uint256)", PAYROLL, 1)


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("sign", SIGNED, ids=lambda sign: sign.__name__)
def test_each_container_alone_lets_a_payment_through_and_no_theft(name: str, sign: Any) -> None:
    assert decide(sign(*WRAPPERS[name](USD, PAYMENT)), OPEN).outcome is Outcome.ALLOW
    for by, to, data in FORBIDDEN:
        if to == USD and data[:4] == calldata("setApprovalForAll(address,bool)", STRANGER, True)[:4]:
            continue  # the token of the rules has no such function; below, it is somebody else's
        decision = decide(sign(*WRAPPERS[name](to, data)), OPEN)
        assert (decision.outcome, decision.deciding.by) == (Outcome.DENY, by)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=6),
    st.sampled_from(SIGNED),
    st.sampled_from(FORBIDDEN),
)
def test_a_forbidden_call_is_refused_in_any_nest_of_containers(
    names: list[str], sign: Any, forbidden: tuple[str, Address, bytes]
) -> None:
    by, to, data = forbidden
    for name in names:
        to, data = WRAPPERS[name](to, data)
    decision = decide(sign(to, data), OPEN)
    assert decision.outcome is Outcome.DENY
    found = list(all_effects(decision.effects))
    hidden = any(effect.reason in (Reason.TOO_DEEP, Reason.STANDARD) for effect in found)
    assert decision.deciding.by == by or hidden


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=6), st.sampled_from(SIGNED))
def test_a_payment_is_found_in_any_nest_of_containers_that_is_not_too_deep(names: list[str], sign: Any) -> None:
    to, data = USD, PAYMENT
    for name in names:
        to, data = WRAPPERS[name](to, data)
    effects = sign(to, data)
    found = list(all_effects(effects))
    deep = any(effect.reason is Reason.TOO_DEEP for effect in found)
    assert deep or any(e.kind is Kind.TRANSFER and e.counterparty == PAYROLL for e in found)
    assert deep == (decide(effects, OPEN).outcome is not Outcome.ALLOW)
    if len(names) <= MAX_DEPTH // 4:  # a batch of a Safe, or an operation, is up to four calls deep
        assert not deep


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(sorted(WRAPPERS)), min_size=1, max_size=4), st.data())
def test_a_nest_with_one_byte_changed_is_never_better_than_without(names: list[str], source: st.DataObject) -> None:
    """Whatever a thief changes in the encoding, a theft does not become a payment."""
    to, data = USD, calldata("transfer(address,uint256)", THIEF, 1)
    for name in names:
        to, data = WRAPPERS[name](to, data)
    at = source.draw(st.integers(0, len(data) - 1))
    changed = data[:at] + bytes([data[at] ^ source.draw(st.integers(1, 255))]) + data[at + 1 :]
    decision = decide(transaction(to, changed), OPEN)
    if decision.outcome is Outcome.ALLOW:  # the byte was in something that nobody reads, or the thief's address
        moved = [effect for effect in all_effects(decision.effects) if effect.kind is Kind.TRANSFER]
        assert all(effect.counterparty == PAYROLL for effect in moved)


def test_the_open_rules_name_the_thieves() -> None:
    assert checksum(THIEF) in DOCUMENT["lists"]["thieves"]
