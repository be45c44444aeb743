"""The contract ABI, read strictly: each argument list has one encoding, and what differs from it is refused.

Dynamic parts follow the head in order and without gaps, unused bits and padding are zero, nothing trails (SE-13). A
contract may take more than that; then its reader and ours might see two different calls, so it is not decoded here.

Types are written as in a signature: `address`, `bool`, `uintN`, `intN`, `bytesN`, `bytes`, `string`, `T[]`, `T[n]` and
tuples `(T,…)`. They come from our own tables only, never from a request (SE-17). Work is linear in the data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from evm.address import Address, address_from_bytes, checksum
from evm.errors import EvmError

Value: TypeAlias = "int | bool | bytes | tuple[Value, ...]"
"""An integer, a flag, bytes (20 of them for an address, UTF-8 for a string), or the elements of an array or tuple."""

WORD: Final = 32
_MAX_FIXED_ELEMENTS: Final = 64  # of `T[n]` in our own tables


@dataclass(frozen=True, slots=True)
class _Type:
    """How a type lies in the data. `read(data, at)` gives the value at `at` and where it ends."""

    dynamic: bool
    head: int
    read: Callable[[bytes, int], tuple[Value, int]]


def decode(types: Sequence[str], data: bytes) -> list[Value]:
    """The arguments of `types` that `data` encodes, and nothing else; `EvmError("abi")` otherwise."""
    values, end = _read_all([_parse(type_) for type_ in types], data, 0)
    _require(len(data) == end)
    return values


def split_types(text: str) -> list[str]:
    """The types of a list `T,(T,T),T`; commas inside parentheses do not separate."""
    found: list[str] = []
    depth = start = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            found.append(text[start:at])
            start = at + 1
    return [*found, text[start:]] if text else []


def to_json(type_: str, value: Value) -> str | bool | list[str]:
    """`value` for JSON: integers as decimal text, addresses with checksum, bytes as 0x text."""
    if type_ == "address" and isinstance(value, bytes):
        return checksum(Address(value))
    if isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int):
        return str(value)
    return [str(number) for number in value]


def _require(condition: bool) -> None:
    if not condition:
        raise EvmError("abi")


def _read_all(types: Sequence[_Type], data: bytes, start: int) -> tuple[list[Value], int]:
    """The values of a tuple that begins at `start`, and where its last dynamic part ends."""
    values: list[Value] = []
    at, tail = start, start + sum([type_.head for type_ in types])
    for type_ in types:
        if type_.dynamic:
            _require(_word(data, at) == tail - start)
            value, tail = type_.read(data, tail)
            at += WORD
        else:
            value, at = type_.read(data, at)
        values.append(value)
    return values, tail


@lru_cache(maxsize=1024)
def _parse(text: str) -> _Type:
    if text.endswith("]"):
        element, _, length = text[:-1].rpartition("[")
        return _fixed_array(_parse(element), int(length)) if length else _array(_parse(element))
    if text.startswith("("):
        return _tuple([_parse(part) for part in split_types(text[1:-1])])
    if text in ("bytes", "string"):
        return _Type(True, WORD, _string if text == "string" else _bytes)
    return _Type(False, WORD, _static(_word_reader(text)))


def _static(convert: Callable[[int], Value]) -> Callable[[bytes, int], tuple[Value, int]]:
    return lambda data, at: (convert(_word(data, at)), at + WORD)


def _tuple(parts: list[_Type]) -> _Type:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        values, end = _read_all(parts, data, at)
        return tuple(values), end

    dynamic = any(part.dynamic for part in parts)
    return _Type(dynamic, WORD if dynamic else sum(part.head for part in parts), read)


def _array(element: _Type) -> _Type:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        count = _word(data, at)
        _require(count * element.head <= len(data) - at - WORD)
        values, end = _read_all([element] * count, data, at + WORD)
        return tuple(values), end

    return _Type(True, WORD, read)


def _fixed_array(element: _Type, length: int) -> _Type:
    if not 0 < length <= _MAX_FIXED_ELEMENTS:
        raise ValueError("length of an array type")
    return _tuple([element] * length)


def _word(data: bytes, offset: int) -> int:
    """The 32-byte integer at `offset`."""
    word = data[offset : offset + WORD]
    _require(len(word) == WORD)
    return int.from_bytes(word, "big")


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size = _word(data, at)
    start = at + WORD
    end = start + -(-size // WORD) * WORD
    _require(end <= len(data) and not any(data[start + size : end]))
    return data[start : start + size], end


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    value, end = _bytes(data, at)
    try:
        value.decode()
    except UnicodeDecodeError:
        raise EvmError("abi") from None
    return value, end


def _word_reader(text: str) -> Callable[[int], Value]:
    if text == "address":
        return _address
    if text == "bool":
        return _bool
    if text.startswith("bytes"):
        return _fixed_bytes(int(text[5:]))
    if text.startswith("uint"):
        return _unsigned(int(text[4:]))
    if text.startswith("int"):
        return _signed(int(text[3:]))
    raise ValueError(f"not an ABI type: {text}")


def _address(word: int) -> Address:
    _require(word < 2**160)
    return address_from_bytes(word.to_bytes(20, "big"))


def _bool(word: int) -> bool:
    _require(word < 2)
    return word == 1


def _unsigned(bits: int) -> Callable[[int], int]:
    def check(word: int) -> int:
        _require(word >> bits == 0)
        return word

    return check


def _signed(bits: int) -> Callable[[int], int]:
    def check(word: int) -> int:
        number = word - 2**256 if word >> 255 else word
        _require(-(2 ** (bits - 1)) <= number < 2 ** (bits - 1))
        return number

    return check


def _fixed_bytes(size: int) -> Callable[[int], bytes]:
    def check(word: int) -> bytes:
        data = word.to_bytes(WORD, "big")
        _require(not any(data[size:]))
        return data[:size]

    return check
