"""Calldata: known calls against the reference ABI coder, and everything else an unknown call."""

import json
from typing import Any

import pytest
from eth_abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from evm import abi
from evm.abi import split_types
from evm.address import Address, checksum
from evm.calldata import _INTERFACES, understand
from evm.effects import all_effects, effects_of_transaction
from evm.effects.call import FUNCTIONS
from evm.effects.effect_words import effect_words
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.transaction import Transaction, TransactionType

TOKEN, SENDER = Address(b"\x22" * 20), Address(b"\x11" * 20)
A, B = "0x" + "aa" * 20, "0x" + "bb" * 20
SELECTORS = {
    "erc20.transfer": "a9059cbb",
    "token.transferFrom": "23b872dd",
    "token.approve": "095ea7b3",
    "erc20.increaseAllowance": "39509351",
    "erc20.permit": "d505accf",
    "dai.permit": "8fcbaf0c",
    "erc721.safeTransferFrom": "42842e0e",
    "erc721.safeTransferFromWithData": "b88d4fde",
    "erc1155.safeTransferFrom": "f242432a",
    "erc1155.safeBatchTransferFrom": "2eb2c2d6",
    "token.setApprovalForAll": "a22cb465",
}
BY_NAME = {interface.name: (selector, interface) for selector, interface in _INTERFACES.items()}


def test_selectors_are_the_published_ones() -> None:
    assert {name: selector.hex() for name, (selector, _) in BY_NAME.items()} == SELECTORS


_STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "address": st.binary(min_size=20, max_size=20),
    "bool": st.booleans(),
    "uint8": st.integers(0, 255),
    "uint256": st.integers(0, 2**256 - 1) | st.sampled_from([0, 2**256 - 1]),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes": st.binary(max_size=70),
    "uint256[]": st.lists(st.integers(0, 2**256 - 1), max_size=3),
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[Any], bytes]:
    name = draw(st.sampled_from(sorted(SELECTORS)))
    selector, interface = BY_NAME[name]
    values = [draw(_STRATEGIES[type_]) for type_ in interface.types]
    return name, values, selector + encode(interface.types, values)


def _plain(values: list[Any]) -> list[Any]:
    return [tuple(value) if isinstance(value, list) else value for value in values]


@settings(max_examples=200)
@given(calls())
def test_known_call_is_decoded_as_the_reference_encoded_it(call: tuple[str, list[Any], bytes]) -> None:
    name, values, data = call
    effects = understand(TOKEN, 0, data)
    assert effects.name == name
    assert effects.decoded
    assert [argument.value for argument in effects.arguments] == _plain(values)
    assert checksum(TOKEN) in effects.words
    json.dumps(effects.as_json())


@settings(max_examples=200)
@given(calls(), st.data())
def test_call_with_any_byte_changed_is_another_call_or_unknown(
    call: tuple[str, list[Any], bytes], source: st.DataObject
) -> None:
    """Nothing in calldata is passed over: no two texts of calldata are shown alike."""
    _, _, data = call
    at = source.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[at] ^= source.draw(st.integers(1, 255))
    before, after = understand(TOKEN, 0, data), understand(TOKEN, 0, bytes(changed))
    assert not after.decoded or after.as_json() != before.as_json()


@settings(max_examples=100)
@given(calls(), st.binary(min_size=1, max_size=40))
def test_call_with_trailing_or_missing_bytes_is_unknown(call: tuple[str, list[Any], bytes], extra: bytes) -> None:
    name, _, data = call
    for bad in (data + extra, data[: -len(extra)], data + bytes(32)):
        effects = understand(TOKEN, 0, bad)
        assert effects.name == "unknown-call"
        assert not effects.decoded
        if bad[:4] == data[:4]:
            assert f"looks like {name}" in effects.words


def test_dirty_address_padding_is_unknown() -> None:
    clean = bytes.fromhex(SELECTORS["erc20.transfer"]) + encode(["address", "uint256"], [A, 1])
    assert understand(TOKEN, 0, clean).decoded
    assert not understand(TOKEN, 0, clean[:4] + b"\x01" + clean[5:]).decoded


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (["bytes"], [64, 0, 0]),  # a gap before the tail
        (["bytes"], [32, 2**255]),  # a length beyond all data
        (["bytes"], [32, 1, 1 << 248 | 1]),  # padding that is not zero
        (["uint256[]"], [32, 2**251]),
        (["uint256[]"], [32, 2, 1]),
        (["bytes", "bytes"], [64, 64, 0]),  # two arguments in one place
        (["bool"], [2]),
        (["uint8"], [256]),
        (["address"], [2**160]),
        (["uint256"], []),
    ],
)
def test_other_encodings_are_refused(types: list[str], words: list[int]) -> None:
    with pytest.raises(EvmError, match="abi"):
        abi.decode(types, b"".join(word.to_bytes(32, "big") for word in words))


