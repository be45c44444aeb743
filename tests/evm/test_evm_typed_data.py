"""EIP-712: the published example, eth-account as the oracle, and everything that is refused."""

import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from evm import cross_check
from evm.errors import EvmError
from evm.typed_data import parse_typed_data

from .samples import ACCOUNT, addresses, damaged, document, json_values, mail, sign


def refused(value: object) -> str:
    with pytest.raises(EvmError) as caught:
        parse_typed_data(value)
    return caught.value.code


# --- the example of the EIP ---


def test_mail_hashes_as_published() -> None:
    found = parse_typed_data(mail())
    assert found.encoded_type == "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    assert found.domain_separator.hex() == "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    assert found.struct_hash.hex() == "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    assert found.digest.hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    assert found.chain_id == 1
    assert found.verifying_contract == b"\xcc" * 20


def test_signature_recovers_with_eth_account() -> None:
    signature = bytes(sign(parse_typed_data(mail()).digest))
    assert Account.recover_message(encode_typed_data(full_message=mail()), signature=signature) == ACCOUNT.address


# --- differential: random type systems ---

_atoms = st.sampled_from(
    [
        "bool",
        "address",
        "string",
        "bytes",
        "bytes1",
        "bytes31",
        "bytes32",
        "uint8",
        "uint256",
        "int8",
        "int256",
        "uint160",
        "int64",
        "uint48",
    ]
)


