"""Each bound of the intents' format, at its cap and one beyond."""

import json
from typing import Any

import pytest

from evm.errors import EvmError
from evm.intents.abi_type import MAX_DEPTH, MAX_VALUES, parse_type
from evm.intents.account_data import MAX_NONCE_BYTES, MAX_VERIFIER_BYTES
from evm.intents.contract_call import MAX_ABI_BYTES, encode_contract_call
from evm.intents.fields import MAX_TEXT_BYTES
from evm.intents.names import parse_intent_data
from evm.intents.wallet_data import MAX_IDENTIFIER_BYTES
from protocol import limits

from .samples import DATA, FRIEND, TRANSACTIONS, sending


@pytest.mark.parametrize(
    ("name", "member", "most"),
    [
        ("initiateAuth", "verifier", MAX_VERIFIER_BYTES),
        ("initiateAuth", "metadata", MAX_TEXT_BYTES),
        ("openSession", "answer", MAX_TEXT_BYTES),
        ("openSession", "email", limits.MAX_EMAIL_BYTES),
        ("getIdToken", "nonce", MAX_NONCE_BYTES),
        ("sessionAuthProof", "nonce", MAX_NONCE_BYTES),
        ("sendTransaction", "identifier", MAX_IDENTIFIER_BYTES),
        ("removeAccount", "accountId", MAX_VERIFIER_BYTES),
    ],
)
def test_texts_are_bounded_in_bytes_and_not_empty(name: str, member: str, most: int) -> None:
    parse_intent_data(name, {**DATA[name], member: "x" * most})
    for text in ("x" * (most + 1), "ä" * (most // 2 + 1), "", "\ud800", 1):
        with pytest.raises(EvmError, match="intent-data-"):
            parse_intent_data(name, {**DATA[name], member: text})


def test_message_and_call_data_are_bounded() -> None:
    most = limits.MAX_MESSAGE_BYTES
    parse_intent_data("signMessage", {**DATA["signMessage"], "message": "0x" + "11" * most})
    with pytest.raises(EvmError, match="intent-data-message"):
        parse_intent_data("signMessage", {**DATA["signMessage"], "message": "0x" + "11" * (most + 1)})
    raw = TRANSACTIONS["transaction"]
    most = limits.MAX_CALLDATA_BYTES
    parse_intent_data("sendTransaction", sending({**raw, "data": "0x" + "11" * most}))
    with pytest.raises(EvmError, match="intent-transaction-data"):
        parse_intent_data("sendTransaction", sending({**raw, "data": "0x" + "11" * (most + 1)}))


def test_encoded_call_is_bounded() -> None:
    def call(length: int) -> bytes:
        return encode_contract_call({"abi": "f(bytes)", "args": ["0x" + "11" * length]})

    most = limits.MAX_CALLDATA_BYTES - 4 - 64  # a multiple of 32 less four: the last words is not full
    assert len(call(most // 32 * 32)) <= limits.MAX_CALLDATA_BYTES
    with pytest.raises(EvmError, match="intent-call-data"):
        call(most + 1)


def test_abi_is_bounded() -> None:
    fitting = "f()" + " " * (MAX_ABI_BYTES - 3)
    assert len(encode_contract_call({"abi": fitting, "args": []})) == 4
    with pytest.raises(EvmError, match="intent-abi"):
        encode_contract_call({"abi": fitting + " ", "args": []})


def test_types_and_values_end_somewhere() -> None:
    deepest = "uint8" + "[1]" * MAX_DEPTH
    parse_type(deepest)
    with pytest.raises(EvmError, match="intent-abi-type"):
        parse_type(deepest + "[1]")
    tuples = "(" * MAX_DEPTH + "uint8" + ")" * MAX_DEPTH
    value: Any = "1"
    for _ in range(MAX_DEPTH):
        value = [value]
    encode_contract_call({"abi": f"f({tuples})", "args": [value]})
    with pytest.raises(EvmError, match="intent-abi-type"):
        encode_contract_call({"abi": f"f(({tuples}))", "args": [[value]]})
    component: Any = {"type": "uint8"}
    for _ in range(MAX_DEPTH + 1):
        component = {"type": "tuple", "components": [component]}
    abi = json.dumps({"name": "f", "inputs": [component]})
    with pytest.raises(EvmError, match="intent-abi"):
        encode_contract_call({"abi": abi, "args": [value]})
    encode_contract_call({"abi": "f(address[])", "args": [[FRIEND] * (MAX_VALUES - 3)]})
    for many in (MAX_VALUES, MAX_VALUES + 1):
        with pytest.raises(EvmError, match="intent-argument" if many > MAX_VALUES else "intent-call-data"):
            encode_contract_call({"abi": "f(address[])", "args": [[FRIEND] * many]})
