"""keccak, addresses, fields, words, signatures."""

import contextlib

import coincurve
import pytest
from eth_account import Account
from eth_utils import keccak as reference_keccak
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from evm import fields
from evm.address import Address, address_from_public_key, checksum, parse_address
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.signature import CURVE_ORDER, Signature, parse_recoverable, parse_signature
from evm.words import coins, printable, token_amount

from .samples import ACCOUNT, KEYS, sign

HALF = CURVE_ORDER // 2


@given(st.binary(max_size=300))
def test_keccak_equals_the_reference(data: bytes) -> None:
    assert keccak256(data) == reference_keccak(data)


@given(st.binary(min_size=20, max_size=20))
def test_checksum_equals_the_reference_and_parses_back(data: bytes) -> None:
    text = checksum(Address(data))
    assert text == to_checksum_address(data)
    assert parse_address(text) == parse_address(text.lower()) == parse_address("0x" + text[2:].upper()) == data


@pytest.mark.parametrize(
    "text",
    [
        "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD82",
        "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD8266",
        "CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD82600",
        "0XCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826",
        "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\n",
        " 0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD82",
        "0xGD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826",
        "vitalik.eth",
        b"\x00" * 20,
        0,
        None,
    ],
)
def test_address_that_is_not_twenty_bytes_of_hex_is_refused(text: object) -> None:
    with pytest.raises(EvmError) as caught:
        parse_address(text)
    assert caught.value.code == "address"


def test_address_with_one_letter_of_wrong_case_is_refused() -> None:
    with pytest.raises(EvmError, match="address-checksum"):
        parse_address("0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826")


def test_address_of_a_public_key_equals_eth_account() -> None:
    for key in KEYS:
        uncompressed = key.public_key.format(compressed=False)
        expected = Account.from_key(key.secret).address
        assert checksum(address_from_public_key(uncompressed)) == expected
        assert checksum(address_from_public_key(uncompressed[1:])) == expected


@pytest.mark.parametrize("size", [0, 20, 33, 63, 66])
def test_public_key_of_another_form_is_refused(size: int) -> None:
    with pytest.raises(EvmError, match="public-key"):
        address_from_public_key(b"\x04" * size)
    with pytest.raises(EvmError, match="public-key"):
        address_from_public_key(b"\x03" * 65)


# --- fields ---


@pytest.mark.parametrize(("text", "number"), [("0x0", 0), ("0x1", 1), ("0xFf", 255), (0, 0), (2**53 - 1, 2**53 - 1)])
def test_quantity_accepts_one_spelling_in_hex_and_integers(text: object, number: int) -> None:
    assert fields.quantity(text, "q") == number


@pytest.mark.parametrize(
    "text",
    [
        "0x",
        "0x00",
        "0x01",
        "1",
        "",
        "0X1",
        "0x1\n",
        " 0x1",
        "0x-1",
        "-0x1",
        "0xg",
        "0x1_0",
        "0x" + "f" * 65,
        "\u0660",
        -1,
        2**256,
        1.0,
        True,
        False,
        None,
        [],
        {},
        b"\x01",
    ],
)
def test_quantity_refuses_every_other_spelling(text: object) -> None:
    with pytest.raises(EvmError, match="q"):
        fields.quantity(text, "q")


def test_quantity_range_is_inclusive() -> None:
    assert fields.quantity(hex(2**64 - 1), "q", most=2**64 - 1) == 2**64 - 1
    with pytest.raises(EvmError):
        fields.quantity(hex(2**64), "q", most=2**64 - 1)


@pytest.mark.parametrize("text", ["0x1", "0x 1", "0x1 ", "0x0 1 2", "0x\n12", "12", "0xzz", "0x0102030405", None, 12])
def test_hex_bytes_refuses_odd_spaced_and_long_text(text: object) -> None:
    with pytest.raises(EvmError, match="h"):
        fields.hex_bytes(text, "h", most=4)


