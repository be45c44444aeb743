"""EIP-7702 authorizations."""

import contextlib

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from evm import rlp
from evm.address import Address, checksum
from evm.authorization import authorization_from_json, authorization_from_rlp, parse_authorization, verify_authorization
from evm.errors import EvmError
from evm.signature import CURVE_ORDER

from .samples import ACCOUNT, addresses, authorization, chain_ids, damaged, json_values, sign, uint64s


@given(chain_ids, addresses, uint64s)
def test_digest_equals_eth_account(chain_id: int, delegate: str, nonce: int) -> None:
    theirs = ACCOUNT.sign_authorization({"chainId": chain_id, "address": delegate, "nonce": nonce})
    ours = parse_authorization({"chainId": hex(chain_id), "address": delegate, "nonce": hex(nonce)})
    assert ours.digest == bytes(theirs.authorization_hash)
    assert checksum(verify_authorization(ours, sign(ours.digest)).authority) == ACCOUNT.address


@given(chain_ids, addresses, uint64s)
def test_both_forms_are_read_to_the_same(chain_id: int, delegate: str, nonce: int) -> None:
    signed = authorization_from_json(authorization(chain_id, nonce, delegate))
    assert authorization_from_rlp(rlp.decode(rlp.encode(signed.as_rlp()), max_depth=1)) == signed
    assert checksum(signed.authority) == Account.from_key(b"\x02" * 32).address


def test_authority_follows_every_field() -> None:
    whole = authorization(1)
    authority = authorization_from_json(whole).authority
    for name, value in {"chainId": "0x2", "address": "0x" + "de" * 20, "nonce": "0x1"}.items():
        assert authorization_from_json({**whole, name: value}).authority != authority


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("chainId", "0x0", "authorization-chain-id"),
        ("chainId", hex(2**63 - 36), "authorization-chain-id"),
        ("nonce", hex(2**64 - 1), "authorization-nonce"),
        ("address", None, "authorization-address"),
        ("yParity", "0x2", "signature-range"),
        ("yParity", "0x1b", "signature-range"),
        ("r", "0x0", "signature-range"),
        ("r", "0x05", "authorization-signature"),
        ("s", hex(CURVE_ORDER - 1), "signature-high-s"),
    ],
)
def test_field_out_of_range_is_refused(name: str, value: object, code: str) -> None:
    with pytest.raises(EvmError, match=code):
        authorization_from_json({**authorization(1), name: value})


def test_signature_that_fits_no_account_is_refused() -> None:
    with pytest.raises(EvmError, match="signature-recover"):
        authorization_from_json({**authorization(1), "r": "0x5"})


@pytest.mark.parametrize(
    "item", [b"", [], [b"\x01"] * 6, [[]] * 6, [b"\x01" * 33] * 6, [b"\x01", bytes(20), b"", b"", b"\x01"]]
)
def test_malformed_entry_is_refused(item: rlp.Item) -> None:
    with pytest.raises(EvmError, match="authorization-"):
        authorization_from_rlp(item)


@pytest.mark.parametrize("index", range(6))
def test_list_or_overlong_integer_in_an_entry_is_refused(index: int) -> None:
    whole = rlp.decode(rlp.encode(authorization_from_json(authorization(1)).as_rlp()), max_depth=1)
    assert isinstance(whole, list)
    for bad in ([], [b""], b"\x01" + bytes(32)):
        entry: list[rlp.Item] = [*whole[:index], bad, *whole[index + 1 :]]
        with pytest.raises(EvmError, match=r"authorization-|signature-"):
            authorization_from_rlp(entry)


@given(json_values)
def test_any_json_gives_one_error(value: object) -> None:
    for parse in (parse_authorization, authorization_from_json):
        with pytest.raises(EvmError):
            parse(value)


@given(damaged(authorization(1)))
def test_damaged_authorization_gives_a_value_or_one_error(value: object) -> None:
    with contextlib.suppress(EvmError):
        authorization_from_json(value)


@given(st.sampled_from([bytes(20), b"\xdd" * 20]))
def test_words_say_who_gets_control(delegate: bytes) -> None:
    said = parse_authorization({"chainId": 1, "address": "0x" + delegate.hex(), "nonce": 3}).understood()
    expected = "hands full control of itself to the code at" if any(delegate) else "ends its delegation"
    assert expected in said["words"][0]
    assert said["address"] == checksum(Address(delegate))
    assert "nonce 3" in said["words"][0]
