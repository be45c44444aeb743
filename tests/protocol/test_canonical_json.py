"""Strict JSON and its canonical form: the numbers, ordering and refusals of RFC 8785 and RFC 7493."""

import json
import struct
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.canonical_json import MAX_SAFE_INTEGER, DuplicateKey, canonicalize, parse
from protocol.errors import ProtocolError

# RFC 8785, appendix B: the bits of a double, and how ECMAScript writes it.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


def refusal(text: str | bytes, **options: int) -> str:
    with pytest.raises(ProtocolError) as caught:
        parse(text.encode() if isinstance(text, str) else text, **options)
    return caught.value.code


def canonical(text: str) -> str:
    return canonicalize(parse(text.encode())).decode()


def ecmascript_number(value: float) -> str:
    """Number::toString of ECMA-262, written from its steps, as a second opinion."""
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text, k = "".join(map(str, digits)), len(digits)
    n = k + exponent
    if k <= n <= 21:
        body = text + "0" * (n - k)
    elif 0 < n <= 21:
        body = f"{text[:n]}.{text[n:]}"
    elif -6 < n <= 0:
        body = f"0.{'0' * -n}{text}"
    else:
        mantissa = text if k == 1 else f"{text[0]}.{text[1:]}"
        body = f"{mantissa}e{n - 1:+d}"
    return "-" * sign + body


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_of_the_standard(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonicalize(value) == text.encode()
    assert ecmascript_number(value) == text
    assert canonical(text) == text


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_numbers_without_a_form_are_refused(bits: str) -> None:
    with pytest.raises(ProtocolError, match="json-not-canonicalizable"):
        canonicalize(struct.unpack(">d", bytes.fromhex(bits))[0])


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=200)
@example(123456789012345680000.0)
@example(1e16)
@example(1.5e16)
@example(1e-6)
@example(1.5e-7)
def test_every_double_is_written_as_ecmascript_writes_it(value: float) -> None:
    assert canonicalize(value).decode() == ecmascript_number(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[333333333.33333329,1E30,4.50,2e-3]", "[333333333.3333333,1e+30,4.5,0.002]"),
        ("0.000000000000000000000000001", "1e-27"),
        (r'"\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/"', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        (r'"\b\f\n\r\t\u0000\u001f\u007f"', '"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"'),
        (' \t\r\n{ "b" : [ ] , "a" : { } } ', '{"a":{},"b":[]}'),
        ("[null,true,false]", "[null,true,false]"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1e2", "100"),
        ("1e-999", "0"),
        (str(MAX_SAFE_INTEGER), "9007199254740991"),
        (str(MAX_SAFE_INTEGER + 2), "9007199254740992"),
        ("12345678901234567890", "12345678901234567000"),
        ("-99999999999999999999999", "-1e+23"),
        ('"\\ud83d\\ude00"', '"😀"'),
    ],
)  # fmt: skip
def test_canonical_forms(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected


def test_members_are_sorted_by_utf16_units() -> None:
    shuffled = '{"\u20ac":0,"\\r":1,"\ufb33":2,"1":3,"\U0001f600":4,"\x80":5,"\u00f6":6}'
    assert [*parse(canonicalize(parse(shuffled.encode())))] == [
        "\r",
        "1",
        "\x80",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


SIMPLE: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.text(st.characters(max_codepoint=0x7F)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(max_codepoint=0x7F)), inner),
    max_leaves=20,
)


@given(SIMPLE)
@example({chr(code): chr(code) for code in range(0x80)})
def test_the_quick_way_writes_what_the_standard_asks_for(value: Any) -> None:
    assert canonicalize(value) == rfc8785.dumps(value)


@given(json_values)
def test_canonical_form_is_a_fixed_point_whatever_the_spelling(value: Any) -> None:
    once = canonicalize(value)
    assert canonicalize(parse(once)) == once
    assert canonicalize(parse(json.dumps(value, indent=1).encode())) == once


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.text('[]{}",:0123456789eE+-.\\u dnulftrsa').map(str.encode)
)
@settings(max_examples=200)
@example(b'"\\ud800"')
@example(b"1e400")
def test_whatever_parses_has_a_canonical_form(data: bytes) -> None:
    try:
        value = parse(data)
    except ProtocolError:
        return
    assert canonicalize(parse(canonicalize(value))) == canonicalize(value)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"b":{"a":1,"c":2,"a":3}}]', '{"":0,"":0}', '{"a":{"x":1},"a":{"y":1}}'],
)
def test_duplicate_members_are_refused_anywhere(text: str) -> None:
    with pytest.raises(DuplicateKey, match="json-duplicate-key"):
        parse(text.encode())


def test_members_that_only_look_alike_are_two() -> None:
    assert len(parse('{"é":1,"e\u0301":2,"É":3,"a":4,"A":5}'.encode())) == 5


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[NaN]", "1e400", "-1e309", '{"a":1e999}', "9" * 310])
def test_numbers_beyond_doubles_are_refused(text: str) -> None:
    assert refusal(text) == "json-number"


