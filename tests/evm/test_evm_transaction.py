"""Transactions: what is taken, what is refused, and that the digest is the one that eth-account signs."""

import dataclasses
import json
from typing import Any

import coincurve
import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from evm import cross_check, rlp
from evm.address import Address, checksum, parse_address
from evm.errors import EvmError
from evm.signature import CURVE_ORDER
from evm.transaction import AccessEntry, Transaction, TransactionType, parse_transaction, transaction_hash
from protocol import canonical_json

from .samples import ACCOUNT, TYPES, authorization, damaged, json_values, sign, transaction, transactions


def refused(value: object) -> str:
    with pytest.raises(EvmError) as caught:
        parse_transaction(value)
    return caught.value.code


def for_eth_account(found: dict[str, Any]) -> dict[str, Any]:
    """The same JSON in the two points where eth-account's reading differs: no type for legacy, no null."""
    changed = {name: value for name, value in found.items() if found["type"] != "0x0" or name != "type"}
    return changed | {"to": found["to"] or ""}


# --- differential ---


@settings(max_examples=150)
@given(transactions())
def test_digest_and_raw_bytes_equal_eth_account_and_recover(found: dict[str, Any]) -> None:
    tx = parse_transaction(found)
    cross_check.check_transaction(tx)
    theirs = ACCOUNT.sign_transaction(for_eth_account({**found, "to": found["to"] and checksum(tx.to or Address(b""))}))
    parity = (theirs.v - 35) % 2 if tx.type is TransactionType.LEGACY else theirs.v
    raw = tx.signed(theirs.r, theirs.s, parity)
    assert raw == bytes(theirs.raw_transaction)
    assert transaction_hash(raw) == bytes(theirs.hash)
    by = sign(tx.digest)
    assert Account.recover_transaction(tx.signed(by.r, by.s, by.y_parity)) == ACCOUNT.address


@given(transactions())
def test_serialized_form_is_read_to_the_same_transaction(found: dict[str, Any]) -> None:
    tx = parse_transaction(found)
    assert parse_transaction("0x" + tx.unsigned.hex()) == tx


@given(transactions())
def test_canonical_json_of_a_request_is_read_to_the_same_transaction(found: dict[str, Any]) -> None:
    assert parse_transaction(canonical_json.parse(json.dumps(found).encode())) == parse_transaction(found)


def test_cross_check_refuses_a_digest_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    tx = parse_transaction(transaction(2))
    monkeypatch.setattr(cross_check, "_as_dict", lambda tx: {**_original(tx), "nonce": tx.nonce + 1})
    with pytest.raises(EvmError, match="encoders-disagree"):
        cross_check.check_transaction(tx)
    monkeypatch.setattr(cross_check, "_as_dict", lambda tx: {})
    with pytest.raises(EvmError, match="encoders-disagree"):
        cross_check.check_transaction(tx)


_original = cross_check._as_dict


