"""One-time codes: the wire's formulas, unbiased draws, addresses of one form (OT-01, OT-09, OT-10)."""

import os
import random
import re
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.errors import Refusal
from enclave.login import otp
from protocol import limits
from protocol.errors import ANSWER_INCORRECT, INVALID_REQUEST

CLIENT_SALT = "0x000102030405060708090a0b"
SERVER_SALT = "0x0c0d0e0f1011121314151617"
ANSWER = "0x99c2dd18d6187fc91b6aca0c503aedaeab24b3ab7eae042f2e9a413c532555c5"
STORED = "0x51afdd6e992b85ae70007d675d283d34ede8357c127e548ea04015d4f556caec"


def draws(*values: int) -> Callable[[int], bytes]:
    source = iter(values)
    return lambda size: next(source).to_bytes(size, "big")


def test_answers_equal_the_golden_vectors_of_published_clients() -> None:
    assert otp.client_answer(CLIENT_SALT, "123456") == ANSWER
    assert otp.stored_answer(SERVER_SALT, ANSWER) == STORED
    client_test = "0xab1b443dd7ae1f1dd51f81f8d346565c1a63e7d090a1c220e44ed578183b08f5"
    assert otp.client_answer("codeChallenge", "123456") == client_test


def test_right_answer_verifies() -> None:
    otp.verify_answer((STORED,), SERVER_SALT, ANSWER)


@pytest.mark.parametrize(
    "answer", ["", "123456", ANSWER.upper(), ANSWER[:-1], ANSWER + "0", STORED, "\ud800", "x" * 8192]
)
def test_wrong_answer_is_refused(answer: str) -> None:
    with pytest.raises(Refusal) as caught:
        otp.verify_answer((STORED,), SERVER_SALT, answer)
    assert caught.value.error is ANSWER_INCORRECT


@pytest.mark.parametrize("typed", ["K7QD3-MXRTA", "K7QD3MXRTA", "k7qd3-mxrta", "k7qd3mxrta"])
def test_long_code_is_taken_in_each_of_its_spellings(typed: str) -> None:
    stored = otp.stored_answers(SERVER_SALT, CLIENT_SALT, "K7QD3-MXRTA")
    otp.verify_answer(stored, SERVER_SALT, otp.client_answer(CLIENT_SALT, typed))
    for other in (typed + "A", typed[1:], typed.replace("7", "8"), "K7QD3 MXRTA"):
        with pytest.raises(Refusal):
            otp.verify_answer(stored, SERVER_SALT, otp.client_answer(CLIENT_SALT, other))


def test_code_of_digits_has_one_spelling() -> None:
    assert otp.spellings("012345") == ("012345",)


def test_long_code_has_fifty_unbiased_bits() -> None:
    """OT-01: ten letters out of 32, each from five bits of a byte of its own."""
    for position in range(10):
        letters = [
            otp.generate_long_code(lambda size, b=byte, at=position: bytes(b * (i == at) for i in range(size)))
            for byte in range(256)
        ]
        counts = Counter(code.replace("-", "")[position] for code in letters)
        assert len(counts) == 32
        assert set(counts.values()) == {8}
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}", otp.generate_long_code(os.urandom))


def test_salt_is_the_text_of_12_random_bytes() -> None:
    assert otp.generate_salt(lambda size: bytes(range(size))) == CLIENT_SALT


@pytest.mark.parametrize("digits", range(6, 13))
def test_code_has_all_its_digits_and_draws_that_would_bias_it_are_thrown_away(digits: int) -> None:
    space = 10**digits
    first_biased = 2**64 // space * space
    assert otp.generate_code(digits, draws(0)) == "0" * digits
    assert otp.generate_code(digits, draws(first_biased - 1)) == "9" * digits
    assert otp.generate_code(digits, draws(first_biased, 2**64 - 1, 7)) == f"{7:0{digits}d}"


def test_code_digits_are_spread_evenly(seed: int) -> None:
    source = random.Random(seed)
    count = 20_000
    codes = [otp.generate_code(6, source.randbytes) for _ in range(count)]
    for place in range(6):
        seen = Counter(code[place] for code in codes)
        squares = sum((seen[digit] - count / 10) ** 2 / (count / 10) for digit in "0123456789")
        assert squares < 45, "chi-square, 9 degrees of freedom: one in a million"


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("user@example.com", "user@example.com"),
        ("  User+1@Example.COM ", "user+1@example.com"),
        ("a.b_c%d-e@sub-1.example.co", "a.b_c%d-e@sub-1.example.co"),
        ("x@xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ("x@example.xn--p1ai", "x@example.xn--p1ai"),
    ],
)
def test_address_has_one_form(typed: str, normal: str) -> None:
    assert otp.normalize_email(typed) == normal


INJECTIONS = [
    f"user@example.com{tail}" for tail in ("\n", "\r\n", "\r\nBcc: x@y.zz", "\x00", "\t", "\u2028", ", x@y.zz")
]


@pytest.mark.parametrize(
    "typed",
    [
        *INJECTIONS,
        "\nuser@example.com",
        "user\r\n@example.com",
        "",
        "user",
        "@example.com",
        "user@",
        "user@example",
        "user@example.c",
        "user@.example.com",
        "user@-example.com",
        "user@example-.com",
        "user@exa..mple.com",
        "us er@example.com",
        '"user"@example.com',
        "<user@example.com>",
        "user@example.com>",
        "user@[127.0.0.1]",
        "a@b@example.com",
        "üser@example.com",
        "user@exämple.com",
        "user@example.\u212aom",  # the Kelvin sign, which lower() turns into an ASCII k
        "\ud800@example.com",
        "x" * 65 + "@example.com",
        "user@" + "x" * 64 + ".com",
    ],
)
def test_other_address_is_refused(typed: str) -> None:
    with pytest.raises(Refusal) as caught:
        otp.normalize_email(typed)
    assert caught.value.error is INVALID_REQUEST
    assert caught.value.cause == "invalid recipient: invalid email address: incorrect email format"


def test_address_at_the_cap_passes_and_one_byte_more_is_refused() -> None:
    domain = ".".join(["x" * 63, "x" * 63, "x" * 57, "com"])
    local = "u" * (limits.MAX_EMAIL_BYTES - len(domain) - 1)
    assert otp.normalize_email(f"{local}@{domain}")
    with pytest.raises(Refusal):
        otp.normalize_email(f"{local}@y{domain[1:-4]}y.com")


@settings(max_examples=200)
@given(st.text(max_size=80) | st.emails())
def test_any_text_gives_a_clean_address_or_one_refusal(typed: str) -> None:
    try:
        address = otp.normalize_email(typed)
    except Refusal:
        return
    assert re.fullmatch(r"[!-~]+", address)
    assert otp.normalize_email(address) == address == address.lower()
