"""Types of the contract ABI as applications write them, and values written as text, encoded.

    "transfer(address to, uint256 amount)"      tuples in parentheses, arrays with brackets, names optional
    {"type": "function", "name": …, "inputs": [{"name", "type", "components"}]}, or an array of such

A value is text: a decimal number, `true` or `false`, 0x bytes, an address, or the text itself; arrays and tuples are
arrays of values. What a client sends as a number of JSON is refused, as in the original.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from evm.address import parse_address
from evm.fields import hex_bytes, items, utf8
from evm.intents.errors import IntentError, require
from evm.wallet.abi import Tail, array, dynamic, encode, word
from protocol import limits

MAX_DEPTH: Final = 8  # own choice: arrays and tuples around a value
MAX_VALUES: Final = 1024  # own choice, of one array or tuple
_CODE: Final = "intent-argument"
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,77})\Z")
_ARRAY: Final = re.compile(r"(.*)\[([1-9][0-9]{0,3})?\]\Z", re.DOTALL)
_ATOM: Final = re.compile(r"(u?int|bytes|address|bool|string)([1-9][0-9]{0,2})?\Z")


@dataclass(frozen=True, slots=True)
class AbiType:
    """A type: an atom by name, an array of `element` (of `length`, or of any length where None), or a tuple."""

    name: str
    size: int = 0
    element: "AbiType | None" = None
    length: int | None = None
    members: tuple["AbiType", ...] = ()

    @property
    def text(self) -> str:
        """As it stands in a signature that is hashed."""
        if self.element is not None:
            return f"{self.element.text}[{'' if self.length is None else self.length}]"
        if self.name == "tuple":
            return f"({','.join(member.text for member in self.members)})"
        return f"{self.name}{self.size or ''}"

    @property
    def is_dynamic(self) -> bool:
        """Whether its length depends on the value."""
        if self.element is not None:
            return self.length is None or self.element.is_dynamic
        if self.name == "tuple":
            return any(member.is_dynamic for member in self.members)
        return self.name == "string" or (self.name == "bytes" and not self.size)

    def encode(self, value: object) -> bytes | Tail:
        """`value` as the ABI's words; `intent-argument` when it is none of this type."""
        if self.element is not None:
            return self._encode_array(self.element, value)
        if self.name == "tuple":
            return self._whole(encode(*encode_all(self.members, value)))
        return self._encode_atom(value)

    def _encode_array(self, element: "AbiType", value: object) -> bytes | Tail:
        found = items(value, most=MAX_VALUES, code=_CODE)
        encoded = [element.encode(item) for item in found]
        if self.length is None:
            return array(*encoded)
        require(len(found) == self.length, _CODE)
        return self._whole(encode(*encoded))

    def _whole(self, encoded: bytes) -> bytes | Tail:
        return Tail(encoded) if self.is_dynamic else encoded

    def _encode_atom(self, value: object) -> bytes | Tail:
        if not isinstance(value, str):
            raise IntentError(_CODE)
        match self.name:
            case "uint" | "int":
                return _encode_integer(value, self.size, signed=self.name == "int")
            case "address":
                return word(parse_address(value, _CODE))
            case "bool":
                require(value in ("true", "false"), _CODE)
                return word(int(value == "true"))
            case "string":
                return dynamic(utf8(value, _CODE, most=limits.MAX_CALLDATA_BYTES))
        data = hex_bytes(value, _CODE, most=self.size or limits.MAX_CALLDATA_BYTES)
        if not self.size:
            return dynamic(data)
        require(len(data) == self.size, _CODE)
        return data.ljust(32, b"\0")


def encode_all(types: tuple[AbiType, ...], values: object) -> list[bytes | Tail]:
    """Each of `values`, an array, by its type; there have to be as many."""
    found = items(values, most=len(types), code=_CODE)
    require(len(found) == len(types), _CODE)
    return [type_.encode(value) for type_, value in zip(types, found, strict=True)]


def parse_type(text: str, members: tuple[AbiType, ...] = (), depth: int = 0) -> AbiType:
    """The type that `text` names; `members` are those of `tuple`. `uint` and `int` have 256 bits."""
    require(depth <= MAX_DEPTH, "intent-abi-type")
    if match := _ARRAY.match(text):
        length = int(match[2]) if match[2] else None
        return AbiType("array", element=parse_type(match[1], members, depth + 1), length=length)
    if text == "tuple":
        require(bool(members), "intent-abi-type")
        return AbiType("tuple", members=members)
    match = _ATOM.match(text)
    if match is None or members:
        raise IntentError("intent-abi-type")
    return AbiType(match[1], _atom_size(match[1], int(match[2] or 0)))


def _atom_size(name: str, size: int) -> int:
    if name in ("uint", "int"):
        require(size <= 256 and size % 8 == 0, "intent-abi-type")
        return size or 256
    require(size <= (32 if name == "bytes" else 0), "intent-abi-type")
    return size


def _encode_integer(value: str, bits: int, *, signed: bool) -> bytes:
    require(bool(_DECIMAL.match(value)) and value != "-0", _CODE)
    number = int(value)
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    require(least <= number <= most, _CODE)
    return number.to_bytes(32, "big", signed=number < 0)


def type_from_json(value: Any, depth: int = 0) -> AbiType:
    """The type of a parameter in JSON: `type`, and `components` where it is a tuple. Other members say nothing here."""
    require(isinstance(value, dict) and isinstance(value.get("type"), str) and depth <= MAX_DEPTH, "intent-abi")
    components = items(value.get("components", []), most=MAX_VALUES, code="intent-abi")
    return parse_type(value["type"], tuple(type_from_json(each, depth + 1) for each in components))
