"""The part of the contract ABI that the known calls need, strict: each argument list has one encoding.

Types: address, bool, uint8, uint256, bytes32, bytes, uint256[]. Dynamic parts follow the head in order and without
gaps, padding is zero, nothing trails (SE-13). What differs is refused here, even where a contract would take it.
"""

from collections.abc import Callable, Sequence
from typing import Final

from evm.address import Address, address_from_bytes, checksum
from evm.errors import EvmError

Value = int | bool | bytes | tuple[int, ...]
WORD: Final = 32


def decode(types: Sequence[str], data: bytes) -> list[Value]:
    """The arguments of `types` that `data` encodes, and nothing else; `EvmError("abi")` otherwise."""
    head = WORD * len(types)
    values: list[Value] = []
    tail = head
    for index, type_ in enumerate(types):
        word = _word(data, WORD * index)
        if type_ in _DYNAMIC:
            _require(word == tail)
            value, tail = _DYNAMIC[type_](data, tail)
        else:
            value = _STATIC[type_](word)
        values.append(value)
    _require(len(data) == tail)
    return values


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


def _word(data: bytes, offset: int) -> int:
    """The 32-byte integer at `offset`."""
    word = data[offset : offset + WORD]
    _require(len(word) == WORD)
    return int.from_bytes(word, "big")


def _below(limit: int) -> Callable[[int], int]:
    def check(word: int) -> int:
        _require(word < limit)
        return word

    return check


def _address(word: int) -> Address:
    _require(word < 2**160)
    return address_from_bytes(word.to_bytes(20, "big"))


def _bool(word: int) -> bool:
    _require(word < 2)
    return word == 1


def _bytes32(word: int) -> bytes:
    return word.to_bytes(WORD, "big")


def _bytes(data: bytes, offset: int) -> tuple[bytes, int]:
    size = _word(data, offset)
    start = offset + WORD
    end = start + -(-size // WORD) * WORD
    _require(end <= len(data) and not any(data[start + size : end]))
    return data[start : start + size], end


def _uint256_array(data: bytes, offset: int) -> tuple[tuple[int, ...], int]:
    count = _word(data, offset)
    start = offset + WORD
    _require(count <= (len(data) - start) // WORD)
    end = start + WORD * count
    return tuple(_word(data, at) for at in range(start, end, WORD)), end


_STATIC: Final[dict[str, Callable[[int], Value]]] = {
    "address": _address,
    "bool": _bool,
    "uint8": _below(2**8),
    "uint256": int,
    "bytes32": _bytes32,
}
_DYNAMIC: Final[dict[str, Callable[[bytes, int], tuple[Value, int]]]] = {
    "bytes": _bytes,
    "uint256[]": _uint256_array,
}
