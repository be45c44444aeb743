"""The most that an explicit session can move: coins, and of each token, over all its permissions and all its calls.

An upper bound from the rules alone. What is not known to be bounded is not bounded: a call of a function that is not in
the table below, a limit for each call but not for their sum, a mask that lets bits of an amount pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from evm.address import Address
from evm.fields import UINT256_MAX
from evm.wallet.abi import selector
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions

_SELECTOR_SHIFT: Final = 224
SELECTOR_MASK: Final = 0xFFFFFFFF << _SELECTOR_SHIFT
_ADDRESS_MAX: Final = 2**160 - 1
_NOTHING: Final[Mapping[bytes, int]] = MappingProxyType({})
_UPPER_BOUNDS: Final = (ParameterOperation.EQUAL, ParameterOperation.LESS_THAN_OR_EQUAL)


@dataclass(frozen=True, slots=True)
class TokenFunction:
    """A function that moves or releases a token; where its amount and its receiver stand, as numbers of words.

    `whole`: one call releases all there is, unless the amount is 0 (an operator's approval is a flag).
    `number_may_be_id`: an ERC-721 token has the same function, and reads the amount as the id of an item.
    """

    signature: str
    amount: int | None
    receiver: int
    whole: bool = False
    number_may_be_id: bool = False

    @property
    def name(self) -> str:
        """The name without its arguments."""
        return self.signature.partition("(")[0]


_FUNCTIONS: Final = {
    selector(function.signature): function
    for function in (
        TokenFunction("transfer(address,uint256)", amount=1, receiver=0),
        TokenFunction("transferFrom(address,address,uint256)", amount=2, receiver=1, number_may_be_id=True),
        TokenFunction("approve(address,uint256)", amount=1, receiver=0, number_may_be_id=True),
        TokenFunction("increaseAllowance(address,uint256)", amount=1, receiver=0),
        TokenFunction("safeTransferFrom(address,address,uint256)", amount=None, receiver=1),
        TokenFunction("safeTransferFrom(address,address,uint256,bytes)", amount=None, receiver=1),
        TokenFunction("safeTransferFrom(address,address,uint256,uint256,bytes)", amount=3, receiver=1),
        TokenFunction("setApprovalForAll(address,bool)", amount=1, receiver=0, whole=True),
    )
}


@dataclass(frozen=True, slots=True)
class Movement:
    """What one permission can move of its target. None: not bounded, not known, anybody.

    Amounts in the token's base units, or the ids of items (`TokenFunction.number_may_be_id`).
    """

    target: Address
    function: TokenFunction | None
    receiver: Address | None
    per_call: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class WorstCase:
    """Bounds of one session on one chain, from now until its end.

    `tokens` by contract; None where nothing bounds what its calls move, also of what it may take elsewhere.
    """

    native_wei: int
    tokens: Mapping[Address, int | None]
    movements: tuple[Movement, ...]


def worst_case(session: SessionPermissions, usage: Mapping[bytes, int] = _NOTHING) -> WorstCase:
    """What the session can still move. `usage` are the totals stored on the chain, by usage hash (`getLimitUsage`).

    A session without a chain id can do this on every chain, where each counts by itself.
    """
    distinct = dict.fromkeys(session.permissions)  # equal permissions have one usage hash, and so one total
    movements = tuple([_movement(permission, session.signer, usage) for permission in distinct])
    tokens: dict[Address, int | None] = {}
    for movement in movements:
        before = tokens.get(movement.target, 0)
        tokens[movement.target] = None if before is None or movement.total is None else before + movement.total
    left = session.value_limit - usage.get(session.value_usage_hash, 0)
    return WorstCase(max(0, left) if movements else 0, MappingProxyType(tokens), movements)


def selector_of(rule: ParameterRule) -> bytes | None:
    """The selector that a call has which meets the rule, if the rule fixes it."""
    if not _fixes(rule) or rule.offset or rule.mask & SELECTOR_MASK != SELECTOR_MASK:
        return None
    return (rule.value >> _SELECTOR_SHIFT).to_bytes(4, "big")


def _movement(permission: Permission, signer: Address, usage: Mapping[bytes, int]) -> Movement:
    fixed = next(filter(None, map(selector_of, permission.rules)), b"")
    function = _FUNCTIONS.get(fixed)
    if function is None:
        return Movement(permission.target, None, None, None, None)
    receiver = _receiver(permission, function.receiver)
    if function.amount is None:
        return Movement(permission.target, function, receiver, None, None)
    offset = 4 + 32 * function.amount
    per_call: int | None = None
    total: int | None = None
    for index, rule in enumerate(permission.rules):
        if rule.offset != offset or rule.mask != UINT256_MAX or rule.operation not in _UPPER_BOUNDS:
            continue
        if rule.cumulative:
            total = _least(total, max(0, rule.value - usage.get(permission.usage_hash(signer, index), 0)))
        else:
            per_call = _least(per_call, rule.value)
    per_call = per_call if total is None else _least(per_call, total)
    if per_call == 0:
        total = 0
    if function.whole and per_call != 0:
        per_call = total = None
    return Movement(permission.target, function, receiver, per_call, total)


def _receiver(permission: Permission, position: int) -> Address | None:
    """Who receives under the permission, if a rule fixes it."""
    for rule in permission.rules:
        whole = rule.mask & _ADDRESS_MAX == _ADDRESS_MAX
        if _fixes(rule) and rule.offset == 4 + 32 * position and whole:
            return Address((rule.value & _ADDRESS_MAX).to_bytes(20, "big"))
    return None


def _fixes(rule: ParameterRule) -> bool:
    return rule.operation is ParameterOperation.EQUAL and not rule.cumulative


def _least(before: int | None, bound: int) -> int:
    return bound if before is None else min(before, bound)
