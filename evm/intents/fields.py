"""Reading one member of an intent: a reader takes the JSON value and the code of its refusal.

A class of values says in its annotations how each member is called and read (`Member`); `parse_members` reads a JSON
object into one. A member with a default may be missing, or null as clients in Go write it; None then, never empty.
"""

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar, get_type_hints

from evm.address import ZERO_ADDRESS, Address, parse_address
from evm.authorization import MAX_CHAIN_ID
from evm.fields import UINT256_MAX, hex_bytes, items, members, utf8
from evm.intents.errors import IntentError, require

Reader: TypeAlias = Callable[[object, str], Any]
T = TypeVar("T")

MAX_TEXT_BYTES: Final = 8 * 1024  # an ID token is the longest text; the envelope's own limit is 64 KiB
_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]{1,64}\Z|(?:0|[1-9][0-9]{0,77})\Z")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Member:
    """How a member is called in JSON, and read."""

    name: str
    read: Reader


@cache
def _declared(kind: Any) -> dict[str, tuple[str, Reader, bool]]:
    """By name in JSON: the attribute, its reader, and whether it has to be there."""
    hints = get_type_hints(kind, include_extras=True)
    declared = {}
    for field in fields(kind):
        [member] = hints[field.name].__metadata__
        declared[member.name] = (field.name, member.read, field.default is MISSING)
    return declared


def parse_members(kind: Callable[..., T], value: object, code: str) -> T:
    """A value of the dataclass `kind` from a JSON object with its members and no others; `code` names the family."""
    declared = _declared(kind)
    required = [name for name, (_, _, needed) in declared.items() if needed]
    found = members(value, required=required, optional=declared, code=f"{code}-members")
    return kind(
        **{
            attribute: read(found[name], f"{code}-{attribute.replace('_', '-')}")
            for name, (attribute, read, needed) in declared.items()
            if name in found and (needed or found[name] is not None)
        }
    )


def text(most: int = MAX_TEXT_BYTES) -> Reader:
    """Text of at most `most` bytes, not empty."""

    def read(value: object, code: str) -> str:
        require(len(utf8(value, code, most=most)) > 0, code)
        return str(value)

    return read


def printable_text(most: int) -> Callable[[object, str], str]:
    """ASCII text that shows, at most `most` characters."""

    def read(value: object, code: str) -> str:
        if not isinstance(value, str) or len(value) > most or not _PRINTABLE.match(value):
            raise IntentError(code)
        return value

    return read


def hex_data(most: int) -> Reader:
    """0x text of at most `most` bytes."""
    return lambda value, code: hex_bytes(value, code, most=most)


def listed(read: Reader, most: int) -> Reader:
    """One to `most` values, each read alike."""

    def read_all(value: object, code: str) -> tuple[Any, ...]:
        found = items(value, most=most, code=code)
        require(len(found) > 0, code)
        return tuple([read(item, code) for item in found])

    return read_all


def boolean(value: object, code: str) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        raise IntentError(code)
    return value


def address(value: object, code: str) -> Address:
    """An address; the original pads and cuts what is none, which is refused here."""
    return parse_address(value, code)


def contract_address(value: object, code: str) -> Address:
    """An address that something can be sent to: not the zero address, which would stand for a creation."""
    found = parse_address(value, code)
    require(found != ZERO_ADDRESS, code)
    return found


def number(value: object, code: str) -> int:
    """An unsigned integer as text: decimal without leading zeros, or 0x and hex digits (clients pad them to pairs)."""
    if not isinstance(value, str) or not _NUMBER.match(value):
        raise IntentError(code)
    found = int(value, 16 if value.startswith("0x") else 10)
    require(found <= UINT256_MAX, code)
    return found


def network(value: object, code: str) -> int:
    """A chain id as text. 0 would hold on every chain and is refused."""
    found = number(value, code)
    require(0 < found <= MAX_CHAIN_ID, code)
    return found
