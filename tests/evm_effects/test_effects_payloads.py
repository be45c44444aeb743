"""Wallet payloads, messages, sessions and authorizations to effects; effects to JSON and words."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evm import rlp
from evm.address import ZERO_ADDRESS, Address
from evm.authorization import Authorization
from evm.effects import (
    Asset,
    Effect,
    Kind,
    Reason,
    Token,
    effects_of_attestation,
    effects_of_authorization,
    effects_of_bundle,
    effects_of_message,
    effects_of_payload,
    effects_of_session,
    effects_of_transaction,
    effects_of_user_operation,
)
from evm.effects.effect_json import effect_to_json, effects_from_json
from evm.effects.effect_words import Naming, effect_words, tree_words
from evm.errors import EvmError
from evm.message import PersonalMessage
from evm.wallet.attestation import Attestation, AuthData
from evm.wallet.context import ENTRY_POINT
from evm.wallet.legacy.digests import LegacyCall
from evm.wallet.operation_hash import RecoveryPayload
from evm.wallet.payload import (
    BehaviorOnError,
    Call,
    CallsPayload,
    ConfigUpdatePayload,
    DigestPayload,
    MessagePayload,
    Payload,
)
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions
from evm.wallet.user_operation import UserOperation
from tests.evm_effects.made import CHAIN, FRIEND, THIEF, TOKEN, WALLET, calldata, tx

TRANSFER = calldata("transfer(address,uint256)", THIEF, 5)
PREFIX = b"\x19Ethereum Signed Message:\n"


def read(payload: Payload | RecoveryPayload, chain_id: int = CHAIN) -> tuple[Effect, ...]:
    return effects_of_payload(payload, WALLET, chain_id)


def test_calls_of_a_payload_are_made_by_the_wallet() -> None:
    [moved, coins] = read(CallsPayload((Call(TOKEN, data=TRANSFER), Call(FRIEND, value=3))))
    assert (moved.kind, moved.account, moved.counterparty, moved.signed) == (Kind.TRANSFER, WALLET, THIEF, False)
    assert (coins.kind, coins.counterparty, coins.amount) == (Kind.NATIVE, FRIEND, 3)


def test_a_delegate_call_of_a_payload_is_one_whatever_its_data_looks_like() -> None:
    [effect] = read(CallsPayload((Call(THIEF, data=TRANSFER, delegate_call=True),)))
    assert (effect.kind, effect.contract, effect.account) == (Kind.DELEGATE_CALL, THIEF, WALLET)


@pytest.mark.parametrize(
    "call",
    [
        Call(TOKEN, data=TRANSFER, only_fallback=True),
        Call(TOKEN, data=TRANSFER, behavior_on_error=BehaviorOnError.IGNORE),
        Call(TOKEN, data=TRANSFER, behavior_on_error=BehaviorOnError.ABORT),
        Call(TOKEN, data=TRANSFER, gas_limit=5),
    ],
)
def test_calls_that_may_be_passed_over_are_counted_and_said_to_be_conditional(call: Call) -> None:
    [effect] = read(CallsPayload((call,)))
    assert (effect.kind, effect.conditional) == (Kind.TRANSFER, True)


def test_a_configuration_update_hidden_in_a_call_of_the_wallet_to_itself_is_found() -> None:
    inner = calldata("updateImageHash(bytes32)", b"h" * 32)
    [effect] = read(CallsPayload((Call(WALLET, data=inner),)))
    assert (effect.kind, effect.account) == (Kind.ACCOUNT_CHANGE, WALLET)
    [direct] = read(ConfigUpdatePayload(b"h" * 32))
    assert (direct.kind, direct.account) == (Kind.ACCOUNT_CHANGE, WALLET)


def test_a_recovery_payload_is_recovery_and_what_it_does() -> None:
    [recovery] = read(RecoveryPayload(CallsPayload((Call(TOKEN, data=TRANSFER),))))
    assert recovery.kind is Kind.RECOVERY
    assert [effect.kind for effect in recovery.effects] == [Kind.TRANSFER]


def test_a_payload_with_parents_is_carried_out_by_the_outermost() -> None:
    """The signer is only one of the parent's signers: it is the parent's assets that move."""
    parents = (FRIEND, THIEF)
    [moved] = read(CallsPayload((Call(TOKEN, data=TRANSFER),), parent_wallets=parents))
    assert (moved.kind, moved.account) == (Kind.TRANSFER, FRIEND)
    [update] = read(ConfigUpdatePayload(b"h" * 32, parents))
    assert (update.kind, update.account) == (Kind.ACCOUNT_CHANGE, FRIEND)


def test_a_digest_is_unknown() -> None:
    [effect] = read(DigestPayload(b"d" * 32))
    assert (effect.kind, effect.reason) == (Kind.UNKNOWN, Reason.HASH)


AUTHORIZATION = b"\x05" + rlp.encode([1, THIEF, 0])
MESSAGES: list[tuple[bytes, Kind, Reason | None]] = [
    (PREFIX + b"5hello", Kind.STATEMENT, None),
    (PREFIX + b"32" + b"h" * 32, Kind.UNKNOWN, Reason.HASH),
    (PREFIX + b"66" + b"0x" + b"ab" * 32, Kind.UNKNOWN, Reason.HASH),
    (PREFIX + b"6hello", Kind.UNKNOWN, Reason.PREIMAGE),
    (PREFIX + b"05hello", Kind.UNKNOWN, Reason.PREIMAGE),
    (b"\x19\x01" + bytes(64), Kind.UNKNOWN, Reason.PREIMAGE),
    (bytes(96), Kind.UNKNOWN, Reason.PREIMAGE),
    (AUTHORIZATION, Kind.DELEGATION, None),
    (b"\x05" + rlp.encode([0, THIEF, 0]), Kind.UNKNOWN, Reason.PREIMAGE),
    (AUTHORIZATION + b"\0", Kind.UNKNOWN, Reason.PREIMAGE),
    (b"\x02" + rlp.encode([1, 2, 3]), Kind.UNKNOWN, Reason.PREIMAGE),
    (rlp.encode([1, 2, 3]), Kind.UNKNOWN, Reason.PREIMAGE),
    (b"hello", Kind.UNKNOWN, Reason.BYTES),
    (b"", Kind.UNKNOWN, Reason.BYTES),
]


@pytest.mark.parametrize(("message", "kind", "reason"), MESSAGES)
def test_message_bytes_are_what_they_are_to_whoever_hashes_them(
    message: bytes, kind: Kind, reason: Reason | None
) -> None:
    [effect] = read(MessagePayload(message))
    assert (effect.kind, effect.reason) == (kind, reason)


def sign_in(site: str, account: Address = WALLET) -> bytes:
    return f"{site} wants you to sign in with your Ethereum account:\n0x{account.hex()}\n\nURI: https://x".encode()


@pytest.mark.parametrize(
    ("data", "kind", "site"),
    [
        (b"hello", Kind.STATEMENT, ""),
        (sign_in("app.example"), Kind.STATEMENT, "app.example"),
        (sign_in("https://App.Example:8080"), Kind.STATEMENT, "app.example:8080"),
        (sign_in("app.example", THIEF), Kind.UNKNOWN, ""),
        (b"h" * 32, Kind.UNKNOWN, ""),
        (b"ab" * 32, Kind.UNKNOWN, ""),
    ],
)
def test_a_personal_message_is_a_text_a_sign_in_or_a_hash(data: bytes, kind: Kind, site: str) -> None:
    [effect] = effects_of_message(PersonalMessage(data, None), WALLET)
    assert (effect.kind, effect.site, effect.contract) == (kind, site, None)


def test_an_authorization_hands_the_account_over_or_takes_it_back() -> None:
    [given_] = effects_of_authorization(Authorization(1, THIEF, 0), WALLET)
    [ended] = effects_of_authorization(Authorization(1, ZERO_ADDRESS, 0), WALLET)
    assert (given_.kind, given_.account, given_.counterparty) == (Kind.DELEGATION, WALLET, THIEF)
    assert ended.counterparty is None


def test_a_bundle_of_an_older_wallet_is_read_alike() -> None:
    calls = [LegacyCall(TOKEN, 0, TRANSFER), LegacyCall(THIEF, 0, b"", delegate_call=True, revert_on_error=False)]
    moved, delegate = effects_of_bundle(calls, WALLET, CHAIN)
    assert (moved.kind, moved.conditional) == (Kind.TRANSFER, False)
    assert (delegate.kind, delegate.conditional) == (Kind.DELEGATE_CALL, True)


def test_a_user_operation_of_a_wallet_is_rebuilt_and_decoded() -> None:
    calls = CallsPayload((Call(TOKEN, data=TRANSFER),))
    operation = UserOperation(WALLET, calls, 0, 0, 1, 2, 3, 10, 1)
    [found] = effects_of_user_operation(operation, CHAIN)
    assert (found.kind, found.contract) == (Kind.USER_OPERATION, ENTRY_POINT)
    kinds = {effect.kind: effect for effect in found.walk()}
    assert kinds[Kind.TRANSFER].counterparty == THIEF
    assert kinds[Kind.FEE].amount == 60


def test_an_implicit_session_is_a_grant_on_every_chain_that_does_not_end() -> None:
    data = AuthData("https://app.example/back", 1)
    attestation = Attestation(THIEF, b"\0\0\0\1", bytes(32), bytes(32), b"", data)
    [effect] = effects_of_attestation(attestation, WALLET)
    assert (effect.kind, effect.counterparty, effect.chain_id, effect.expires_s, effect.site) == (
        Kind.GRANT, THIEF, 0, None, "app.example",
    )  # fmt: skip


def session(*rules: ParameterRule, deadline: int = 99, value_limit: int = 7) -> tuple[Effect, ...]:
    found = SessionPermissions(THIEF, CHAIN, value_limit, deadline, (Permission(TOKEN, rules),))
    [grant] = effects_of_session(found, WALLET)
    assert (grant.kind, grant.counterparty, grant.amount) == (Kind.GRANT, THIEF, value_limit)
    return grant.effects


def test_an_explicit_session_shows_its_bounds_and_as_unknown_what_has_none() -> None:
    word = int.from_bytes(TRANSFER[:4].ljust(32, b"\0"), "big")
    selector = ParameterRule(ParameterOperation.EQUAL, word, 0, 0xFFFFFFFF << 224)
    amount = ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, 50, 36, cumulative=True)
    [bounded] = session(selector, amount)
    assert (bounded.kind, bounded.amount, bounded.expires_s) == (Kind.APPROVAL, 50, 99)
    [open_] = session(selector)
    assert (open_.kind, open_.reason, open_.contract) == (Kind.UNKNOWN, Reason.CODE, TOKEN)
    nothing = ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, 0, 36, cumulative=True)
    assert session(selector, nothing) == ()
    [endless] = session(selector, amount, deadline=0)
    assert endless.expires_s is None


_ADDRESSES = st.sampled_from([WALLET, TOKEN, THIEF, ZERO_ADDRESS])
_ASSETS = st.builds(Asset, st.just("native")) | st.builds(
    Asset, st.sampled_from(["erc721", "erc1155"]), _ADDRESSES, st.none() | st.integers(0, 2**256 - 1)
) | st.builds(Asset, st.sampled_from(["erc20", "token"]), _ADDRESSES)  # fmt: skip


def _effects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Effect]:
    return st.builds(
        Effect,
        kind=st.sampled_from(Kind),
        chain_id=st.integers(0, 2**64),
        account=_ADDRESSES,
        contract=st.none() | _ADDRESSES,
        selector=st.sampled_from([b"", b"abcd"]),
        function=st.text(max_size=20),
        counterparty=st.none() | _ADDRESSES,
        asset=st.none() | _ASSETS,
        amount=st.none() | st.integers(0, 2**256),
        expires_s=st.none() | st.integers(0, 2**256 - 1),
        signed=st.booleans(),
        conditional=st.booleans(),
        site=st.text(max_size=20),
        reason=st.none() | st.sampled_from(Reason),
        effects=inner,
    )


EFFECTS = st.recursive(_effects(st.just(())), lambda inner: _effects(st.lists(inner, max_size=3).map(tuple)))


@settings(max_examples=200, deadline=None)
@given(EFFECTS)
def test_an_effect_survives_json_and_has_words(effect: Effect) -> None:
    text = json.dumps([effect_to_json(effect)])
    assert effects_from_json(json.loads(text)) == (effect,)
    assert all(effect_words(inner) for inner in effect.walk())


@pytest.mark.parametrize(
    "change",
    [{"kind": "gift"}, {"amount": 5}, {"amount": "05"}, {"asset": "erc20"}, {"asset": f"erc20:0x{'22' * 20}:1"},
     {"more": 1}, {"chainId": None}, {"effects": {}}, {"signed": "yes"}, {"reason": "why"},
     {"selector": "0x1122334455"}],
)  # fmt: skip
def test_json_of_another_form_is_refused(change: dict[str, Any]) -> None:
    [effect, _] = effects_of_transaction(tx(TOKEN, TRANSFER), WALLET)
    found = {name: value for name, value in (effect_to_json(effect) | change).items() if value is not None}
    with pytest.raises(EvmError, match="effects-json"):
        effects_from_json([found])


def test_words_use_the_names_of_the_rules_and_a_tokens_decimals() -> None:
    naming = Naming({THIEF: "payroll"}, {(CHAIN, TOKEN): Token("erc20", "usd", 6)})
    data = calldata("transfer(address,uint256)", THIEF, 1_500_000)
    words = tree_words(effects_of_transaction(tx(TOKEN, data), WALLET, naming.tokens), naming)
    assert words[0].startswith('Transfer 1.5 of "usd"')
    assert '"payroll"' in words[0]
