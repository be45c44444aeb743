"""What the terms of a caveat say: one class for each kind that may be signed, read from exact lengths and written back.

Amounts are base units, times seconds since 1970, `token` is None for coins. A kind that is not here is not understood,
and not signed: kinds that hand over ownership, let the redeemer choose, or bound nothing by themselves are left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from enum import IntFlag
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, Address
from evm.delegations.errors import DelegationError, require
from evm.fields import UINT256_MAX

NO_RENEWAL_S: Final = UINT256_MAX
"""A period's length that makes one allowance of it."""
_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class Targets:
    """Only these contracts or accounts are called."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class CalldataSlice:
    """The call data hold `value` at `start`."""

    start: int
    value: bytes


@dataclass(frozen=True, slots=True)
class ExactCalldata:
    """The call data are these; without any, coins are sent and nothing is called."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Amount:
    """At most `most` over the whole life."""

    token: Address | None
    most: int


@dataclass(frozen=True, slots=True)
class PerPeriod:
    """At most `amount` in each period from `start_s`; what is left of one is lost."""

    token: Address | None
    amount: int
    duration_s: int
    start_s: int

    def __post_init__(self) -> None:
        require(self.amount > 0 and self.duration_s > 0 and self.start_s > 0, "delegation-terms")


@dataclass(frozen=True, slots=True)
class Stream:
    """`initial` at `start_s`, then `per_second` more each second, `most` in all."""

    token: Address | None
    initial: int
    most: int
    per_second: int
    start_s: int

    def __post_init__(self) -> None:
        require(self.most > self.initial and self.per_second > 0 and self.start_s > 0, "delegation-terms")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an ERC-721 token is transferred."""

    token: Address
    id: int


class Revocation(IntFlag):
    """Which approvals may be taken back."""

    ERC20_APPROVE = 0x01
    ERC721_APPROVE = 0x02
    SET_APPROVAL_FOR_ALL = 0x04
    PERMIT2_APPROVE = 0x08
    PERMIT2_LOCKDOWN = 0x10
    PERMIT2_INVALIDATE_NONCES = 0x20


@dataclass(frozen=True, slots=True)
class Revocations:
    """Approvals are taken back, and nothing else happens."""

    flags: int

    def __post_init__(self) -> None:
        require(0 < self.flags <= sum(Revocation), "delegation-terms")


@dataclass(frozen=True, slots=True)
class ValueAtMost:
    """Each call carries at most `most` wei; not a sum."""

    most: int


@dataclass(frozen=True, slots=True)
class Times:
    """Strictly after and strictly before; 0 leaves that side open."""

    after_s: int
    before_s: int


@dataclass(frozen=True, slots=True)
class Uses:
    """At most `most` redemptions."""

    most: int


@dataclass(frozen=True, slots=True)
class Revocable:
    """The delegator's nonce; all delegations with it end when the delegator counts on."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Once:
    """One use for this id, over all delegations of the delegator that carry it."""

    id: int


@dataclass(frozen=True, slots=True)
class Redeemers:
    """Only these may redeem."""

    addresses: tuple[Address, ...]