def _value_of(type_: str, structs: dict[str, list[tuple[str, str]]]) -> st.SearchStrategy[Any]:
    if type_.endswith("]"):
        inner, _, length = type_[:-1].rpartition("[")
        least, most = (int(length), int(length)) if length else (0, 2)
        return st.lists(_value_of(inner, structs), min_size=least, max_size=most)
    if type_ in structs:
        return st.fixed_dictionaries({name: _value_of(t, structs) for name, t in structs[type_]})
    if type_ == "bool":
        return st.booleans()
    if type_ == "address":
        return addresses
    if type_ == "string":
        return st.text(max_size=40)
    if type_.startswith("bytes"):
        size = type_[5:]
        least, most = (int(size), int(size)) if size else (0, 40)
        return st.binary(min_size=least, max_size=most).map(lambda value: "0x" + value.hex())
    bits = int(type_.lstrip("uint"))
    low, high = (0, 2**bits - 1) if type_.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    numbers = st.integers(low, high) | st.sampled_from([low, high])
    return numbers | numbers.map(str) | numbers.filter(lambda number: number >= 0).map(hex)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents over random acyclic types: struct `P` uses `A`, which uses `B`, in any array shape."""
    structs: dict[str, list[tuple[str, str]]] = {}
    chain = ["P", "A", "B"][: draw(st.integers(1, 3))]
    for position, name in reversed(list(enumerate(chain))):
        used = chain[position + 1 : position + 2]
        bases = [*used, *draw(st.lists(_atoms, min_size=0 if used else 1, max_size=4))]
        shapes = st.sampled_from(["", "", "[]", "[2]", "[][2]", "[1][]"])
        structs[name] = [(f"m{i}", base + draw(shapes)) for i, base in enumerate(bases)]
    found = document(structs["P"], draw(_value_of("P", structs)), **{n: f for n, f in structs.items() if n != "P"})
    full = mail()
    names = draw(st.lists(st.sampled_from(list(full["domain"])), min_size=1, unique=True))
    found["types"]["EIP712Domain"] = [f for f in full["types"]["EIP712Domain"] if f["name"] in names]
    found["domain"] = {name: value for name, value in full["domain"].items() if name in names}
    return found


@settings(max_examples=200)
@given(documents())
def test_digest_equals_eth_account(found: dict[str, Any]) -> None:
    typed = parse_typed_data(found)
    cross_check.check_typed_data(typed, found)
    json.dumps(typed.understood(), allow_nan=False)


@settings(max_examples=200)
@given(st.data())
def test_changed_document_never_keeps_its_digest(source: st.DataObject) -> None:
    found = source.draw(documents())
    typed = parse_typed_data(found)
    try:
        other = parse_typed_data(source.draw(damaged(found)))
    except EvmError:
        return
    said = [one.understood() | {"words": []} for one in (typed, other)]
    declared = [(one.encoded_type, list(one.domain)) for one in (typed, other)]
    assert (said[0] == said[1] and declared[0] == declared[1]) == (typed.digest == other.digest)


def test_every_single_value_changes_the_digest() -> None:
    digests = {parse_typed_data(mail()).digest}
    changes: list[tuple[list[str], object]] = [
        (["domain", "name"], "Ether Mail "),
        (["domain", "version"], "2"),
        (["domain", "chainId"], 2),
        (["domain", "verifyingContract"], "0x" + "cd" * 20),
        (["message", "from", "name"], "Cow2"),
        (["message", "from", "wallet"], "0x" + "ab" * 20),
        (["message", "to", "name"], ""),
        (["message", "to", "wallet"], "0x" + "ab" * 20),
        (["message", "contents"], "Hello, Bob"),
    ]
    for path, value in changes:
        found = mail()
        node: Any = found
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value
        digests.add(parse_typed_data(found).digest)
    assert len(digests) == len(changes) + 1


def test_recursive_type_is_hashed_by_the_depth_of_its_value() -> None:
    """A type may refer to itself through an array; the reference cannot name its primary type, so by hand."""
    leaf: dict[str, Any] = {"n": []}
    one, two = (document([("n", "P[]")], message) for message in ({"n": [leaf]}, {"n": [{"n": [leaf]}]}))
    assert parse_typed_data(one).encoded_type == "P(P[] n)"
    assert parse_typed_data(one).digest != parse_typed_data(two).digest


def test_cross_check_refuses_a_digest_that_differs() -> None:
    typed = parse_typed_data(mail())
    other = mail()
    other["message"]["contents"] = "Hello, Eve!"
    for bad in (other, {}):
        with pytest.raises(EvmError, match="encoders-disagree"):
            cross_check.check_typed_data(typed, bad)


# --- refusals: the document and its types ---


def _with_types(**types: Any) -> dict[str, Any]:
    found = mail()
    found["types"] |= types
    found["types"] = {name: fields for name, fields in found["types"].items() if fields is not ...}
    return found


def _field(name: object, type_: object) -> dict[str, object]:
    return {"name": name, "type": type_}


@pytest.mark.parametrize("name", ["types", "primaryType", "domain", "message"])
def test_missing_or_unknown_member_is_refused(name: str) -> None:
    found = mail()
    assert refused({**found, "extra": 1}) == "typed-members"
    del found[name]
    assert refused(found) == "typed-members"


@pytest.mark.parametrize("primary", ["Letter", "EIP712Domain", "string", "", None, 5, ["Mail"]])
def test_primary_type_must_be_a_declared_struct(primary: object) -> None:
    assert refused({**mail(), "primaryType": primary}) == "typed-primary-type"


@pytest.mark.parametrize(
    ("types", "code"),
    [
        ({"Unused": [_field("a", "bool")]}, "typed-unused-type"),
        ({"Person": ...}, "typed-unknown-type"),
        ({"Person": []}, "typed-types"),
        ({"Person": {}}, "typed-types"),
        ({"Person": [_field("name", "string"), _field("name", "string")]}, "typed-duplicate-field"),
        ({"Person": [_field("name", "string") | {"extra": 1}]}, "typed-types"),
        ({"Person": [{"name": "name"}]}, "typed-types"),
        ({"Person": [_field("na me", "string")]}, "typed-types"),
        ({"Person": [_field("", "string")]}, "typed-types"),
        ({"Person": [_field("name", 5)]}, "typed-types"),
        ({"string": [_field("a", "bool")]}, "typed-types"),
        ({"uint256": [_field("a", "bool")]}, "typed-types"),
        ({"A)B(bool x": [_field("a", "bool")]}, "typed-types"),
        ({"Person\n": [_field("a", "bool")]}, "typed-types"),
        ({"EIP712Domain": ...}, "typed-domain-type"),
        ({"EIP712Domain": []}, "typed-types"),
        ({"EIP712Domain": [_field("version", "string"), _field("name", "string")]}, "typed-domain-type"),
        ({"EIP712Domain": [_field("name", "bytes32")]}, "typed-domain-type"),
        ({"EIP712Domain": [_field("chainId", "uint64")]}, "typed-domain-type"),
        ({"EIP712Domain": [_field("owner", "address")]}, "typed-domain-type"),
    ],
)
def test_malformed_types_are_refused(types: dict[str, Any], code: str) -> None:
    assert refused(_with_types(**types)) == code


@pytest.mark.parametrize(
    "type_",
    [
        "uint",
        "int",
        "uint7",
        "uint264",
        "uint0",
        "uint08",
        "bytes0",
        "bytes33",
        "bytes032",
        "byte",
        "function",
        "fixed128x18",
        "tuple",
        "address payable",
        "uint256 x",
        "Uint256",
        "Missing",
        "Missing[]",
    ],
)
def test_type_that_the_eip_does_not_know_is_refused(type_: str) -> None:
    assert refused(document([("a", type_)], {"a": 1})) in ("typed-unknown-type", "typed-types")


@pytest.mark.parametrize(
    "suffix", ["[", "]", "[0]", "[01]", "[-1]", "[10000]", "[ ]", "[x]", "[2", "[][", "()", "[]\n"]
)
def test_malformed_array_type_is_refused(suffix: str) -> None:
    assert refused(document([("a", "uint8" + suffix)], {"a": []})) == "typed-types"


# --- refusals: values ---


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        *(("uint8", value) for value in (256, -1, "256", "-1", "0x100", "0x01", "01", "+1", " 1", "1.0", 1.0, True)),
        *(("uint8", value) for value in (None, "", "0x", [], {}, "\u0661")),
        *(("uint256", value) for value in (2**256, str(2**256), "0x1" + "00" * 32, float(2**53))),
        *(("int8", value) for value in (128, -129, "128", "-129", "0x80", "-0", "--1", "-0x1")),
        *(("int256", value) for value in (2**255, -(2**255) - 1)),
        *(("bool", value) for value in (0, 1, "true", "false", None, "0x1")),
        *(("address", value) for value in ("0x" + "11" * 19, "0x" + "11" * 21, 0, None, "11" * 20, "")),
        *(("bytes4", value) for value in ("0x010203", "0x0102030405", "0x", "abcd", None, 5, [1, 2, 3, 4])),
        *(("bytes", value) for value in ("0x1", "hello", "", None, 5, [1])),
        *(("string", value) for value in (None, 5, True, [], {}, "\udc00")),
        *(("uint8[]", value) for value in (None, {}, "0x01", 1, [256], [[1]])),
        *(("uint8[2]", value) for value in ([], [1], [1, 2, 3], "0x0102")),
        *(("uint8[2][]", value) for value in ([1, 2], [[1]], [[1, 2], [3]])),
    ],
)
def test_value_that_does_not_fit_its_type_is_refused(type_: str, value: object) -> None:
    assert refused(document([("a", type_)], {"a": value})).startswith("typed-")


def test_integer_spellings_mean_the_same() -> None:
    spelled = [document([("a", "uint256")], {"a": value}) for value in (255, "255", "0xff", "0xFF")]
    assert len({parse_typed_data(found).digest for found in spelled}) == 1


def test_address_with_a_broken_checksum_is_refused() -> None:
    found = mail()
    found["message"]["from"]["wallet"] = "0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
    assert refused(found) == "address-checksum"


@pytest.mark.parametrize("where", ["message", "domain"])
def test_value_without_declaration_or_the_reverse_is_refused(where: str) -> None:
    found = mail()
    found[where]["extra"] = "not hashed, so not signed"
    assert refused(found) == "typed-fields"
    found = mail()
    del found[where][next(iter(found[where]))]
    assert refused(found) == "typed-fields"
    assert refused({**mail(), where: None}) == "typed-fields"


def test_null_struct_is_refused() -> None:
    found = mail()
    found["message"]["to"] = None
    assert refused(found) == "typed-fields"


@settings(max_examples=150)
@given(json_values)
def test_any_json_gives_one_error(value: object) -> None:
    assert refused(value).startswith("typed-")


@settings(max_examples=200)
@given(damaged(mail()))
def test_damaged_document_gives_a_value_or_one_error(value: object) -> None:
    try:
        typed = parse_typed_data(value)
    except EvmError:
        return
    json.dumps(typed.understood(), allow_nan=False)


# --- words ---


def test_what_was_understood_shows_every_field_with_its_type() -> None:
    said = parse_typed_data(mail()).understood()
    assert said["kind"] == "typed-data"
    assert said["chainId"] == "1"
    assert said["primaryType"] == "Mail"
    assert said["fields"][0] == {
        "name": "from",
        "type": "Person",
        "value": [
            {"name": "name", "type": "string", "value": "Cow"},
            {"name": "wallet", "type": "address", "value": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        ],
    }
    contract = "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
    sentence = f'Sign Mail for "Ether Mail" version "1" on chain 1 to be checked by the contract {contract}'
    assert said["words"] == [sentence]


def test_domain_without_chain_is_said_to_be_bound_to_none() -> None:
    typed = parse_typed_data(document([("a", "int16")], {"a": -3}))
    assert typed.chain_id is None
    assert typed.verifying_contract is None
    said = typed.understood()
    assert said["chainId"] is None
    assert said["fields"] == [{"name": "a", "type": "int16", "value": "-3"}]
    assert "bound to no chain" in said["words"][0]


def test_permit_is_put_into_words() -> None:
    types = [
        ("owner", "address"),
        ("spender", "address"),
        ("value", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    ]
    message = {
        "owner": "0x" + "aa" * 20,
        "spender": "0x" + "bb" * 20,
        "value": str(2**256 - 1),
        "nonce": 0,
        "deadline": 9,
    }
    found = mail() | {"primaryType": "Permit", "message": message}
    found["types"] = {
        "EIP712Domain": found["types"]["EIP712Domain"],
        "Permit": [_field(name, type_) for name, type_ in types],
    }
    words = parse_typed_data(found).understood()["words"][1]
    assert words.startswith("Let 0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB take an unlimited amount")
    assert words.endswith("by this signature alone, until 9")


@pytest.mark.parametrize(("allowed", "verb"), [(True, "take an unlimited amount of"), (False, "no longer take")])
def test_permit_of_the_other_form_is_put_into_words(allowed: bool, verb: str) -> None:
    types = [
        ("holder", "address"),
        ("spender", "address"),
        ("nonce", "uint256"),
        ("expiry", "uint256"),
        ("allowed", "bool"),
    ]
    message = {"holder": "0x" + "aa" * 20, "spender": "0x" + "bb" * 20, "nonce": 0, "expiry": 0, "allowed": allowed}
    found = document(types, message)
    found["primaryType"] = "Permit"
    found["types"]["Permit"] = found["types"].pop("P")
    assert verb in parse_typed_data(found).understood()["words"][1]
