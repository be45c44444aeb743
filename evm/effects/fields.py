"""Values of an EIP-712 document that has been read, by name and type.

`TypedData` keeps the values as they are shown: integers as decimal text, structs as lists of members. The types are
those of the document's own encoded type, which a table entry has compared; a value of another form is a refusal.
"""

from collections.abc import Iterable, Mapping

from evm.address import Address, parse_address
from evm.errors import EvmError
from evm.typed_data.values import Shown


class Fields:
    """The members of one struct."""

    def __init__(self, members: Mapping[str, Shown]) -> None:
        self._members = members

    def address(self, name: str) -> Address:
        """An address."""
        return parse_address(self._members.get(name), _CODE)

    def addresses(self, name: str) -> list[Address]:
        """An array of addresses."""
        value = self._members.get(name)
        if not isinstance(value, list):
            raise EvmError(_CODE)
        return [parse_address(item, _CODE) for item in value]

    def number(self, name: str) -> int:
        """An integer."""
        value = self._members.get(name)
        if not isinstance(value, str):
            raise EvmError(_CODE)
        return int(value)

    def data(self, name: str) -> bytes:
        """`bytes` or `bytesN`."""
        value = self._members.get(name)
        if not isinstance(value, str) or not value.startswith("0x"):
            raise EvmError(_CODE)
        return bytes.fromhex(value[2:])

    def flag(self, name: str) -> bool:
        """A boolean."""
        value = self._members.get(name)
        if not isinstance(value, bool):
            raise EvmError(_CODE)
        return value

    def struct(self, name: str) -> "Fields":
        """A struct."""
        return _struct(self._members.get(name))

    def structs(self, name: str) -> "list[Fields]":
        """An array of structs."""
        value = self._members.get(name)
        if not isinstance(value, list):
            raise EvmError(_CODE)
        return [_struct(item) for item in value]


_CODE = "effects-typed-data"


def _struct(value: "Shown | None") -> Fields:
    if not isinstance(value, list):
        raise EvmError(_CODE)
    return Fields(dict(_members(value)))


def _members(value: Iterable[Shown]) -> Iterable[tuple[str, Shown]]:
    for member in value:
        if not isinstance(member, Mapping):
            raise EvmError(_CODE)
        yield str(member["name"]), member["value"]