def test_eip155_example_hashes_as_published() -> None:
    """The worked example of EIP-155."""
    tx = parse_transaction(
        {
            "type": 0,
            "chainId": 1,
            "nonce": 9,
            "gasPrice": 20 * 10**9,
            "gas": 21000,
            "to": "0x3535353535353535353535353535353535353535",
            "value": hex(10**18),
            "data": "0x",
        }
    )
    assert tx.digest.hex() == "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
    by = sign(tx.digest, coincurve.PrivateKey(b"\x46" * 32))
    raw = tx.signed(by.r, by.s, by.y_parity)
    assert raw.hex() == (
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a0"
        "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a0"
        "67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    )


# --- one changed field, another digest ---


def _mutations(tx: Transaction) -> dict[str, Any]:
    entry = AccessEntry(Address(b"\x01" * 20), ())
    other = "0x" + "ee" * 20
    found: dict[str, Any] = {
        "chain_id": 2,
        "nonce": tx.nonce + 1,
        "max_fee_per_gas": tx.max_fee_per_gas + 1,
        "gas": tx.gas + 1,
        "to": Address(b"\x02" * 20),
        "value": tx.value + 1,
        "data": tx.data + b"\0",
    }
    if tx.type:
        found["access_list"] = (*tx.access_list, entry)
    if tx.type >= 2:
        found["max_priority_fee_per_gas"] = tx.max_priority_fee_per_gas + 1
    if tx.type == 4:
        changed = parse_transaction(transaction(4, authorizationList=[authorization(1, 0, other)]))
        found["authorizations"] = changed.authorizations
    return found


@pytest.mark.parametrize("type_", TYPES)
def test_every_single_field_changes_the_digest(type_: int) -> None:
    tx = parse_transaction(transaction(type_))
    mutations = _mutations(tx)
    digests = {tx.digest}
    for name, value in mutations.items():
        changes = {name: value}
        if name == "max_fee_per_gas" and tx.type.has_gas_price:
            changes["max_priority_fee_per_gas"] = value
        if name == "chain_id" and tx.authorizations:
            other = parse_transaction(transaction(4, chainId="0x2", authorizationList=[authorization(2)]))
            changes["authorizations"] = other.authorizations
        digests.add(dataclasses.replace(tx, **changes).digest)
    assert len(digests) == len(mutations) + 1
    left = {field.name for field in dataclasses.fields(tx)} - mutations.keys() - {"type", "sender"}
    assert left <= {"access_list", "authorizations", "max_priority_fee_per_gas"}


@settings(max_examples=150)
@given(st.data())
def test_two_inputs_that_read_differently_never_share_a_digest(source: st.DataObject) -> None:
    found = source.draw(transactions())
    tx = parse_transaction(found)
    try:
        other = parse_transaction(source.draw(damaged(found)))
    except EvmError:
        return
    same = dataclasses.replace(tx, sender=None) == dataclasses.replace(other, sender=None)
    assert same == (tx.digest == other.digest)


def test_same_fields_under_another_type_give_another_digest() -> None:
    dynamic = parse_transaction(transaction(2))
    legacy_like = {"gasPrice": hex(dynamic.max_fee_per_gas), "maxFeePerGas": ..., "maxPriorityFeePerGas": ...}
    assert parse_transaction(transaction(1, **legacy_like)).digest != dynamic.digest


# --- refusals: JSON ---


@pytest.mark.parametrize("type_", TYPES)
def test_missing_member_is_refused_and_only_three_have_a_default(type_: int) -> None:
    whole = transaction(type_)
    for name in whole:
        found = {key: value for key, value in whole.items() if key != name}
        if name in ("value", "data", "accessList"):
            assert parse_transaction(found).digest != parse_transaction(whole).digest
        else:
            assert refused(found) in ("tx-fields", "tx-type")


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize(
    "name",
    ["gasLimit", "input", "v", "r", "s", "hash", "blobVersionedHashes", "maxFeePerBlobGas", "chainid", "", "Type"],
)
def test_unknown_member_is_refused(type_: int, name: str) -> None:
    assert refused({**transaction(type_), name: "0x1"}) == "tx-fields"


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (0, "accessList"),
        (0, "maxFeePerGas"),
        (1, "maxFeePerGas"),
        (2, "gasPrice"),
        (2, "authorizationList"),
        (4, "gasPrice"),
        (1, "authorizationList"),
    ],
)
def test_member_of_another_type_is_refused(type_: int, name: str) -> None:
    value: object = [] if name.endswith("List") else "0x1"
    assert refused({**transaction(type_), name: value}) == "tx-fields"


@pytest.mark.parametrize("type_", [3, 5, "0x3", "0x7f", "0x02", "2", None, True, 2.0, -1])
def test_blob_and_unknown_types_are_refused(type_: object) -> None:
    assert refused({**transaction(2), "type": type_}) == "tx-type"


@pytest.mark.parametrize(
    ("name", "code", "most"),
    [
        ("chainId", "tx-chain-id", 2**63 - 37),
        ("nonce", "tx-nonce", 2**64 - 2),
        ("gas", "tx-gas", 2**64 - 1),
        ("value", "tx-value", 2**256 - 1),
        ("maxFeePerGas", "tx-max-fee-per-gas", 2**256 - 1),
    ],
)
def test_integer_range_is_full_and_inclusive(name: str, code: str, most: int) -> None:
    assert parse_transaction(transaction(2, **{name: hex(most)}))
    assert refused(transaction(2, **{name: hex(most + 1)})) == code
    assert refused(transaction(2, **{name: "0x00"})) == code
    assert refused(transaction(2, **{name: "1"})) == code
    assert refused(transaction(2, **{name: float(1)})) == code


@pytest.mark.parametrize("type_", TYPES)
def test_chain_id_zero_is_refused(type_: int) -> None:
    """Without EIP-155 a legacy transaction could be replayed on every chain."""
    assert refused(transaction(type_, chainId="0x0")) == "tx-chain-id"


def test_priority_fee_above_the_whole_fee_is_refused() -> None:
    fees = {"maxFeePerGas": "0x5", "maxPriorityFeePerGas": "0x5"}
    assert parse_transaction(transaction(2, **fees))
    assert refused(transaction(2, **fees | {"maxPriorityFeePerGas": "0x6"})) == "tx-max-priority-fee-per-gas"


def test_contract_creation_is_explicit_and_has_code() -> None:
    created = parse_transaction(transaction(2, to=None))
    assert created.to is None
    assert refused(transaction(2, to=...)) == "tx-fields"
    assert refused(transaction(2, to="")) == "tx-to"
    assert refused(transaction(2, to="0x")) == "tx-to"
    assert refused(transaction(2, to=None, data="0x")) == "tx-creation-empty"
    assert refused(transaction(4, to=None)) == "tx-to"


