"""Atomic values of EIP-712: from JSON to the 32 bytes that are hashed, and back to JSON for a person.

Integers are JSON numbers, decimal text or 0x quantities; bytes are 0x text of the exact length; addresses as in
`evm.address`. Where encoders disagree (shorter bytesN, text for bytes, "false" for a bool, null) the value is refused.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from evm.address import checksum, parse_address
from evm.errors import EvmError
from evm.fields import hex_bytes, quantity, utf8
from evm.keccak import keccak256
from protocol import limits

Shown: TypeAlias = "str | bool | list[Shown] | dict[str, Shown]"
Encoded = tuple[bytes, Shown]
"""`encodeData` of a value (32 bytes), and the value for JSON: integers as decimal text."""

_DECIMAL: Final = re.compile(r"(?:0|-?[1-9][0-9]{0,77})\Z")


def _integer(value: object, *, least: int, most: int) -> Encoded:
    if isinstance(value, str) and _DECIMAL.match(value):
        number = int(value)
    elif type(value) is int:
        number = value
    else:
        number = quantity(value, "typed-integer")
    if not least <= number <= most:
        raise EvmError("typed-integer")
    return number.to_bytes(32, "big", signed=number < 0), str(number)


def _bool(value: object) -> Encoded:
    if not isinstance(value, bool):
        raise EvmError("typed-bool")
    return int(value).to_bytes(32, "big"), value


def _address(value: object) -> Encoded:
    address = parse_address(value, "typed-address")
    return address.rjust(32, b"\0"), checksum(address)


def _fixed_bytes(value: object, *, size: int) -> Encoded:
    data = hex_bytes(value, "typed-bytes", most=size)
    if len(data) != size:
        raise EvmError("typed-bytes")
    return data.ljust(32, b"\0"), "0x" + data.hex()


def _bytes(value: object) -> Encoded:
    data = hex_bytes(value, "typed-bytes", most=limits.MAX_MESSAGE_BYTES)
    return keccak256(data), "0x" + data.hex()


def _string(value: object) -> Encoded:
    return keccak256(utf8(value, "typed-string", most=limits.MAX_MESSAGE_BYTES)), str(value)


def _atomic_types() -> dict[str, Callable[[object], Encoded]]:
    types: dict[str, Callable[[object], Encoded]] = {
        "bool": _bool,
        "address": _address,
        "string": _string,
        "bytes": _bytes,
    }
    for size in range(1, 33):
        bits = 8 * size
        types[f"bytes{size}"] = partial(_fixed_bytes, size=size)
        types[f"uint{bits}"] = partial(_integer, least=0, most=2**bits - 1)
        types[f"int{bits}"] = partial(_integer, least=-(2 ** (bits - 1)), most=2 ** (bits - 1) - 1)
    return types


ATOMIC_TYPES: Final[Mapping[str, Callable[[object], Encoded]]] = _atomic_types()
