"""Account addresses: 20 bytes, written with the checksum of ERC-55."""

import re
from functools import lru_cache
from typing import Final, NewType

from evm.errors import EvmError
from evm.keccak import keccak256

Address = NewType("Address", bytes)
"""Exactly 20 bytes."""

ADDRESS_BYTES: Final = 20
ZERO_ADDRESS: Final = Address(bytes(ADDRESS_BYTES))
_HEX: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")


def parse_address(value: object, code: str = "address") -> Address:
    """The address in a JSON value; `EvmError(code)` unless it is 0x and 40 digits.

    Digits of mixed case are a checksum and must be right (ERC-55, SE-13); digits of one case carry none.
    """
    if not isinstance(value, str) or not _HEX.match(value):
        raise EvmError(code)
    address = Address(bytes.fromhex(value[2:]))
    digits = value[2:]
    if digits not in (digits.lower(), digits.upper()) and checksum(address) != value:
        raise EvmError("address-checksum")
    return address


def address_from_bytes(data: bytes, code: str = "address") -> Address:
    """`data` as an address; `EvmError(code)` unless it has 20 bytes."""
    if len(data) != ADDRESS_BYTES:
        raise EvmError(code)
    return Address(data)


@lru_cache(maxsize=4096)  # a document is checked, hashed and shown: each address is asked for several times
def checksum(address: Address) -> str:
    """The address as text, letters raised where the hash says so (ERC-55)."""
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join([d.upper() if mark > "7" else d for d, mark in zip(digits, marks, strict=False)])


def address_from_public_key(public_key: bytes) -> Address:
    """The account of a secp256k1 public key: x and y as 64 bytes, or 65 with the leading 04.

    That the point lies on the curve is the caller's business: a key comes from the curve library.
    """
    if len(public_key) == 65 and public_key[0] == 4:
        public_key = public_key[1:]
    if len(public_key) != 64:
        raise EvmError("public-key")
    return Address(keccak256(public_key)[-ADDRESS_BYTES:])
