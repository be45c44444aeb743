"""Deterministic CBOR: exactly one encoding of each plain value is accepted (CB-01 to CB-05, CB-07, CB-09)."""

import subprocess
import sys
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol import cbor, limits
from protocol.errors import ProtocolError

integers = st.integers(-(2**64), 2**64 - 1)
scalars = st.none() | st.booleans() | integers | st.binary(max_size=40) | st.text(max_size=40)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=10), inner, max_size=5)
        | st.dictionaries(integers, inner, max_size=5)
    ),
    max_leaves=25,
)


def refusal(data: bytes, **options: int) -> str:
    with pytest.raises(ProtocolError) as caught:
        cbor.loads(data, **options)
    return caught.value.code


@given(plain)
def test_every_plain_value_survives(value: Any) -> None:
    decoded = cbor.loads(cbor.dumps(value))
    assert decoded == value
    assert cbor.dumps(decoded) == cbor.dumps(value)


@given(st.binary(max_size=120))
@settings(max_examples=200)
@example(b"\xc1\xfb\x7f\xef\xff\xff\xff\xff\xff\xff")  # a date beyond every calendar
@example(b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01")  # 1E+9223372036854775807
@example(b"\xd8\x1c\x81\xd8\x1d\x00")  # a list that holds itself
@example(b"\xd8\x23\x68(((((a+)")  # a broken regular expression
def test_random_bytes_give_the_value_they_encode_or_one_error_family(data: bytes) -> None:
    try:
        value = cbor.loads(data)
    except ProtocolError:
        return
    assert cbor.dumps(value) == data


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"), (23, "17"), (24, "1818"), (255, "18ff"), (256, "190100"), (65535, "19ffff"), (65536, "1a00010000"),
        (2**32 - 1, "1affffffff"), (2**32, "1b0000000100000000"), (2**64 - 1, "1bffffffffffffffff"),
        (-1, "20"), (-24, "37"), (-25, "3818"), (-(2**64), "3bffffffffffffffff"),
        (False, "f4"), (True, "f5"), (None, "f6"), (b"", "40"), (b"\x01", "4101"), ("", "60"), ("ü", "62c3bc"),
        ([], "80"), ([1, [2]], "82018102"), ({}, "a0"), ({1: 2}, "a10102"), ({"a": "b"}, "a161616162"),
    ],
)  # fmt: skip
def test_known_encodings(value: Any, encoded: str) -> None:
    assert cbor.dumps(value).hex() == encoded
    decoded = cbor.loads(bytes.fromhex(encoded))
    assert decoded == value
    assert type(decoded) is type(value)


def test_map_keys_are_ordered_by_length_and_then_by_bytes() -> None:
    assert list(cbor.loads(cbor.dumps({"aa": 0, "b": 0, "": 0, "a": 0}))) == ["", "a", "b", "aa"]
    assert list(cbor.loads(cbor.dumps({500: 0, -1: 0, 24: 0, 3: 0, -30: 0}))) == [3, -1, 24, -30, 500]


@pytest.mark.parametrize(
    "unordered", ["a20200" + "0100", "a2616200" + "616100", "a2626161006162 00", "a22000" + "0100"]
)
def test_unordered_maps_are_refused(unordered: str) -> None:
    assert refusal(bytes.fromhex(unordered)) == "cbor-not-deterministic"


@pytest.mark.parametrize(
    "encoded",
    [
        "1800", "1817", "190000", "1900ff", "1a00000000", "1a0000ffff", "1b0000000000000000", "1b00000000ffffffff",
        "3800", "390000", "3a00000000", "3b0000000000000000",
        "5800", "580141", "590001aa", "5a00000000", "5b0000000000000000",
        "7800", "780161", "79000161", "7a00000000", "7b0000000000000000",
        "9800", "980101", "9900010a", "9a00000000", "9b0000000000000000",
        "b800", "b8010102", "b900010102", "ba00000000", "bb0000000000000000",
    ],
)  # fmt: skip
def test_lengths_and_numbers_in_a_longer_form_are_refused(encoded: str) -> None:
    assert refusal(bytes.fromhex(encoded)) in {"cbor-not-deterministic", "cbor-malformed"}


@pytest.mark.parametrize(
    "encoded", ["5f4101ff", "7f6161ff", "9f01ff", "bf0102ff", "5fff", "9fff", "ff", "9f", "1f", "3f"]
)
def test_indefinite_lengths_are_refused(encoded: str) -> None:
    assert refusal(bytes.fromhex(encoded)) == "cbor-malformed"


CONTENTS = [
    0,
    -1,
    10**9,
    b"",
    b"\x01",
    "",
    "1970-01-01",
    "https://a",
    "a+",
    [],
    [1, 2],
    [-2, 1],
    ["a", b"b"],
    {},
    {"a": 1},
]


@pytest.mark.parametrize("tag", range(301))
def test_no_tag_up_to_300_is_acted_upon(tag: int) -> None:
    for content in CONTENTS:
        tagged = cbor2.dumps(cbor2.CBORTag(tag, content))
        for data in (tagged, b"\x81" + tagged, b"\xa1\x01" + tagged, b"\xa1" + tagged + b"\x01"):
            assert refusal(data) == "cbor-tag"


@pytest.mark.parametrize("tag", [1004, 43000, 55799, 65535, 2**32 - 1, 2**64 - 1])
def test_no_larger_tag_is_acted_upon(tag: int) -> None:
    for content in CONTENTS:
        assert refusal(cbor2.dumps(cbor2.CBORTag(tag, content))) == "cbor-tag"