@given(st.integers() | st.integers(-(2**70), 2**70))
@example(MAX_SAFE_INTEGER)
@example(MAX_SAFE_INTEGER + 1)
@example(-MAX_SAFE_INTEGER - 2)
def test_integers_are_exact_within_the_safe_range_and_doubles_beyond(number: int) -> None:
    safe = abs(number) <= MAX_SAFE_INTEGER
    value = parse(str(number).encode())
    assert value == (number if safe else float(number))
    assert type(value) is (int if safe else float)


def test_endless_digits_cost_nothing_special() -> None:
    assert refusal("9" * (limits.MAX_BODY_BYTES - 1)) == "json-number"
    assert parse(b"0." + b"3" * 60_000) == 1 / 3


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud800"', r'"\udc00"', r'"\udc00\ud800"', r'"\uD800x"', r'{"\ud800":1}', r'[[{"a":["\udfff"]}]]',
        r'"\ud83d\ude00\ud83d"',
    ],
)  # fmt: skip
def test_lone_surrogates_are_refused(text: str) -> None:
    assert refusal(text) == "json-surrogate"


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"}", b"[1,]", b'{"a":1,}', b"{'a':1}", b"{a:1}", b'{"a" 1}', b'{"a":}', b"[1 2]", b"1 2",
        b"[] []", b"01", b"1.", b".5", b"+1", b"-", b"1e", b"1e+", b"0x10", b"1_0", "\uff11".encode(), b"-Inf", b"nan",
        b"nul", b"True", b"undefined", b'"a', b'"\n"', b'"\x00"', b'"\\x41"', b'"\\u12"', b"// c\n1", b"/**/1",
        b"\xef\xbb\xbf1", b"1\x00", b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', "1".encode("utf-16"),
        b"\x0b1", b"\xc2\xa01",
    ],
)  # fmt: skip
def test_everything_but_json_is_refused(data: bytes) -> None:
    assert refusal(data) == "json-malformed"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_at_the_cap_passes_and_one_more_is_refused(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return opening * depth + "1" + closing * depth

    parse(nested(limits.MAX_JSON_DEPTH).encode())
    assert refusal(nested(limits.MAX_JSON_DEPTH + 1)) == "json-too-deep"
    assert refusal(nested(8), max_depth=7) == "json-too-deep"
    parse(nested(8).encode(), max_depth=8)


@pytest.mark.parametrize("text", ["[" * 60_000, '{"":' * 16_000, "[" * 30_000 + "]" * 30_000, '[{"":' * 13_000])
def test_bottomless_nesting_is_refused_without_a_crash(text: str) -> None:
    assert refusal(text) == "json-too-deep"


def test_bottomless_nesting_is_harmless_whatever_limit_a_library_sets() -> None:
    """The interpreter's recursion limit is no protection: py_ecc, which comes with eth-account, makes it 100,000."""
    code = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from protocol import canonical_json, errors\n"
        "for data in (b'[' * 65_536, b'[{\"\":' * 13_000):\n"
        "    try: canonical_json.parse(data)\n"
        "    except errors.ProtocolError as error: print(error.code)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["json-too-deep"] * 2), "minus a number is a crash"


@pytest.mark.parametrize(
    "text", ["[" * 100 + "{" * 100, "\\\\[" * 40, '\\"[{' * 40, "]" * 100 + "[" * 100, "\\n" * 100 + "[" * 17]
)
def test_brackets_in_text_are_text(text: str) -> None:
    assert parse(f'["{text}", {{"{text}": 1}}]'.encode()) == [json.loads(f'"{text}"'), {json.loads(f'"{text}"'): 1}]


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 32_000 + "[" * 20, '"' * 60_000 + "[" * 20, "[]" * 32_000, "[[]," * 16_000]
)
def test_depth_is_found_in_linear_time(text: str) -> None:
    started = time.process_time()
    refusal(text)
    assert time.process_time() - started < 0.5


def test_depth_looks_at_the_deepest_branch() -> None:
    wide = [[]] * 1000 + [json.loads("[" * 20 + "1" + "]" * 20)]
    assert refusal(json.dumps(wide)) == "json-too-deep"


def test_size_at_the_cap_passes_and_one_byte_more_is_refused() -> None:
    text = '"' + "a" * (limits.MAX_BODY_BYTES - 2) + '"'
    assert len(parse(text.encode())) == limits.MAX_BODY_BYTES - 2
    assert refusal(text + " ") == "json-too-large"
    assert refusal("1234", max_bytes=3) == "json-too-large"


@pytest.mark.parametrize("value", [{1: 2}, object(), {1, 2}, b"x", "\ud800", {"\ud800": 1}, MAX_SAFE_INTEGER + 1])
def test_values_that_no_json_text_has_are_refused(value: Any) -> None:
    with pytest.raises(ProtocolError, match="json-not-canonicalizable"):
        canonicalize(value)
