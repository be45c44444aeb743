"""From an intent to its bundle, and back: one meaning for each sub-type, and no field of a bundle left free."""

import dataclasses
import json
from typing import Any

import pytest
from eth_abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from evm.address import Address, checksum
from evm.errors import EvmError
from evm.intents.bundle import Bundle, bundle_from_operation, bundle_of, parse_bundle, validate_bundle
from evm.intents.contract_call import MAX_CALLS_DEEP, encode_contract_call, encode_delayed
from evm.intents.transactions import MAX_TOKEN_IDS, MAX_TRANSACTIONS
from evm.intents.wallet_data import SendTransaction
from evm.keccak import keccak256
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import BehaviorOnError, Call, CallsPayload, MessagePayload

from .samples import FRIEND, TOKEN, TRANSACTIONS, WALLET, refusal, sending, signed, unsigned, verified

FRIEND_BYTES, TOKEN_BYTES = bytes.fromhex(FRIEND[2:]), bytes.fromhex(TOKEN[2:])


def sent(*transactions: dict[str, Any], **others: Any) -> SendTransaction:
    found = verified(signed(unsigned("sendTransaction", sending(*transactions, **others)))).data
    assert isinstance(found, SendTransaction)
    return found


def refused(transaction: dict[str, Any]) -> str:
    return refusal(signed(unsigned("sendTransaction", sending(transaction))))


def call_of(transaction: dict[str, Any]) -> Call:
    [call] = bundle_of(sent(transaction)).calls
    return call


def calldata(signature: str, types: list[str], values: list[Any]) -> bytes:
    """As another implementation encodes it."""
    return keccak256(signature.encode())[:4] + abi_encode(types, values)


MEANT = {
    "transaction": Call(Address(FRIEND_BYTES), 5, b""),
    "transaction with data": Call(Address(TOKEN_BYTES), 0, bytes.fromhex("3251ba32")),
    "erc20send": Call(
        Address(TOKEN_BYTES), 0, calldata("transfer(address,uint256)", ["address", "uint256"], [FRIEND, 100])
    ),
    "erc721send": Call(
        Address(TOKEN_BYTES),
        0,
        calldata(
            "transferFrom(address,address,uint256)", ["address", "address", "uint256"], [checksum(WALLET), FRIEND, 7]
        ),
    ),
    "erc721send safe": Call(
        Address(TOKEN_BYTES),
        0,
        calldata(
            "safeTransferFrom(address,address,uint256,bytes)",
            ["address", "address", "uint256", "bytes"],
            [checksum(WALLET), FRIEND, 7, b"\x12\x34"],
        ),
    ),
    "erc1155send": Call(
        Address(TOKEN_BYTES),
        0,
        calldata(
            "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
            ["address", "address", "uint256[]", "uint256[]", "bytes"],
            [checksum(WALLET), FRIEND, [1, 2], [10, 20], b""],
        ),
    ),
    "contractCall": Call(
        Address(TOKEN_BYTES), 3, calldata("transfer(address,uint256)", ["address", "uint256"], [FRIEND, 100])
    ),
    "delayedEncode": Call(
        Address(TOKEN_BYTES), 0, calldata("transfer(address,uint256)", ["address", "uint256"], [FRIEND, 100])
    ),
}


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_each_sub_type_means_one_call(name: str) -> None:
    assert call_of(TRANSACTIONS[name]) == MEANT[name]


def test_calls_keep_their_order_and_forward_all_gas_or_revert() -> None:
    bundle = bundle_of(sent(*TRANSACTIONS.values()))
    assert bundle.calls == tuple(MEANT.values())
    assert all(call.gas_limit == 0 and call.behavior_on_error is BehaviorOnError.REVERT for call in bundle.calls)
    assert (bundle.chain_id, bundle.wallet, bundle.nonce) == (137, WALLET, 0)
    assert bundle.space == int.from_bytes(keccak256(b"test")[:20], "big")


