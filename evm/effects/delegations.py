"""Delegations of ERC-7710 as documents: a grant, and the most that can leave by it, where something holds that back.

A delegation is bounded only if `evm.delegations` understands each of its conditions and finds nothing left open;
otherwise the grant has no bound and no end, whatever its caveats seem to say.
"""

from collections.abc import Iterable

from evm.address import Address
from evm.delegations.delegation_type import DELEGATION_TYPE
from evm.delegations.deployment import METAMASK
from evm.delegations.errors import DelegationError
from evm.delegations.grant import Grant, read_grant
from evm.delegations.model import Caveat, Delegation
from evm.delegations.terms import Item
from evm.effects.call import Call
from evm.effects.documents import documents
from evm.effects.fields import Fields
from evm.effects.model import COIN, Asset, Effect, Kind


@documents(DELEGATION_TYPE)
def _delegation(call: Call, fields: Fields) -> Iterable[Effect]:
    delegator, delegate = fields.address("delegator"), fields.address("delegate")
    grant = _read(call, fields)
    if grant is None:
        return [call.effect(Kind.GRANT, account=delegator, counterparty=delegate)]
    leaving = [_leaving(call, grant, recipient) for recipient in grant.recipients]
    return [
        call.nested(
            Kind.GRANT, leaving, account=delegator, counterparty=delegate, amount=0, expires_s=grant.expires_at_s
        )
    ]


def _read(call: Call, fields: Fields) -> Grant | None:
    """The grant, if this is the manager whose enforcers are known and nothing is left open."""
    if call.to != METAMASK.manager.address or call.chain_id == 0:
        return None
    try:
        listed = fields.structs("caveats")
        caveats = tuple([Caveat(caveat.address("enforcer"), caveat.data("terms")) for caveat in listed])
        parties = (fields.address("delegate"), fields.address("delegator"), fields.data("authority"))
        return read_grant(Delegation(*parties, caveats, fields.number("salt")), METAMASK)
    except DelegationError:
        return None


def _leaving(call: Call, grant: Grant, recipient: Address) -> Effect:
    """The most that can go to one recipient over the whole life of the grant."""
    if grant.asset is None:
        kind, asset = Kind.NATIVE, COIN
    else:
        kind, asset = Kind.TRANSFER, _token(call, grant, grant.asset)
    return call.effect(
        kind,
        account=grant.delegator,
        counterparty=recipient,
        asset=asset,
        amount=grant.exposure(0),
        expires_s=grant.expires_at_s,
    )


def _token(call: Call, grant: Grant, token: Address) -> Asset:
    if isinstance(grant.limit, Item):
        return call.asset("erc721", grant.limit.id, token=token)
    return call.asset("erc20", token=token)