def test_unknown_selector_stays_an_unknown_call() -> None:
    effects = understand(TOKEN, 1, bytes.fromhex("deadbeef00"))
    assert effects.as_json() == {
        "name": "unknown-call",
        "decoded": False,
        "words": f"Call {checksum(TOKEN)} in an unknown way (selector 0xdeadbeef, 5 bytes), "
        "sending 0.000000000000000001 coins (1 wei) along",
        "selector": "0xdeadbeef",
    }
    assert understand(TOKEN, 0, b"\xa9").name == "unknown-call"


def test_plain_transfer_and_creation() -> None:
    assert understand(TOKEN, 10**18, b"").words == f"Transfer 1 coins ({10**18} wei) to {checksum(TOKEN)}"
    created = understand(None, 0, b"\x00" * 5)
    assert (created.name, created.decoded) == ("create", False)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("erc20.transfer", [A, 5], "Transfer 5 base units of token {t} to {a}"),
        ("token.approve", [B, 2**256 - 1], "Let {b} take an unlimited amount"),
        ("token.setApprovalForAll", [B, True], "Let {b} take every item of token {t}"),
        ("token.setApprovalForAll", [B, False], "No longer let {b} take items of token {t}"),
        ("erc1155.safeBatchTransferFrom", [A, B, [1, 2], [3, 4], b""], "from {a} to {b}: 3 of id 1, 4 of id 2"),
        ("erc1155.safeBatchTransferFrom", [A, B, [1], [], b""], "nothing (the lists differ in length)"),
        ("dai.permit", [A, B, 0, 0, True, 27, bytes(32), bytes(32)], "unlimited amount of token {t} from {a}"),
    ],
)
def test_words_name_who_gets_what(name: str, values: list[Any], words: str) -> None:
    selector, interface = BY_NAME[name]
    said = understand(TOKEN, 0, selector + encode(interface.types, values)).words
    a, b = (checksum(Address(bytes.fromhex(text[2:]))) for text in (A, B))
    assert words.format(a=a, b=b, t=checksum(TOKEN)) in said


def test_sentences_are_about_the_functions_that_rules_know() -> None:
    """One decode: the same arguments, or unknown to both."""
    for selector, interface in _INTERFACES.items():
        assert FUNCTIONS[selector].types == interface.types


@pytest.mark.parametrize(
    ("signature", "values"),
    [
        ("transferOwnership(address)", [A]),
        ("upgradeToAndCall(address,bytes)", [A, b"1234"]),
        ("multicall(bytes[])", [[bytes.fromhex(SELECTORS["token.approve"]) + encode(["address", "uint256"], [A, 1])]]),
        ("deposit(uint256,address)", [5, B]),
    ],
)
def test_other_calls_are_said_as_rules_are_shown_them(signature: str, values: list[Any]) -> None:
    data = keccak256(signature.encode())[:4] + encode(split_types(signature[signature.index("(") + 1 : -1]), values)
    said = understand(TOKEN, 0, data, sender=SENDER, chain_id=1)
    assert said.name == "call." + signature[: signature.index("(")]
    tree = all_effects(effects_of_transaction(Transaction(TransactionType.DYNAMIC_FEE, 1, 0, 1, 1, 1, TOKEN, 0, data),
                                              SENDER))  # fmt: skip
    for effect in list(tree)[:-1]:
        assert effect_words(effect).replace(", on chain 1", "") in said.words
    assert said.decoded
    assert understand(TOKEN, 0, data).name == "unknown-call"


def test_other_calls_that_are_not_encoded_as_they_must_be_stay_unknown() -> None:
    data = keccak256(b"transferOwnership(address)")[:4] + bytes(31)
    said = understand(TOKEN, 0, data, sender=SENDER, chain_id=1)
    assert (said.name, said.decoded) == ("unknown-call", False)
    assert "looks like transferOwnership but is not encoded as one" in said.words


def test_a_call_with_something_unknown_inside_is_not_decoded() -> None:
    data = keccak256(b"multicall(bytes[])")[:4] + encode(["bytes[]"], [[bytes.fromhex("deadbeef")]])
    said = understand(TOKEN, 5, data, sender=SENDER, chain_id=1)
    assert (said.name, said.decoded) == ("call.multicall", False)
    assert "sending 0.000000000000000005 coins (5 wei) along: " in said.words
    assert "is not understood" in said.words


def test_many_effects_are_counted_and_not_all_said() -> None:
    inner = bytes.fromhex(SELECTORS["token.approve"]) + encode(["address", "uint256"], [A, 1])
    data = keccak256(b"multicall(bytes[])")[:4] + encode(["bytes[]"], [[inner] * 40])
    assert understand(TOKEN, 0, data, sender=SENDER, chain_id=1).words.endswith("; and 25 MORE")
    many = keccak256(b"multicall(bytes[])")[:4] + encode(["bytes[]"], [[inner] * 600])
    assert understand(TOKEN, 0, many, sender=SENDER, chain_id=1).name == "unknown-call"


@given(st.binary(max_size=200))
def test_any_calldata_is_understood_or_unknown(data: bytes) -> None:
    for selector in [*_INTERFACES, b""]:
        json.dumps(understand(TOKEN, 0, selector + data).as_json())