def test_members_refuses_missing_and_unknown() -> None:
    assert fields.members({"a": 1}, required=("a",), optional=("b",), code="m") == {"a": 1}
    for value in ({}, {"b": 1}, {"a": 1, "c": 1}, [], None, "a"):
        with pytest.raises(EvmError, match="m"):
            fields.members(value, required=("a",), optional=("b",), code="m")


def test_text_with_a_lone_surrogate_has_no_bytes() -> None:
    with pytest.raises(EvmError, match="t"):
        fields.utf8("\ud800", "t", most=10)


# --- words ---


def test_amounts_are_exact() -> None:
    assert coins(5 * 10**17) == "0.5 coins (500000000000000000 wei)"
    assert coins(1) == "0.000000000000000001 coins (1 wei)"
    assert coins(0) == "0 coins (0 wei)"
    assert token_amount(2**256 - 2) == f"{2**256 - 2} base units"
    assert "unlimited" in token_amount(2**256 - 1)


def test_text_that_would_reorder_or_break_the_line_is_shown_escaped() -> None:
    shown = printable('pay\u202e "Bob"\n\\ \u00e9\x00')
    assert shown == r'"pay\u{202e} \"Bob\"\u{a}\\ ' + "\u00e9" + r'\u{0}"'


# --- signatures ---


def test_signature_recovers_to_its_signer() -> None:
    digest = keccak256(b"x")
    signature = sign(digest)
    assert checksum(signature.recover(digest)) == ACCOUNT.address
    assert signature.recover(keccak256(b"y")) != signature.recover(digest)
    assert parse_signature(bytes(signature)) == signature
    assert signature.hex == "0x" + bytes(signature).hex()
    assert bytes(signature)[64] == 27 + signature.y_parity


def test_high_s_is_refused_at_the_boundary() -> None:
    """SE-07: the other s of the same signature verifies too; only the low one is taken."""
    assert Signature(1, HALF, 0).s == HALF
    with pytest.raises(EvmError, match="signature-high-s"):
        Signature(1, HALF + 1, 0)
    twin = sign(keccak256(b"x"))
    with pytest.raises(EvmError, match="signature-high-s"):
        parse_signature(
            twin.r.to_bytes(32, "big") + (CURVE_ORDER - twin.s).to_bytes(32, "big") + bytes([28 - twin.y_parity])
        )


@pytest.mark.parametrize(
    ("r", "s", "parity"),
    [(0, 1, 0), (1, 0, 0), (CURVE_ORDER, 1, 0), (1, CURVE_ORDER, 0), (-1, 1, 0), (1, 1, 2), (1, 1, -1), (1, 1, 27)],
)
def test_signature_out_of_range_is_refused(r: int, s: int, parity: int) -> None:
    with pytest.raises(EvmError, match="signature-range"):
        Signature(r, s, parity)


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 35, 36, 255])
def test_signature_with_another_v_is_refused(v: int) -> None:
    with pytest.raises(EvmError, match="signature-format"):
        parse_signature(b"\x01" * 64 + bytes([v]))


def test_recoverable_form_takes_ids_zero_and_one_only() -> None:
    data = b"\x01" * 64
    assert parse_recoverable(data + b"\x01").y_parity == 1
    for bad in (data + b"\x02", data + b"\x1b", data, data + b"\x00\x00"):
        with pytest.raises(EvmError, match="signature-format"):
            parse_recoverable(bad)


def test_signature_that_fits_no_key_is_one_error() -> None:
    # 5 is no x coordinate of a point on the curve.
    with pytest.raises(EvmError, match="signature-recover"):
        Signature(5, 1, 0).recover(bytes(32))


@given(st.binary(max_size=70))
def test_any_bytes_give_a_signature_or_the_error_family(data: bytes) -> None:
    for parse in (parse_signature, parse_recoverable):
        with contextlib.suppress(EvmError):
            assert isinstance(parse(data), Signature)


def test_coincurve_signs_with_low_s() -> None:
    for number in range(40):
        signature = coincurve.PrivateKey(b"\x07" * 32).sign_recoverable(number.to_bytes(32, "big"), hasher=None)
        assert parse_recoverable(signature).s <= HALF