@pytest.mark.parametrize(
    "encoded",
    ["f7", "e0", "f3", "f820", "f8ff", "f93c00", "f97e00", "f97c00", "fa3f800000", "fb3ff0000000000000", "81f7"],
)
def test_floats_undefined_and_simple_values_are_refused(encoded: str) -> None:
    assert refusal(bytes.fromhex(encoded)) == "cbor-type"


@pytest.mark.parametrize("encoded", ["f818", "f800", "fc", "fd", "fe", "1c", "3d", "5e", "7c", "9d", "bc", "dc"])
def test_reserved_forms_are_refused(encoded: str) -> None:
    assert refusal(bytes.fromhex(encoded + "00")) == "cbor-malformed"


@pytest.mark.parametrize(
    "encoded",
    [
        "a2" + "0100" + "0100",
        "a2" + "616100" + "616100",
        "a2" + "0100" + "f500",  # 1 and true are one key in Python
        "a2" + "0000" + "f400",
        "a2" + "0100" + "f93c0000",  # 1 and 1.0 as well
        "a3" + "0100" + "f500" + "f93c0000",
        "a2" + "0100" + "180100",  # the same key in a longer form
        "a1" + "01" + "a2" + "0100" + "0100",
    ],
)
def test_duplicate_and_colliding_keys_are_refused(encoded: str) -> None:
    assert refusal(bytes.fromhex(encoded)) == "cbor-malformed"


@pytest.mark.parametrize(
    "encoded",
    [
        "a1f500",
        "a1f400",
        "a1f600",
        "a1f700",
        "a1f93c0000",
        "a14000",
        "a18000",
        "a1a000",
        "a1810100",
        "a2010061 6100",
        "a2f6000100",
    ],
)
def test_keys_of_other_or_mixed_types_are_refused(encoded: str) -> None:
    assert refusal(bytes.fromhex(encoded)) in {"cbor-key-type", "cbor-malformed", "cbor-not-deterministic"}


@given(plain, st.binary(min_size=1, max_size=3))
def test_trailing_bytes_are_refused(value: Any, tail: bytes) -> None:
    refusal(cbor.dumps(value) + tail)


@given(plain, st.data())
def test_truncation_is_refused(value: Any, data: st.DataObject) -> None:
    encoded = cbor.dumps(value)
    assert refusal(encoded[: data.draw(st.integers(0, len(encoded) - 1))]) == "cbor-malformed"


def test_invalid_utf8_is_refused() -> None:
    for text in (b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
        assert refusal(bytes([0x60 + len(text)]) + text) == "cbor-malformed"


@pytest.mark.parametrize(("opening", "innermost"), [("81", "00"), ("a100", "00"), ("81", "80"), ("a100", "a0")])
def test_depth_at_the_cap_passes_and_one_more_is_refused(opening: str, innermost: str) -> None:
    def nested(depth: int) -> bytes:
        return bytes.fromhex(opening) * depth + bytes.fromhex(innermost)

    cbor.loads(nested(limits.MAX_CBOR_DEPTH))
    assert refusal(nested(limits.MAX_CBOR_DEPTH + 1)) == "cbor-malformed"
    assert refusal(nested(100_000)) == "cbor-malformed"


def test_items_at_the_cap_pass_and_one_more_is_refused() -> None:
    children = limits.MAX_CBOR_ITEMS - 1  # the list itself is an item
    assert len(cbor.loads(cbor.dumps([0] * children))) == children
    assert refusal(cbor.dumps([0] * (children + 1))) == "cbor-too-many-items"
    assert refusal(cbor.dumps({i: [] for i in range(children + 1)})) == "cbor-too-many-items"


def test_size_at_the_cap_passes_and_one_byte_more_is_refused() -> None:
    data = cbor.dumps(bytes(limits.MAX_FRAME_BYTES - 5))
    assert len(data) == limits.MAX_FRAME_BYTES
    cbor.loads(data)
    assert refusal(cbor.dumps(bytes(limits.MAX_FRAME_BYTES - 4))) == "cbor-too-large"
    assert refusal(data, max_bytes=len(data) - 1) == "cbor-too-large"


LENGTH_CLAIMS = [
    head + claim.to_bytes(8, "big")
    for head in (b"\x5b", b"\x7b", b"\x9b", b"\xbb", b"\x81\x5b", b"\xa1\x01\x9b")
    for claim in (2**24, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
]


@pytest.mark.parametrize("data", LENGTH_CLAIMS, ids=bytes.hex)
def test_claimed_lengths_beyond_the_input_are_refused(data: bytes) -> None:
    assert refusal(data) == "cbor-malformed"


def test_claimed_lengths_allocate_nothing() -> None:
    script = """
import resource, sys
from protocol import cbor
from protocol.errors import ProtocolError
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 2 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    bytearray(8 * 2**20)
except MemoryError:
    print("limited")
for claim in sys.argv[1:]:
    try:
        cbor.loads(bytes.fromhex(claim))
    except ProtocolError as error:
        print(error.code)
"""
    claims = [data.hex() for data in LENGTH_CLAIMS]
    done = subprocess.run(
        [sys.executable, "-c", script, *claims], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["limited"] + ["cbor-malformed"] * len(claims)


@pytest.mark.parametrize(
    "value", [1.5, {1.0}, object(), (1, 2), bytearray(1), {"a": 1.0}, {1: 0, "a": 0}, {b"k": 0}, {None: 0}]
)
def test_only_plain_types_are_plain(value: Any) -> None:
    with pytest.raises(ProtocolError):
        cbor.check_plain(value)
