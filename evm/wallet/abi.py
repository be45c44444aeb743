"""The contract ABI as wallets write it: static words in the head, dynamic parts after it in order, zero padding.

`evm.abi` reads the arguments of known calls; here the few argument lists are written that wallets need.
"""

from dataclasses import dataclass
from typing import Final

from evm.abi import WORD
from evm.keccak import keccak256

_SELECTOR_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Tail:
    """An argument of dynamic type, encoded; the head holds where it begins."""

    data: bytes


def selector(signature: str) -> bytes:
    """The first four bytes of a function's calldata."""
    return keccak256(signature.encode())[:_SELECTOR_BYTES]


def word(value: int | bytes) -> bytes:
    """An integer, or an address, as one word."""
    return value.to_bytes(WORD, "big") if isinstance(value, int) else value.rjust(WORD, b"\0")


def dynamic(data: bytes) -> Tail:
    """`bytes` or `string`: length, bytes, padding."""
    return Tail(word(len(data)) + data + bytes(-len(data) % WORD))


def array(*elements: bytes | Tail) -> Tail:
    """An array of elements of one type."""
    return Tail(word(len(elements)) + encode(*elements))


def encode(*arguments: bytes | Tail) -> bytes:
    """`abi.encode`; a static argument is given as its word or words."""
    position = sum(WORD if isinstance(argument, Tail) else len(argument) for argument in arguments)
    heads, tails = [], []
    for argument in arguments:
        if isinstance(argument, Tail):
            heads.append(word(position))
            tails.append(argument.data)
            position += len(argument.data)
        else:
            heads.append(argument)
    return b"".join(heads + tails)
