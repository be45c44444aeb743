"""RLP against the reference library, and one encoding for each item."""

from typing import Any

import pytest
import rlp as reference
from hypothesis import given
from hypothesis import strategies as st

from evm import rlp
from evm.errors import EvmError

ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=6), max_leaves=20)
DEEP = 64


@given(ITEMS)
def test_encoding_equals_the_reference_and_decodes_back(item: Any) -> None:
    data = rlp.encode(item)
    assert data == reference.encode(item)
    assert rlp.decode(data, max_depth=DEEP) == item


@given(st.integers(0, 2**300))
def test_integers_equal_the_reference(number: int) -> None:
    assert rlp.encode(number) == reference.encode(number)


def _lists(item: Any) -> Any:
    return item if isinstance(item, bytes) else [_lists(child) for child in item]


@given(st.binary(max_size=40) | ITEMS.map(reference.encode).flatmap(lambda d: st.just(d + b"\0") | st.just(d[:-1])))
def test_any_bytes_are_taken_or_refused_like_the_reference(data: bytes) -> None:
    try:
        expected = _lists(reference.decode(data, strict=True))
    except reference.exceptions.DecodingError:
        with pytest.raises(EvmError, match="rlp-"):
            rlp.decode(data, max_depth=DEEP)
    else:
        assert rlp.decode(data, max_depth=DEEP) == expected


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("nothing", ""),
        ("single byte written long", "8101"),
        ("short string with long length", "b80161"),
        ("length with leading zero", "b90001" + "61"),
        ("length of 2**64 - 1", "bfffffffffffffffff"),
        ("trailing byte", "0000"),
        ("list cut off", "c281"),
        ("child beyond its list", "c18261"),
        ("short list with long length", "f80101"),
        ("length bytes missing", "b9ff"),
    ],
)
def test_other_encodings_of_an_item_are_refused(what: str, data: str) -> None:
    with pytest.raises(EvmError, match="rlp-"):
        rlp.decode(bytes.fromhex(data), max_depth=DEEP)


def test_nesting_is_bounded_at_the_cap() -> None:
    assert rlp.decode(bytes.fromhex("c1c0"), max_depth=2) == [[]]
    with pytest.raises(EvmError, match="rlp-too-deep"):
        rlp.decode(bytes.fromhex("c1c0"), max_depth=1)


def test_ten_thousand_nested_lists_are_refused_without_recursion() -> None:
    data = b""
    for _ in range(10_000):
        data = reference.codec.length_prefix(len(data), 192) + data if len(data) < 40_000 else data
    with pytest.raises(EvmError, match="rlp-too-deep"):
        rlp.decode(data, max_depth=4)
