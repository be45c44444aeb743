"""The permissions of ERC-7715 that are granted, by the name of their type, and what their data say.

Amounts are 0x quantities, times JSON integers. Defaults are those of the published wallet: a permission begins now, a
stream begins with nothing, and one without a maximum has none of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from evm.address import parse_address
from evm.delegations.errors import DelegationError, require
from evm.delegations.terms import NO_RENEWAL_S, PerPeriod, Revocation, Revocations, Stream
from evm.fields import UINT256_MAX, members, quantity, utf8

REVOCATION: Final = "token-approval-revocation"
MAX_JUSTIFICATION_BYTES: Final = 1024  # own choice
_MAX_TIME_S: Final = 2**40  # own choice: 36,000 years

_FLAGS: Final[Mapping[str, Revocation]] = {
    "erc20Approve": Revocation.ERC20_APPROVE,
    "erc721Approve": Revocation.ERC721_APPROVE,
    "erc721SetApprovalForAll": Revocation.SET_APPROVAL_FOR_ALL,
    "permit2Approve": Revocation.PERMIT2_APPROVE,
    "permit2Lockdown": Revocation.PERMIT2_LOCKDOWN,
    "permit2InvalidateNonces": Revocation.PERMIT2_INVALIDATE_NONCES,
}


def parse_time(value: object, code: str) -> int:
    if type(value) is not int or not 0 < value <= _MAX_TIME_S:
        raise DelegationError(code)
    return value


def _data(value: object, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """The data of a permission without members that are null; a justification is text for people."""
    found = members(value, required=required, optional=(*optional, "justification"), code="permission-data")
    present = {name: item for name, item in found.items() if item is not None}
    require(set(required) <= present.keys(), "permission-data")
    if "justification" in present:
        utf8(present["justification"], "permission-justification", most=MAX_JUSTIFICATION_BYTES)
    return present


def _amount(value: object) -> int:
    require(isinstance(value, str), "permission-amount")
    return quantity(value, "permission-amount")


Read = Callable[[object, int], tuple[PerPeriod | Stream | Revocations, dict[str, Any]]]


def _period(amount: str, *, periodic: bool, token: bool) -> Read:
    required = (amount, *(("periodDuration",) if periodic else ()), *(("tokenAddress",) if token else ()))

    def read(value: object, now_s: int) -> tuple[PerPeriod, dict[str, Any]]:
        data = {"startTime": now_s, **_data(value, required, ("startTime",))}
        limit = PerPeriod(
            token=parse_address(data["tokenAddress"], "permission-token") if token else None,
            amount=_positive(data[amount]),
            duration_s=parse_time(data["periodDuration"], "permission-duration") if periodic else NO_RENEWAL_S,
            start_s=parse_time(data["startTime"], "permission-start"),
        )
        return limit, data

    return read


def _stream(*, token: bool) -> Read:
    required = ("amountPerSecond", *(("tokenAddress",) if token else ()))

    def read(value: object, now_s: int) -> tuple[Stream, dict[str, Any]]:
        given = _data(value, required, ("initialAmount", "maxAmount", "startTime"))
        data = {"initialAmount": "0x0", "maxAmount": hex(UINT256_MAX), "startTime": now_s, **given}
        initial, most = _amount(data["initialAmount"]), _amount(data["maxAmount"])
        require(most > initial, "permission-amount")
        limit = Stream(
            token=parse_address(data["tokenAddress"], "permission-token") if token else None,
            initial=initial,
            most=most,
            per_second=_positive(data["amountPerSecond"]),
            start_s=parse_time(data["startTime"], "permission-start"),
        )
        return limit, data

    return read


def _positive(value: object) -> int:
    amount = _amount(value)
    require(amount > 0, "permission-amount")
    return amount


def _revocations(value: object, _: int) -> tuple[Revocations, dict[str, Any]]:
    data = _data(value, tuple(_FLAGS))
    require(all(isinstance(data[name], bool) for name in _FLAGS), "permission-data")
    flags = sum(flag for name, flag in _FLAGS.items() if data[name])
    require(flags > 0, "permission-data")
    return Revocations(flags), data


PERMISSIONS: Final[Mapping[str, Read]] = {
    "native-token-allowance": _period("allowanceAmount", periodic=False, token=False),
    "native-token-periodic": _period("periodAmount", periodic=True, token=False),
    "native-token-stream": _stream(token=False),
    "erc20-token-allowance": _period("allowanceAmount", periodic=False, token=True),
    "erc20-token-periodic": _period("periodAmount", periodic=True, token=True),
    "erc20-token-stream": _stream(token=True),
    REVOCATION: _revocations,
}


_ALWAYS: Final = frozenset({"TimestampEnforcer", "NonceEnforcer"})
_COINS: Final = frozenset({"ExactCalldataEnforcer", "AllowedTargetsEnforcer"})
_TOKENS: Final = frozenset({"ValueLteEnforcer", "AllowedCalldataEnforcer"})
_ENFORCERS: Final[Mapping[str, frozenset[str]]] = {
    "native-token-allowance": _COINS | {"NativeTokenPeriodTransferEnforcer"},
    "native-token-periodic": _COINS | {"NativeTokenPeriodTransferEnforcer"},
    "native-token-stream": _COINS | {"NativeTokenStreamingEnforcer"},
    "erc20-token-allowance": _TOKENS | {"ERC20PeriodTransferEnforcer"},
    "erc20-token-periodic": _TOKENS | {"ERC20PeriodTransferEnforcer"},
    "erc20-token-stream": _TOKENS | {"ERC20StreamingEnforcer"},
    REVOCATION: frozenset({"ApprovalRevocationEnforcer"}),
}


def enforcers_of(kind: str) -> frozenset[str]:
    """The contracts that check a permission of this kind, by name; a rule about redeemers needs one more."""
    return _ALWAYS | _ENFORCERS[kind]
