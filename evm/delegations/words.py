"""A grant in sentences: what may go, to whom, until when, what it can cost at the most, and how it is taken back."""

from evm.address import Address, checksum
from evm.delegations.grant import Grant
from evm.delegations.model import ANY_DELEGATE
from evm.delegations.terms import (
    NO_RENEWAL_S,
    Amount,
    AssetLimit,
    Item,
    Once,
    PerPeriod,
    Revocation,
    Revocations,
    Stream,
)
from evm.wallet.times import moment
from evm.words import coins, token_amount


def grant_words(grant: Grant, chain_id: int, exposure: int) -> list[str]:
    """What a person agrees to."""
    who = "Whoever" if grant.delegate == ANY_DELEGATE else checksum(grant.delegate)
    among = f" (only {_listed(grant.redeemers)})" if grant.redeemers else ""
    words = [f"{who}{among} may act for {checksum(grant.delegator)} on chain {chain_id}: {_what(grant.limit)}"]
    if grant.recipients:
        words.append(f"Sent only to {_listed(grant.recipients)}")
    begin = f"from {moment(grant.not_before_s)} " if grant.not_before_s else ""
    uses = f", {grant.uses} times at the most" if grant.uses is not None else ""
    words.append(f"Valid {begin}until {moment(grant.expires_at_s)}{uses}")
    words.append(f"At the most, this costs {_cost(grant, exposure)}")
    words.append("Usable once" if isinstance(grant.revocable_by, Once) else "Can be taken back before that")
    return words


def _listed(addresses: tuple[Address, ...]) -> str:
    return ", ".join(map(checksum, addresses))


def _amount(token: Address | None, amount: int) -> str:
    return coins(amount) if token is None else f"{token_amount(amount)} of token {checksum(token)}"


def _what(limit: AssetLimit) -> str:
    match limit:
        case Amount(token=token, most=most):
            return f"send {_amount(token, most)} in all"
        case PerPeriod(token=token, amount=amount, duration_s=duration_s, start_s=start_s):
            if duration_s == NO_RENEWAL_S:
                return f"send {_amount(token, amount)} in all, from {moment(start_s)}"
            return f"send {_amount(token, amount)} in every {duration_s} seconds, from {moment(start_s)}"
        case Stream(token=token, initial=initial, most=most, per_second=rate, start_s=start_s):
            first = f"{_amount(token, initial)} at once and then " if initial else ""
            ceiling = f", {_amount(token, most)} in all"
            return f"send {first}{_amount(token, rate)} each second from {moment(start_s)}{ceiling}"
        case Item(token=token, id=number):
            return f"send item {number} of token {checksum(token)}"
        case Revocations(flags=flags):
            names = [str(flag.name).lower().replace("_", " ") for flag in Revocation if flags & flag]
            return f"take back approvals ({', '.join(names)})"


def _cost(grant: Grant, exposure: int) -> str:
    if isinstance(grant.limit, Revocations):
        return "nothing"
    if isinstance(grant.limit, Item):
        return f"item {grant.limit.id} of token {checksum(grant.limit.token)}"
    return _amount(grant.limit.token, exposure)