def test_recipient_with_a_broken_checksum_is_refused() -> None:
    good = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
    assert parse_transaction(transaction(2, to=good))
    assert refused(transaction(2, to=good.replace("CD2a", "CD2A"))) == "address-checksum"


def test_sender_is_read_but_not_signed() -> None:
    plain, named = parse_transaction(transaction(2)), parse_transaction(transaction(2, **{"from": ACCOUNT.address}))
    assert checksum(named.sender or Address(b"")) == ACCOUNT.address
    assert plain.digest == named.digest
    for tx in (plain, named):
        tx.validate_sender(parse_address(ACCOUNT.address))
    plain.validate_sender(Address(bytes(20)))
    with pytest.raises(EvmError, match="tx-from"):
        named.validate_sender(Address(bytes(20)))
    assert refused(transaction(2, **{"from": "0x00"})) == "tx-from"


@pytest.mark.parametrize(
    "entry",
    [
        {"address": "0x" + "33" * 20},
        {"address": "0x" + "33" * 19, "storageKeys": []},
        {"address": "0x" + "33" * 20, "storageKeys": ["0x01"]},
        {"address": "0x" + "33" * 20, "storageKeys": ["0x" + "00" * 33]},
        {"address": "0x" + "33" * 20, "storageKeys": {}},
        {"address": "0x" + "33" * 20, "storageKeys": [], "more": 1},
        ["0x" + "33" * 20, []],
    ],
)
def test_malformed_access_list_entry_is_refused(entry: object) -> None:
    assert refused(transaction(1, accessList=[entry])) == "tx-access-list"


def test_set_code_transaction_without_authorization_is_refused() -> None:
    assert refused(transaction(4, authorizationList=[])) == "tx-authorization-list"


@pytest.mark.parametrize("chain_id", [2, 0])
def test_authorization_for_another_or_every_chain_is_refused(chain_id: int) -> None:
    entry = authorization(1) | {"chainId": hex(chain_id)}
    assert refused(transaction(4, authorizationList=[entry])) == "authorization-chain-id"


@pytest.mark.parametrize("value", ["0x", "0x00", "0x80", "0xc0", "0x02", "0x02c0", "0x05c0", "02c0", "0x7f", "zz", ""])
def test_serialized_scraps_are_refused(value: str) -> None:
    assert refused(value).startswith(("tx-", "rlp-"))


# --- refusals: serialized ---


def _payload(type_: int) -> list[Any]:
    data = parse_transaction(transaction(type_)).unsigned
    item = rlp.decode(data[1 if type_ else 0 :], max_depth=4)
    assert isinstance(item, list)
    return item


def _serialized(type_: int, payload: list[Any]) -> str:
    return "0x" + (bytes([type_] if type_ else []) + rlp.encode(payload)).hex()


@pytest.mark.parametrize("type_", TYPES)
def test_integer_with_leading_zero_is_refused(type_: int) -> None:
    for index, item in enumerate(_payload(type_)):
        if isinstance(item, bytes) and item and len(item) < 20 and item != b"\xc0\xff\xee":
            payload = _payload(type_)
            payload[index] = b"\0" + item
            assert refused(_serialized(type_, payload)) == "tx-not-canonical"


@pytest.mark.parametrize("type_", TYPES)
def test_field_too_few_or_too_many_is_refused(type_: int) -> None:
    payload = _payload(type_)
    assert parse_transaction(_serialized(type_, payload))
    assert refused(_serialized(type_, payload[:-1])).startswith("tx-")
    assert refused(_serialized(type_, [*payload, b""])).startswith("tx-")


@pytest.mark.parametrize("type_", TYPES)
def test_trailing_byte_is_refused(type_: int) -> None:
    assert refused(_serialized(type_, _payload(type_)) + "00") == "rlp-not-canonical"


def test_legacy_without_eip155_members_is_refused() -> None:
    """Six fields are the form that holds on every chain."""
    payload = _payload(0)
    assert refused(_serialized(0, payload[:6])) == "tx-serialized"
    assert refused(_serialized(0, [*payload[:7], b"\x01", b""])) == "tx-serialized"


@pytest.mark.parametrize("type_", TYPES)
def test_signed_transaction_is_not_taken_for_an_unsigned_one(type_: int) -> None:
    tx = parse_transaction(transaction(type_))
    by = sign(tx.digest)
    assert refused("0x" + tx.signed(by.r, by.s, by.y_parity).hex()) == "tx-serialized"


