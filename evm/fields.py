"""Reading JSON members strictly: one spelling for each value, everything else an `EvmError`.

Numbers follow the Ethereum JSON-RPC convention (a *quantity*: 0x, no leading zeros) or are JSON integers, which
`protocol.canonical_json` keeps exact up to 2^53 - 1. Floating point numbers, booleans and decimal text are no numbers.
"""

import re
from collections.abc import Collection
from typing import Any, Final

from evm.errors import EvmError

UINT64_MAX: Final = 2**64 - 1
UINT256_MAX: Final = 2**256 - 1
_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")


def members(value: object, *, required: Collection[str], optional: Collection[str] = (), code: str) -> dict[str, Any]:
    """`value` as an object that has every required member and no member beyond the optional ones."""
    if not isinstance(value, dict):
        raise EvmError(code)
    if not set(required) <= value.keys() or not value.keys() <= {*required, *optional}:
        raise EvmError(code)
    return value


def items(value: object, *, most: int, code: str) -> list[Any]:
    """`value` as an array of at most `most` elements."""
    if not isinstance(value, list) or len(value) > most:
        raise EvmError(code)
    return value


def quantity(value: object, code: str, *, most: int = UINT256_MAX) -> int:
    """An integer from 0 to `most`."""
    if isinstance(value, str) and _QUANTITY.match(value):
        number = int(value, 16)
    elif type(value) is int:
        number = value
    else:
        raise EvmError(code)
    if not 0 <= number <= most:
        raise EvmError(code)
    return number


def hex_bytes(value: object, code: str, *, most: int) -> bytes:
    """At most `most` bytes, written as 0x and two digits each."""
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > 2 + 2 * most:
        raise EvmError(code)
    try:
        data = bytes.fromhex(value[2:])
    except ValueError:
        raise EvmError(code) from None
    if 2 + 2 * len(data) != len(value):  # fromhex passes over white space
        raise EvmError(code)
    return data


def hex_word(value: object, code: str) -> bytes:
    """Exactly 32 bytes."""
    word = hex_bytes(value, code, most=32)
    if len(word) != 32:
        raise EvmError(code)
    return word


def utf8(value: object, code: str, *, most: int) -> bytes:
    """A JSON string as UTF-8, at most `most` bytes; lone surrogates have none."""
    if not isinstance(value, str) or len(value) > most:
        raise EvmError(code)
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise EvmError(code) from None
    if len(data) > most:
        raise EvmError(code)
    return data
