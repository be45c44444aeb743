"""Permissions of an explicit session: which contracts its key may call, and with which parameters.

The contract's `Permission.sol` and `SessionPermissions`. A permission without rules allows any call of its target. The
packed form of `SessionPermissions` is what the session tree hashes, so any change gives another image hash; and a usage
hash covers the whole permission, so any change of it starts its cumulative limits anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from evm.address import ADDRESS_BYTES, Address
from evm.fields import UINT64_MAX, UINT256_MAX
from evm.keccak import keccak256
from evm.wallet.abi import Tail, array, encode, word
from evm.wallet.errors import WalletError, require
from evm.wallet.reader import Reader

MAX_PERMISSIONS: Final = 127  # a call signature names its permission in seven bits
MAX_RULES: Final = 255  # the count is one byte
RULE_BYTES: Final = 97
VALUE_TRACKING_ADDRESS: Final = Address(b"\xee" * ADDRESS_BYTES)
"""Stands for the chain's own coin where usage is counted."""

_CODE: Final = "wallet-permission"


class ParameterOperation(IntEnum):
    """How a parameter is compared with a rule's value; as unsigned integers, whatever type the parameter has."""

    EQUAL = 0
    NOT_EQUAL = 1
    GREATER_THAN_OR_EQUAL = 2
    LESS_THAN_OR_EQUAL = 3

    def holds(self, found: int, value: int) -> bool:
        """Whether `found` stands in this relation to the rule's `value`."""
        return _RELATIONS[self](found, value)


_RELATIONS: Final[dict[ParameterOperation, Callable[[int, int], bool]]] = {
    ParameterOperation.EQUAL: int.__eq__,
    ParameterOperation.NOT_EQUAL: int.__ne__,
    ParameterOperation.GREATER_THAN_OR_EQUAL: int.__ge__,
    ParameterOperation.LESS_THAN_OR_EQUAL: int.__le__,
}


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """A condition on 32 bytes of call data: those at `offset`, under `mask`, compared with `value`.

    A cumulative rule compares the sum over all calls of the session instead.
    """

    operation: ParameterOperation
    value: int
    offset: int
    mask: int = UINT256_MAX
    cumulative: bool = False

    def __post_init__(self) -> None:
        require(all(0 <= word <= UINT256_MAX for word in (self.value, self.offset, self.mask)), f"{_CODE}-rule")

    @property
    def encoded(self) -> bytes:
        """97 bytes: operation and flag, value, offset, mask."""
        return bytes([self.operation << 1 | self.cumulative]) + _words(self.value, self.offset, self.mask)

    @property
    def abi(self) -> bytes:
        """The rule as a tuple of five words."""
        return _words(self.cumulative, self.operation, self.value, self.offset, self.mask)


@dataclass(frozen=True, slots=True)
class Permission:
    """A contract that may be called, and the rules that each call of it has to meet."""

    target: Address
    rules: tuple[ParameterRule, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.target) == ADDRESS_BYTES, f"{_CODE}-target")
        require(len(self.rules) <= MAX_RULES, f"{_CODE}-rules-count", "RulesLengthExceedsMax")

    @property
    def encoded(self) -> bytes:
        """Target, count of rules in one byte, rules."""
        return self.target + bytes([len(self.rules)]) + b"".join([rule.encoded for rule in self.rules])

    def usage_hash(self, signer: Address, index: int) -> bytes:
        """Under which hash the session contract counts the usage of rule `index` by the key `signer`."""
        permission = encode(word(self.target), array(*[rule.abi for rule in self.rules]))
        return keccak256(encode(word(signer), Tail(permission), word(index)))


@dataclass(frozen=True, slots=True)
class SessionPermissions:
    """What the session key `signer` may do: a leaf of the session tree.

    Chain id 0 stands for every chain, and each counts usage by itself. `value_limit`, in wei, holds for the life of the
    session. `deadline` is a Unix time in seconds, the last one that is allowed; 0 stands for never.
    """

    signer: Address
    chain_id: int
    value_limit: int
    deadline: int
    permissions: tuple[Permission, ...]

    def __post_init__(self) -> None:
        require(len(self.signer) == ADDRESS_BYTES and any(self.signer), f"{_CODE}-signer")
        require(0 <= self.chain_id <= UINT256_MAX, f"{_CODE}-chain-id")
        require(0 <= self.value_limit <= UINT256_MAX, f"{_CODE}-value-limit")
        require(0 <= self.deadline <= UINT64_MAX, f"{_CODE}-deadline")
        require(len(self.permissions) <= MAX_PERMISSIONS, f"{_CODE}-count")

    @property
    def encoded(self) -> bytes:
        """Signer, chain id, value limit (32 bytes each), deadline (8), count (1), permissions."""
        numbers = _words(self.chain_id, self.value_limit) + self.deadline.to_bytes(8, "big")
        count = bytes([len(self.permissions)])
        return self.signer + numbers + count + b"".join([permission.encoded for permission in self.permissions])

    @property
    def value_usage_hash(self) -> bytes:
        """Under which hash the session contract counts the coins that this key has sent."""
        return value_usage_hash(self.signer)


def value_usage_hash(signer: Address) -> bytes:
    """Under which hash the session contract counts the coins that the key `signer` has sent."""
    return keccak256(word(signer) + word(VALUE_TRACKING_ADDRESS))


def parse_permissions(data: bytes) -> SessionPermissions:
    """The session whose packed form is `data`, all of it."""
    reader = Reader(data, f"{_CODE}-length")
    found = read_permissions(reader)
    require(reader.ended, f"{_CODE}-length")
    return found


def read_permissions(reader: Reader) -> SessionPermissions:
    """The packed session that `reader` reads next."""
    return SessionPermissions(
        signer=reader.address(),
        chain_id=reader.uint(32),
        value_limit=reader.uint(32),
        deadline=reader.uint(8),
        permissions=tuple([_read_permission(reader) for _ in range(reader.uint(1))]),
    )


def _read_permission(reader: Reader) -> Permission:
    return Permission(reader.address(), tuple([_read_rule(reader) for _ in range(reader.uint(1))]))


def _read_rule(reader: Reader) -> ParameterRule:
    first = reader.uint(1)
    try:
        operation = ParameterOperation(first >> 1)
    except ValueError:
        raise WalletError(f"{_CODE}-operation", "Panic") from None
    return ParameterRule(operation, reader.uint(32), reader.uint(32), reader.uint(32), bool(first & 1))


def _words(*numbers: int) -> bytes:
    return b"".join(map(word, numbers))