def test_list_in_place_of_bytes_and_the_reverse_are_refused() -> None:
    for index, item in enumerate(_payload(4)):
        payload = _payload(4)
        payload[index] = [] if isinstance(item, bytes) else b"\x01"
        assert refused(_serialized(4, payload)).startswith("tx-")


@pytest.mark.parametrize(
    "entry", [[], [b"\x33" * 20], [b"\x33" * 19, []], [b"\x33" * 20, [b"\x01"]], [b"\x33" * 20, [[]]], b"\x01"]
)
def test_malformed_serialized_access_list_is_refused(entry: Any) -> None:
    payload = _payload(1)
    payload[-1] = [entry]
    assert refused(_serialized(1, payload)) in ("tx-access-list", "rlp-too-deep")


# --- garbage ---


@settings(max_examples=150)
@given(json_values)
def test_any_json_gives_a_transaction_or_one_error(value: object) -> None:
    assert refused(value)


@settings(max_examples=200)
@given(st.data())
def test_damaged_transaction_gives_a_transaction_or_one_error(source: st.DataObject) -> None:
    found = source.draw(damaged(source.draw(transactions())))
    try:
        tx = parse_transaction(found)
    except EvmError:
        return
    json.dumps(tx.understood(), allow_nan=False)


@settings(max_examples=200)
@given(st.data())
def test_damaged_bytes_give_a_canonical_transaction_or_one_error(source: st.DataObject) -> None:
    data = bytearray(parse_transaction(source.draw(transactions())).unsigned)
    for _ in range(source.draw(st.integers(1, 3))):
        at = source.draw(st.integers(0, len(data) - 1))
        data[at] = source.draw(st.integers(0, 255))
    try:
        tx = parse_transaction("0x" + data.hex())
    except EvmError:
        return
    assert tx.unsigned == data
    cross_check.check_transaction(tx)


# --- signing ---


@pytest.mark.parametrize("type_", TYPES)
def test_signature_with_high_s_is_never_encoded(type_: int) -> None:
    tx = parse_transaction(transaction(type_))
    by = sign(tx.digest)
    with pytest.raises(EvmError, match="signature-high-s"):
        tx.signed(by.r, CURVE_ORDER - by.s, 1 - by.y_parity)
    with pytest.raises(EvmError, match="signature-range"):
        tx.signed(by.r, by.s, 2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": Address(b"\x01" * 19)}, "tx-to"),
        ({"chain_id": 0}, "tx-chain-id"),
        ({"nonce": -1}, "tx-nonce"),
        ({"value": -1}, "tx-value"),
        ({"type": TransactionType.LEGACY}, "tx-gas-price"),
        ({"type": TransactionType.SET_CODE}, "tx-authorization-list"),
        ({"access_list": (AccessEntry(Address(b"\x01"), ()),)}, "tx-access-list"),
        ({"access_list": (AccessEntry(Address(b"\x01" * 20), (b"\x01",)),)}, "tx-access-list"),
    ],
)
def test_transaction_cannot_be_made_out_of_range(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(EvmError, match=code):
        dataclasses.replace(parse_transaction(transaction(2)), **changes)


def test_legacy_with_an_access_list_cannot_be_made() -> None:
    entry = AccessEntry(Address(b"\x01" * 20), ())
    with pytest.raises(EvmError, match="tx-access-list"):
        dataclasses.replace(parse_transaction(transaction(0)), access_list=(entry,))


# --- words ---


def test_what_was_understood_says_everything_that_is_signed() -> None:
    found = transaction(4, **{"from": ACCOUNT.address})
    said = parse_transaction(found).understood()
    assert said["kind"] == "transaction"
    assert (said["type"], said["chainId"], said["nonce"], said["gas"]) == (4, "1", "7", "21000")
    assert said["to"] == "0x" + "22" * 20
    assert said["value"] == str(10**18)
    assert said["maxFee"] == str(21000 * 10**10)
    assert said["from"] == ACCOUNT.address
    assert said["call"]["name"] == "unknown-call"
    assert said["accessList"] == [{"address": "0x" + "33" * 20, "storageKeys": ["0x" + "00" * 31 + "01"]}]
    (entry,) = said["authorizations"]
    assert entry["address"] == checksum(Address(b"\xdd" * 20))
    assert entry["authority"] == Account.from_key(b"\x02" * 32).address
    assert "hands full control" in said["words"][1]
    assert said["words"][-1] == "Fee at most 0.00021 coins (210000000000000 wei)"
    assert not said["creation"]


def test_creation_is_called_by_its_name_and_place() -> None:
    said = parse_transaction(transaction(2, to=None, **{"from": ACCOUNT.address})).understood()
    assert said["creation"]
    assert said["to"] is None
    assert said["words"][0].startswith("Create a contract from 3 bytes of code, sending 1 coins")
    assert said["contract"].startswith("0x")