def test_safe_false_without_data_and_one_id_alone() -> None:
    plain = {"type": "erc721send", "tokenAddress": TOKEN, "to": FRIEND, "id": "0x7", "safe": False, "data": "0x"}
    assert call_of(plain) == MEANT["erc721send"]
    one = {**TRANSACTIONS["erc1155send"], "vals": [{"id": "1", "amount": "10"}]}
    assert call_of(one).data[:4] == MEANT["erc1155send"].data[:4]


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "no type": ({"to": FRIEND, "value": "1", "data": "0x"}, "intent-transaction-type"),
    "type of another case": ({**TRANSACTIONS["erc20send"], "type": "ERC20Send"}, "intent-transaction-type"),
    "type that is no text": ({**TRANSACTIONS["erc20send"], "type": ["erc20send"]}, "intent-transaction-type"),
    "a member more": ({**TRANSACTIONS["erc20send"], "gasLimit": "1"}, "intent-transaction-members"),
    "delegate call": ({**TRANSACTIONS["transaction"], "delegateCall": True}, "intent-transaction-members"),
    "zero recipient": ({**TRANSACTIONS["transaction"], "to": "0x" + "00" * 20}, "intent-transaction-to"),
    "creation": ({**TRANSACTIONS["transaction"], "to": None}, "intent-transaction-to"),
    "short address": ({**TRANSACTIONS["transaction"], "to": "0x1234"}, "intent-transaction-to"),
    "long address": ({**TRANSACTIONS["erc20send"], "to": FRIEND + "11"}, "intent-transaction-to"),
    "address without 0x": ({**TRANSACTIONS["erc20send"], "to": FRIEND[2:]}, "intent-transaction-to"),
    "wrong checksum": (
        {**TRANSACTIONS["erc20send"], "tokenAddress": TOKEN[:-1] + TOKEN[-1].swapcase().replace("8", "9")},
        "address-checksum",
    ),
    "negative value": ({**TRANSACTIONS["transaction"], "value": "-1"}, "intent-transaction-value"),
    "value with sign": ({**TRANSACTIONS["transaction"], "value": "+1"}, "intent-transaction-value"),
    "value with leading zero": ({**TRANSACTIONS["transaction"], "value": "01"}, "intent-transaction-value"),
    "value as number": ({**TRANSACTIONS["transaction"], "value": 5}, "intent-transaction-value"),
    "value as fraction": ({**TRANSACTIONS["transaction"], "value": "1.0"}, "intent-transaction-value"),
    "value in exponents": ({**TRANSACTIONS["transaction"], "value": "1e18"}, "intent-transaction-value"),
    "value with space": ({**TRANSACTIONS["transaction"], "value": " 1"}, "intent-transaction-value"),
    "value 0x": ({**TRANSACTIONS["transaction"], "value": "0x"}, "intent-transaction-value"),
    "value of 257 bits": ({**TRANSACTIONS["transaction"], "value": str(2**256)}, "intent-transaction-value"),
    "value in other digits": ({**TRANSACTIONS["transaction"], "value": "\u0661"}, "intent-transaction-value"),
    "odd data": ({**TRANSACTIONS["transaction"], "data": "0x123"}, "intent-transaction-data"),
    "data without 0x": ({**TRANSACTIONS["transaction"], "data": "1234"}, "intent-transaction-data"),
    "data with space": ({**TRANSACTIONS["transaction"], "data": "0x12 34"}, "intent-transaction-data"),
    "data for an unsafe transfer": (
        {**TRANSACTIONS["erc721send safe"], "safe": False}, "intent-transaction-data",
    ),
    "data that the original drops": (
        {name: value for name, value in TRANSACTIONS["erc721send safe"].items() if name != "safe"},
        "intent-transaction-data",
    ),
    "safe as text": ({**TRANSACTIONS["erc721send safe"], "safe": "true"}, "intent-transaction-safe"),
    "no ids": ({**TRANSACTIONS["erc1155send"], "vals": []}, "intent-transaction-amounts"),
    "id without amount": ({**TRANSACTIONS["erc1155send"], "vals": [{"id": "1"}]}, "intent-transaction-members"),
    "too few arguments": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f(uint256 a)", "args": []}}, "intent-argument",
    ),
    "too many arguments": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f()", "args": ["1"]}}, "intent-argument",
    ),
    "argument as number": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f(uint256)", "args": [1]}}, "intent-argument",
    ),
    "argument too large": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f(uint8)", "args": ["256"]}}, "intent-argument",
    ),
    "argument by name": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f(uint8 a)", "args": {"a": "1"}}}, "intent-argument",
    ),
    "name that is missing": (
        {**TRANSACTIONS["delayedEncode"], "data": {"abi": "f(uint8 a)", "args": {"b": "1"}}}, "intent-argument",
    ),
    "call where no bytes are": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f(string)", "args": [{"abi": "g()", "args": []}]}},
        "intent-argument",
    ),
    "function that is not in the ABI": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f()", "func": "g", "args": []}}, "intent-abi-function",
    ),
    "no function": ({**TRANSACTIONS["contractCall"], "data": {"abi": "[]", "args": []}}, "intent-abi-function"),
    "two functions and no name": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": '[{"name":"f"},{"name":"g"}]', "args": []}},
        "intent-abi-function",
    ),
    "two functions of one name": (
        {
            **TRANSACTIONS["contractCall"],
            "data": {"abi": '[{"name":"f"},{"name":"f","inputs":[]}]', "func": "f", "args": []},
        },
        "intent-abi-function",
    ),
    "ABI with duplicate members": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": '{"name":"f","name":"g"}', "args": []}}, "intent-abi",
    ),
    "ABI that is no text": ({**TRANSACTIONS["contractCall"], "data": {"abi": [], "args": []}}, "intent-abi"),
    "unknown type": ({**TRANSACTIONS["contractCall"], "data": {"abi": "f(uint257)", "args": ["1"]}}, "intent-abi-type"),
    "call data as text": ({**TRANSACTIONS["contractCall"], "data": "0x12"}, "intent-call-members"),
    "call with a member more": (
        {**TRANSACTIONS["contractCall"], "data": {"abi": "f()", "args": [], "value": "1"}}, "intent-call-members",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_transactions_are_refused_with_reasons(name: str) -> None:
    transaction, code = HOSTILE[name]
    assert refused(transaction) == code


def test_number_of_transactions_and_ids_is_bounded() -> None:
    one = TRANSACTIONS["erc20send"]
    assert len(sent(*[one] * MAX_TRANSACTIONS).transactions) == MAX_TRANSACTIONS
    beyond = sending(*[one] * (MAX_TRANSACTIONS + 1))
    assert refusal(signed(unsigned("sendTransaction", beyond))) == "intent-data-transactions"
    assert refusal(signed(unsigned("sendTransaction", sending()))) == "intent-data-transactions"
    value = {"id": "1", "amount": "1"}
    many = {**TRANSACTIONS["erc1155send"], "vals": [value] * MAX_TOKEN_IDS}
    assert call_of(many).to == TOKEN_BYTES
    assert refused({**many, "vals": [value] * (MAX_TOKEN_IDS + 1)}) == "intent-transaction-amounts"


# --- calls that are spelled out ---

ENCODINGS: dict[str, tuple[str, list[Any], bytes]] = {
    "atoms": (
        "f(address,uint8,int16,bool,bytes4,bytes,string)",
        [FRIEND, "255", "-3", "true", "0x01020304", "0x", "ä"],
        calldata(
            "f(address,uint8,int16,bool,bytes4,bytes,string)",
            ["address", "uint8", "int16", "bool", "bytes4", "bytes", "string"],
            [FRIEND, 255, -3, True, b"\x01\x02\x03\x04", b"", "ä"],
        ),
    ),
    "aliases": ("f(uint a, int b)", ["1", "-1"], calldata("f(uint256,int256)", ["uint256", "int256"], [1, -1])),
    "arrays": (
        "f(uint256[] a, address[2] b, bytes[] c)",
        [["1", "2"], [FRIEND, TOKEN], ["0x12"]],
        calldata(
            "f(uint256[],address[2],bytes[])",
            ["uint256[]", "address[2]", "bytes[]"],
            [[1, 2], [FRIEND, TOKEN], [b"\x12"]],
        ),
    ),
    "arrays of arrays": (
        "f(uint256[2][] a)",
        [[["1", "2"], ["3", "4"]]],
        calldata("f(uint256[2][])", ["uint256[2][]"], [[[1, 2], [3, 4]]]),
    ),
    "tuples": (
        "f((address to, uint256[] ids)[] orders, (bytes32,bool) flag)",
        [[[FRIEND, ["1"]]], ["0x" + "11" * 32, "false"]],
        calldata(
            "f((address,uint256[])[],(bytes32,bool))",
            ["(address,uint256[])[]", "(bytes32,bool)"],
            [[(FRIEND, [1])], (b"\x11" * 32, False)],
        ),
    ),
    "no arguments": ("f()", [], calldata("f()", [], [])),
    "spaces": (
        "  f ( uint256   a ,address b ) ",
        ["1", FRIEND],
        calldata("f(uint256,address)", ["uint256", "address"], [1, FRIEND]),
    ),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_arguments_are_encoded_as_another_library_does(name: str) -> None:
    abi, arguments, expected = ENCODINGS[name]
    assert encode_contract_call({"abi": abi, "args": arguments}) == expected
    assert encode_delayed({"abi": abi, "func": "f", "args": arguments}) == expected


def test_abi_in_json_with_components_and_other_entries() -> None:
    inputs = [
        {
            "name": "order",
            "type": "tuple[]",
            "components": [{"name": "a", "type": "uint256"}, {"name": "b", "type": "bytes"}],
        }
    ]
    function = {"type": "function", "name": "f", "inputs": inputs, "outputs": [], "stateMutability": "payable"}
    event = {"type": "event", "name": "f", "inputs": []}
    expected = calldata("f((uint256,bytes)[])", ["(uint256,bytes)[]"], [[(1, b"\x12")]])
    for abi in (function, [event, function, {**function, "name": "g"}]):
        assert encode_contract_call({"abi": json.dumps(abi), "func": "f", "args": [[["1", "0x12"]]]}) == expected


def test_call_as_argument_is_encoded_into_bytes() -> None:
    inner = {"abi": "transfer(address,uint256)", "args": [FRIEND, "1"]}
    outer = {"abi": "run(address to, bytes data)", "func": "run", "args": [TOKEN, inner]}
    data = calldata("transfer(address,uint256)", ["address", "uint256"], [FRIEND, 1])
    assert encode_contract_call(outer) == calldata("run(address,bytes)", ["address", "bytes"], [TOKEN, data])


def test_calls_as_arguments_end_somewhere() -> None:
    value: dict[str, Any] = {"abi": "f()", "args": []}
    for _ in range(MAX_CALLS_DEEP):
        value = {"abi": "f(bytes)", "args": [value]}
    encode_contract_call(value)
    with pytest.raises(EvmError, match="intent-call-depth"):
        encode_contract_call({"abi": "f(bytes)", "args": [value]})


def test_delayed_arguments_by_name_and_arrays_as_text() -> None:
    abi = "f(uint256[] ids, address)"
    expected = calldata("f(uint256[],address)", ["uint256[]", "address"], [[1, 2], FRIEND])
    assert encode_delayed({"abi": abi, "func": "f", "args": {"arg2": FRIEND, "ids": '["1","2"]'}}) == expected
    with pytest.raises(EvmError, match="intent-argument"):
        encode_contract_call({"abi": abi, "args": ['["1","2"]', FRIEND]})
    with pytest.raises(EvmError, match="intent-argument"):
        encode_delayed({"abi": "f(uint8 a, uint8 a)", "args": {"a": "1"}})


# --- the field-by-field check ---


def other_number(number: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**56 - 1).filter(lambda found: found != number)


CHANGED_CALL: dict[str, tuple[str, Any]] = {
    "to": ("bundle-to", lambda call: Address(b"\x22" * 20)),
    "value": ("bundle-value", lambda call: call.value + 1),
    "data": ("bundle-data", lambda call: call.data + b"\0"),
    "gas_limit": ("bundle-gas-limit", lambda call: 100_000),
    "delegate_call": ("bundle-delegate-call", lambda call: True),
    "only_fallback": ("bundle-only-fallback", lambda call: True),
    "behavior_on_error": ("bundle-behavior-on-error", lambda call: BehaviorOnError.IGNORE),
}
CHANGED_BUNDLE: dict[str, tuple[str, Any]] = {
    "chain_id": ("bundle-chain-id", lambda bundle: 1),
    "wallet": ("bundle-wallet", lambda bundle: Address(b"\x22" * 20)),
    "space": ("bundle-nonce", lambda bundle: bundle.space ^ 1),
    "nonce": ("bundle-nonce", lambda bundle: bundle.nonce + 1),
    "calls": ("bundle-calls-count", lambda bundle: bundle.calls[:-1]),
}


def test_every_field_of_a_bundle_and_of_a_call_has_a_mutation() -> None:
    assert {field.name for field in dataclasses.fields(Call)} == set(CHANGED_CALL)
    assert {field.name for field in dataclasses.fields(Bundle)} == set(CHANGED_BUNDLE)


@pytest.mark.parametrize("field", CHANGED_CALL)
@pytest.mark.parametrize("name", TRANSACTIONS)
def test_weakness_9_a_call_that_differs_in_one_field_is_refused(name: str, field: str) -> None:
    intent = sent(TRANSACTIONS["erc20send"], TRANSACTIONS[name])
    meant = bundle_of(intent)
    validate_bundle(meant, intent)
    code, change = CHANGED_CALL[field]
    changed = dataclasses.replace(meant.calls[1], **{field: change(meant.calls[1])})
    with pytest.raises(EvmError, match=code):
        validate_bundle(dataclasses.replace(meant, calls=(meant.calls[0], changed)), intent)


@pytest.mark.parametrize("field", CHANGED_BUNDLE)
def test_a_bundle_that_differs_in_one_field_is_refused(field: str) -> None:
    intent = sent(*TRANSACTIONS.values())
    meant = bundle_of(intent)
    code, change = CHANGED_BUNDLE[field]
    with pytest.raises(EvmError, match=code):
        validate_bundle(dataclasses.replace(meant, **{field: change(meant)}), intent)


@given(st.data())
def test_any_other_bundle_is_refused(data: st.DataObject) -> None:
    """Whatever is drawn: calls repeated, dropped, in another order, or with any field drawn anew."""
    names = data.draw(st.lists(st.sampled_from(sorted(TRANSACTIONS)), min_size=1, max_size=4))
    intent = sent(*(TRANSACTIONS[name] for name in names))
    meant = bundle_of(intent)
    drawn = st.builds(
        Call,
        to=st.sampled_from([Address(FRIEND_BYTES), Address(TOKEN_BYTES)]),
        value=st.integers(0, 5),
        data=st.sampled_from([b"", *(call.data for call in meant.calls)]),
        gas_limit=st.integers(0, 1),
        delegate_call=st.booleans(),
        only_fallback=st.booleans(),
        behavior_on_error=st.sampled_from(BehaviorOnError),
    )
    calls = data.draw(st.lists(st.one_of(st.sampled_from(meant.calls), drawn), max_size=5))
    bundle = dataclasses.replace(meant, calls=tuple(calls))
    if bundle == meant:
        return validate_bundle(bundle, intent)
    with pytest.raises(EvmError, match="bundle-"):
        validate_bundle(bundle, intent)
    return None


@pytest.mark.parametrize("member", ["to", "value", "gasLimit", "data", "delegateCall", "revertOnError"])
def test_builders_answer_that_differs_in_one_member_is_refused(member: str) -> None:
    intent = sent(TRANSACTIONS["transaction with data"])
    answer = bundle_of(intent).as_json()
    validate_bundle(parse_bundle(answer, WALLET), intent)
    [call] = answer["transactions"]
    other = {
        "to": FRIEND,
        "value": "1",
        "gasLimit": "0x987654321",
        "data": "0x00",
        "delegateCall": True,
        "revertOnError": False,
    }
    with pytest.raises(EvmError, match="bundle-"):
        validate_bundle(parse_bundle({**answer, "transactions": [{**call, member: other[member]}]}, WALLET), intent)
    with pytest.raises(EvmError, match="bundle-call-members"):
        parse_bundle({**answer, "transactions": [{key: call[key] for key in call if key != member}]}, WALLET)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"chainID": "1"}, "bundle-chain-id"),
        ({"chainID": "0"}, "bundle-chain-id"),
        ({"chainID": 137}, "bundle-chain-id"),
        ({"nonce": "0"}, "bundle-nonce"),
        ({"nonce": -1}, "bundle-nonce"),
        ({"transactions": []}, "bundle-calls-count"),
        ({"transactions": None}, "bundle-calls-count"),
        ({"extra": 1}, "bundle-members"),
    ],
)
def test_builders_answer_around_the_calls(change: dict[str, Any], code: str) -> None:
    intent = sent(TRANSACTIONS["transaction"])
    with pytest.raises(EvmError, match=code):
        validate_bundle(parse_bundle({**bundle_of(intent).as_json(), **change}, WALLET), intent)


