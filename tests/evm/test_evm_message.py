"""Personal messages."""

import json

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from evm import cross_check
from evm.errors import EvmError
from evm.message import parse_message

from .samples import ACCOUNT, json_values, sign


@given(st.text(max_size=200))
def test_text_hashes_as_eth_account_hashes_it(text: str) -> None:
    message = parse_message({"text": text})
    cross_check.check_message(message)
    assert message.data == text.encode()
    json.dumps(message.understood())


@given(st.binary(max_size=200))
def test_bytes_hash_as_eth_account_hashes_them(data: bytes) -> None:
    message = parse_message({"bytes": "0x" + data.hex()})
    cross_check.check_message(message)
    assert message.understood()["hex"] == "0x" + data.hex()


def test_signature_recovers_with_eth_account() -> None:
    from eth_account.messages import encode_defunct

    message = parse_message({"text": "Hello"})
    assert (
        Account.recover_message(encode_defunct(text="Hello"), signature=bytes(sign(message.digest))) == ACCOUNT.address
    )


def test_text_that_looks_like_hex_stays_text() -> None:
    """The ambiguity of `personal_sign`: the same characters must not silently mean other bytes."""
    assert parse_message({"text": "0x1234"}).digest != parse_message({"bytes": "0x1234"}).digest


def test_text_and_bytes_of_the_same_message_hash_alike() -> None:
    assert parse_message({"text": "Hi"}).digest == parse_message({"bytes": "0x4869"}).digest


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({}, "message-fields"),
        ({"text": "a", "bytes": "0x61"}, "message-fields"),
        ({"text": "a", "more": 1}, "message-fields"),
        ("a", "message-fields"),
        ({"text": None}, "message-text"),
        ({"text": "\ud800"}, "message-text"),
        ({"text": b"a"}, "message-text"),
        ({"bytes": "61"}, "message-bytes"),
        ({"bytes": "0x6"}, "message-bytes"),
    ],
)
def test_malformed_message_is_refused(value: object, code: str) -> None:
    with pytest.raises(EvmError, match=code):
        parse_message(value)


@given(json_values)
def test_any_json_gives_one_error(value: object) -> None:
    with pytest.raises(EvmError, match="message-"):
        parse_message(value)


def test_words_show_hidden_characters() -> None:
    said = parse_message({"text": "safe\u202eefas"}).understood()
    assert said["words"] == ['Sign the text "safe\\u{202e}efas"']
    assert said["text"] == "safe\u202eefas"
    assert parse_message({"bytes": "0x00"}).understood()["words"] == ["Sign 1 bytes as a personal message"]


def test_cross_check_refuses_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    from eth_account.messages import encode_defunct

    monkeypatch.setattr(cross_check, "encode_defunct", lambda data: encode_defunct(data + b"\0"))
    with pytest.raises(EvmError, match="encoders-disagree"):
        cross_check.check_message(parse_message({"text": "a"}))
