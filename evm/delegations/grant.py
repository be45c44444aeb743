"""What a delegation allows, all conditions together: the asset and its limit, to whom it goes, how long, how it ends.

A grant is complete by construction. `read_grant` refuses a delegation that leaves something open: without an end,
without a limit, to anybody, not to be taken back, or with a condition that is not understood. Limits of amounts let one
call through at a time, so what has one cannot be redeemed in a batch; what has none is refused.
"""

from dataclasses import dataclass
from typing import Final

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.delegations.deployment import Deployment
from evm.delegations.errors import DelegationError, require
from evm.delegations.model import ANY_DELEGATE, ROOT_AUTHORITY, Delegation
from evm.delegations.terms import (
    Amount,
    AssetLimit,
    CalldataSlice,
    ExactCalldata,
    Item,
    Once,
    PerPeriod,
    Redeemers,
    Revocable,
    Revocations,
    Stream,
    Targets,
    Terms,
    Times,
    Uses,
    ValueAtMost,
)
from evm.fields import UINT256_MAX
from evm.wallet.abi import word

_SELECTOR: Final = 4
_WORD: Final = 32


@dataclass(frozen=True, slots=True)
class Grant:
    """A delegation that leaves nothing open. `recipients` is empty where nothing is sent: approvals are taken back."""

    delegator: Address
    delegate: Address
    limit: AssetLimit
    recipients: tuple[Address, ...]
    redeemers: tuple[Address, ...]
    expires_at_s: int
    not_before_s: int
    uses: int | None
    revocable_by: Revocable | Once

    @property
    def asset(self) -> Address | None:
        """The token; None for coins. Of a grant that sends nothing, `exposure` is 0."""
        return None if isinstance(self.limit, Revocations) else self.limit.token

    def exposure(self, now_s: int) -> int:
        """The most that can leave from now on until the end, in base units; for an ERC-721 token, 1."""
        match self.limit:
            case Amount(most=most):
                return most
            case PerPeriod():
                return min(UINT256_MAX, self.limit.amount * _periods(self.limit, now_s, self.expires_at_s))
            case Stream(initial=initial, most=most, per_second=rate, start_s=start_s):
                return min(most, initial + rate * max(0, self.expires_at_s - 1 - start_s))
            case Item():
                return 1
        return 0


def _periods(limit: PerPeriod, now_s: int, end_s: int) -> int:
    """How many periods have a moment from now on and before the end."""
    last = end_s - 1 - limit.start_s
    if last < 0:
        return 0
    first = max(0, now_s - limit.start_s)
    return last // limit.duration_s - first // limit.duration_s + 1 if first <= last else 0


def read_grant(delegation: Delegation, deployment: Deployment) -> Grant:
    """What the delegation allows; `DelegationError` with the reason when it leaves something open."""
    require(delegation.authority == ROOT_AUTHORITY, "delegation-authority")
    found = _by_kind([deployment.understand(caveat) for caveat in delegation.caveats])
    limit = _limit(found)
    times, redeemers, uses = found.pop(Times, None), found.pop(Redeemers, None), found.pop(Uses, None)
    require(isinstance(times, Times) and times.before_s > 0, "delegation-no-expiry")
    revocable = found.pop(Revocable, None) or found.pop(Once, None)
    recipients = _recipients(delegation, limit, found)
    require(not found, "delegation-caveat-superfluous")
    _validate_delegate(delegation, redeemers)
    if not isinstance(revocable, Revocable | Once):
        raise DelegationError("delegation-not-revocable")
    if isinstance(uses, Uses):
        require(uses.most > 0, "delegation-uses")
    return Grant(
        delegator=delegation.delegator,
        delegate=delegation.delegate,
        limit=limit,
        recipients=recipients,
        redeemers=redeemers.addresses if isinstance(redeemers, Redeemers) else (),
        expires_at_s=times.before_s if isinstance(times, Times) else 0,
        not_before_s=times.after_s if isinstance(times, Times) else 0,
        uses=uses.most if isinstance(uses, Uses) else None,
        revocable_by=revocable,
    )


def _by_kind(terms: list[Terms]) -> dict[type, Terms]:
    """The terms by kind. None may come twice: which of two holds would be for the redeemer to find out."""
    found = {type(each): each for each in terms}
    require(len(found) == len(terms), "delegation-caveat-twice")
    return found


def _limit(found: dict[type, Terms]) -> AssetLimit:
    limits = [found.pop(kind) for kind in (Amount, PerPeriod, Stream, Item, Revocations) if kind in found]
    require(len(limits) > 0, "delegation-no-limit")
    require(len(limits) == 1, "delegation-limits")
    [limit] = limits
    if not isinstance(limit, Amount | PerPeriod | Stream | Item | Revocations):
        raise DelegationError("delegation-no-limit")
    return limit


def _validate_delegate(delegation: Delegation, redeemers: Terms | None) -> None:
    require(delegation.delegate not in (ZERO_ADDRESS, delegation.delegator), "delegation-delegate")
    if delegation.delegate == ANY_DELEGATE:
        require(isinstance(redeemers, Redeemers), "delegation-open-delegate")


def _recipients(delegation: Delegation, limit: AssetLimit, found: dict[type, Terms]) -> tuple[Address, ...]:
    """To whom the asset goes; takes the conditions that say so out of `found`."""
    if isinstance(limit, Revocations):
        return ()
    if limit.token is None:
        return _recipients_of_coins(found)
    value, part, targets = (found.pop(kind, None) for kind in (ValueAtMost, CalldataSlice, Targets))
    require(isinstance(value, ValueAtMost) and value.most == 0, "delegation-value-open")
    require(not isinstance(targets, Targets) or targets.addresses == (limit.token,), "delegation-targets")
    # the arguments of a transfer: the recipient, and before it, of an item, whom it leaves
    before = word(delegation.delegator) if isinstance(limit, Item) else b""
    fixed = before + bytes(_WORD - ADDRESS_BYTES)
    if not isinstance(part, CalldataSlice) or part.start != _SELECTOR or not part.value.startswith(fixed):
        raise DelegationError("delegation-recipient-open")
    require(len(part.value) == len(before) + _WORD, "delegation-recipient-open")
    return (_sendable(Address(part.value[-ADDRESS_BYTES:])),)


def _recipients_of_coins(found: dict[type, Terms]) -> tuple[Address, ...]:
    """Coins go where the call goes; call data would make a call of it."""
    data = found.pop(ExactCalldata, None)
    require(isinstance(data, ExactCalldata) and data.data == b"", "delegation-calldata-open")
    targets = found.pop(Targets, None)
    if not isinstance(targets, Targets):
        raise DelegationError("delegation-recipient-open")
    require(len(set(targets.addresses)) == len(targets.addresses), "delegation-recipient-twice")
    return tuple(map(_sendable, targets.addresses))


def _sendable(recipient: Address) -> Address:
    require(recipient != ZERO_ADDRESS, "delegation-recipient")
    return recipient
