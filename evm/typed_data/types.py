"""The type declarations of an EIP-712 document: syntax, closure, `encodeType`.

Stricter than most encoders: every declared type is used, none is empty or shadows an atomic type, member names are
unique, and the aliases `uint` and `int` do not exist (the EIP has none).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evm.errors import EvmError
from evm.fields import members
from evm.typed_data.values import ATOMIC_TYPES
from protocol import limits

DOMAIN: Final = "EIP712Domain"
# The members of a domain, in the only order allowed; each may be left out, not all (EIP-712).
_DOMAIN_MEMBERS: Final = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
_TYPE: Final = re.compile(r"([A-Za-z_$][A-Za-z0-9_$]*)((?:\[(?:[1-9][0-9]{0,3})?\])*)\Z")
_LENGTHS: Final = re.compile(r"\[([0-9]*)\]")


@dataclass(frozen=True, slots=True)
class TypeName:
    """A member's type: a base and the lengths of its array levels, outermost last (None: any length)."""

    text: str
    base: str
    lengths: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a struct type."""

    name: str
    type: TypeName


Types = Mapping[str, tuple[Member, ...]]


def parse_types(value: object, primary_type: str) -> Types:
    """The struct types of a document, by name; `EvmError("typed-…")` unless they are exactly what it needs."""
    if not isinstance(value, dict) or len(value) > limits.MAX_TYPED_DATA_TYPES:
        raise EvmError("typed-types")
    types: dict[str, tuple[Member, ...]] = {}
    count = 0
    for name, declared in value.items():
        if not _is_name(name) or name in ATOMIC_TYPES or not isinstance(declared, list) or not declared:
            raise EvmError("typed-types")
        count += len(declared)
        if count > limits.MAX_TYPED_DATA_FIELDS:
            raise EvmError("typed-too-many-fields")
        types[name] = tuple(map(_member, declared))
        if len({member.name for member in types[name]}) != len(declared):
            raise EvmError("typed-duplicate-field")
    _validate_domain_type(types)
    _validate_closure(types, primary_type)
    return types


def encode_type(types: Types, name: str) -> str:
    """`encodeType`: the struct itself, then every struct it refers to, sorted by name."""
    needed = sorted(reachable(types, name) - {name})
    return "".join(
        f"{struct}({','.join(f'{member.type.text} {member.name}' for member in types[struct])})"
        for struct in (name, *needed)
    )


def reachable(types: Types, name: str) -> set[str]:
    """`name` and every struct type that it refers to, directly or not."""
    found, waiting = {name}, [name]
    while waiting:
        for member in types[waiting.pop()]:
            base = member.type.base
            if base in types and base not in found:
                found.add(base)
                waiting.append(base)
    return found


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= limits.MAX_TYPED_DATA_NAME_CHARS and bool(_NAME.match(value))


def _member(value: object) -> Member:
    found = members(value, required=("name", "type"), code="typed-types")
    if not _is_name(found["name"]):
        raise EvmError("typed-types")
    return Member(found["name"], _type_name(found["type"]))


def _type_name(value: object) -> TypeName:
    if not isinstance(value, str) or len(value) > limits.MAX_TYPED_DATA_NAME_CHARS:
        raise EvmError("typed-types")
    match = _TYPE.match(value)
    if match is None:
        raise EvmError("typed-types")
    lengths = tuple(int(length) if length else None for length in _LENGTHS.findall(match[2]))
    return TypeName(value, match[1], lengths)


def _validate_domain_type(types: Types) -> None:
    declared = [(member.name, member.type.text) for member in types.get(DOMAIN, ())]
    if not declared or declared != [member for member in _DOMAIN_MEMBERS if member in declared]:
        raise EvmError("typed-domain-type")


def _validate_closure(types: Types, primary_type: str) -> None:
    if primary_type not in types or primary_type == DOMAIN:
        raise EvmError("typed-primary-type")
    for declared in types.values():
        for member in declared:
            if member.type.base not in types and member.type.base not in ATOMIC_TYPES:
                raise EvmError("typed-unknown-type")
    if reachable(types, primary_type) | {DOMAIN} != types.keys():
        raise EvmError("typed-unused-type")