def test_operation_of_the_third_generation_is_compared_alike() -> None:
    intent = sent(*TRANSACTIONS.values())
    meant = bundle_of(intent)
    validate_bundle(bundle_from_operation(meant.operation), intent)
    payload = CallsPayload(meant.calls, meant.space, meant.nonce)
    for operation, code in [
        (Operation(payload, WALLET, 137, no_chain_id=True), "bundle-chain-id"),
        (Operation(dataclasses.replace(payload, parent_wallets=(WALLET,)), WALLET, 137), "bundle-parents"),
        (Operation(MessagePayload(b""), WALLET, 137), "bundle-kind"),
        (Operation(payload, WALLET, 1), "bundle-chain-id"),
    ]:
        with pytest.raises(EvmError, match=code):
            validate_bundle(bundle_from_operation(operation), intent)


def test_calls_that_the_second_generation_does_not_know_have_no_digest_there() -> None:
    meant = bundle_of(sent(TRANSACTIONS["transaction"]))
    for change, code in [
        ({"only_fallback": True}, "bundle-only-fallback"),
        ({"behavior_on_error": BehaviorOnError.ABORT}, "bundle-behavior-on-error"),
    ]:
        calls = (dataclasses.replace(meant.calls[0], **change),)  # type: ignore[arg-type]
        with pytest.raises(EvmError, match=code):
            _ = dataclasses.replace(meant, calls=calls).legacy_digest
