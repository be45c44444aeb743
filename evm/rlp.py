"""Recursive-length prefix encoding (Ethereum yellow paper, appendix B), strict in both directions (SE-13).

An item is bytes or a list of items. Every item has one encoding: `decode` compares the re-encoding with its input, so
trailing bytes, padded lengths and single bytes written long are all refused by one rule.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from evm.errors import EvmError

Item: TypeAlias = "bytes | list[Item]"
Encodable: TypeAlias = "bytes | int | Sequence[Encodable]"

_STRING: Final = 0x80
_LIST: Final = 0xC0
_SHORT: Final = 55  # the longest body whose length fits into the first byte


def encode(item: Encodable) -> bytes:
    """The encoding of `item`; a non-negative integer stands for its shortest big-endian bytes."""
    if isinstance(item, int):
        item = int_bytes(item)
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _STRING:
            return item
        return _head(_STRING, len(item)) + item
    body = b"".join([encode(child) for child in item])
    return _head(_LIST, len(body)) + body


def int_bytes(number: int) -> bytes:
    """The shortest big-endian bytes of a non-negative integer; none for 0."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def decode(data: bytes, *, max_depth: int) -> Item:
    """The item whose one encoding is `data`; lists nest at most `max_depth` deep. Bound `data` before the call."""
    item, end = _decode(data, 0, len(data), max_depth)
    if end != len(data) or encode(item) != data:
        raise EvmError("rlp-not-canonical")
    return item


def _head(base: int, size: int) -> bytes:
    if size <= _SHORT:
        return bytes([base + size])
    length = int_bytes(size)
    return bytes([base + _SHORT + len(length)]) + length


def _decode(data: bytes, start: int, limit: int, depth: int) -> tuple[Item, int]:
    """The item at `start`, which must end before `limit`, and where it ends."""
    if start >= limit:
        raise EvmError("rlp-truncated")
    first = data[start]
    if first < _STRING:
        return data[start : start + 1], start + 1
    size = first - (_LIST if first >= _LIST else _STRING)
    body = start + 1
    if size > _SHORT:
        body += size - _SHORT
        size = int.from_bytes(data[start + 1 : body], "big")
    end = body + size
    if end > limit:
        raise EvmError("rlp-truncated")
    if first < _LIST:
        return data[body:end], end
    if depth == 0:
        raise EvmError("rlp-too-deep")
    children: list[Item] = []
    while body < end:
        child, body = _decode(data, body, end, depth - 1)
        children.append(child)
    return children, end