AssetLimit: TypeAlias = Amount | PerPeriod | Stream | Item | Revocations
"""What a delegation is about. The contract of each lets one call through at a time, in no batch."""
Terms: TypeAlias = (
    AssetLimit | Targets | CalldataSlice | ExactCalldata | ValueAtMost | Times | Uses | Revocable | Once | Redeemers
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Fields of fixed size, one after the other; an address has 20 bytes, and coins have no token in front."""

    kind: Callable[..., Terms]
    sizes: tuple[int, ...]
    coins: bool = False

    def make(self, values: list[int | Address]) -> Terms:
        """The terms with these values."""
        return self.kind(None, *values) if self.coins else self.kind(*values)


def _layout(kind: Callable[..., Terms], *sizes: int) -> _Layout:
    return _Layout(kind, sizes)


def _coins(kind: Callable[..., Terms], *sizes: int) -> _Layout:
    return _Layout(kind, sizes, coins=True)


_LAYOUTS: Final[dict[str, _Layout]] = {
    "NativeTokenTransferAmountEnforcer": _coins(Amount, _WORD),
    "ERC20TransferAmountEnforcer": _layout(Amount, ADDRESS_BYTES, _WORD),
    "NativeTokenPeriodTransferEnforcer": _coins(PerPeriod, _WORD, _WORD, _WORD),
    "ERC20PeriodTransferEnforcer": _layout(PerPeriod, ADDRESS_BYTES, _WORD, _WORD, _WORD),
    "NativeTokenStreamingEnforcer": _coins(Stream, _WORD, _WORD, _WORD, _WORD),
    "ERC20StreamingEnforcer": _layout(Stream, ADDRESS_BYTES, _WORD, _WORD, _WORD, _WORD),
    "ERC721TransferEnforcer": _layout(Item, ADDRESS_BYTES, _WORD),
    "ApprovalRevocationEnforcer": _layout(Revocations, 1),
    "ValueLteEnforcer": _layout(ValueAtMost, _WORD),
    "TimestampEnforcer": _layout(Times, _WORD // 2, _WORD // 2),
    "LimitedCallsEnforcer": _layout(Uses, _WORD),
    "NonceEnforcer": _layout(Revocable, _WORD),
    "IdEnforcer": _layout(Once, _WORD),
}
_LISTS: Final[dict[str, type[Targets] | type[Redeemers]]] = {
    "AllowedTargetsEnforcer": Targets,
    "RedeemerEnforcer": Redeemers,
}
_SLICE, _EXACT = "AllowedCalldataEnforcer", "ExactCalldataEnforcer"
ENFORCERS: Final = frozenset({*_LAYOUTS, *_LISTS, _SLICE, _EXACT})
"""The names of the contracts whose terms are understood."""


def parse_terms(enforcer: str, data: bytes) -> Terms:
    """The terms that the contract of this name reads; `delegation-terms` for another length, `-enforcer` if unknown."""
    if enforcer in _LAYOUTS:
        layout = _LAYOUTS[enforcer]
        return layout.make(_split(data, layout.sizes))
    if enforcer in _LISTS:
        require(len(data) > 0 and len(data) % ADDRESS_BYTES == 0, "delegation-terms")
        return _LISTS[enforcer](tuple(Address(part) for part in _parts(data, (ADDRESS_BYTES,) * (len(data) // 20))))
    if enforcer == _SLICE:
        require(len(data) > _WORD, "delegation-terms")
        return CalldataSlice(int.from_bytes(data[:_WORD], "big"), data[_WORD:])
    require(enforcer == _EXACT, "delegation-enforcer")
    return ExactCalldata(data)


def encode_terms(terms: Terms) -> tuple[str, bytes]:
    """The name of the contract that reads these terms, and the terms as it reads them."""
    match terms:
        case Targets(addresses=addresses) | Redeemers(addresses=addresses):
            [name] = [name for name, kind in _LISTS.items() if isinstance(terms, kind)]
            return name, b"".join(addresses)
        case CalldataSlice(start=start, value=value):
            return _SLICE, start.to_bytes(_WORD, "big") + value
        case ExactCalldata(data=data):
            return _EXACT, data
    coins = getattr(terms, "token", b"") is None
    for name, layout in _LAYOUTS.items():
        if type(terms) is layout.kind and layout.coins == coins:
            values = astuple(terms)[1:] if coins else astuple(terms)
            return name, b"".join(map(_join, values, layout.sizes))
    raise DelegationError("delegation-enforcer")


def _split(data: bytes, sizes: Sequence[int]) -> list[int | Address]:
    require(len(data) == sum(sizes), "delegation-terms")
    return [
        Address(part) if len(part) == ADDRESS_BYTES else int.from_bytes(part, "big") for part in _parts(data, sizes)
    ]


def _parts(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    return [data[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _join(value: int | bytes, size: int) -> bytes:
    return value if isinstance(value, bytes) else value.to_bytes(size, "big")
