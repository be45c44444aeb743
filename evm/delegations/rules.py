"""Which grants a service signs for its users, and which code an account may take on: rules of measured configuration.

`read_grant` says what a delegation allows and refuses what is open; here it is held against what this service, on this
chain, for this wallet, lets anybody have at the most.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evm.address import ZERO_ADDRESS, Address, checksum
from evm.authorization import Authorization
from evm.delegations.deployment import METAMASK, Deployment
from evm.delegations.errors import require
from evm.delegations.grant import Grant, read_grant
from evm.delegations.model import ANY_DELEGATE, Delegation
from evm.delegations.terms import Revocations
from evm.delegations.words import grant_words


@dataclass(frozen=True, slots=True)
class GrantRules:
    """Chains, executors, the longest life and, by asset (None: coins), the most that one grant may be worth.

    `recipients` None: whomever the grant names. An asset without a limit is not granted.
    """

    chains: frozenset[int]
    delegates: frozenset[Address]
    max_lifetime_s: int
    max_exposure: Mapping[Address | None, int]
    recipients: frozenset[Address] | None = None
    deployment: Deployment = field(default=METAMASK)


@dataclass(frozen=True, slots=True)
class VerifiedGrant:
    """A delegation that may be signed, and what it allows. Only `verify_grant` makes one.

    `exposure` is to be held as outstanding until `grant.expires_at_s`.
    """

    delegation: Delegation
    grant: Grant
    chain_id: int
    digest: bytes
    exposure: int
    understood: dict[str, Any]


def verify_grant(
    delegation: Delegation, wallet: Address, chain_id: int, rules: GrantRules, now_s: int
) -> VerifiedGrant:
    """The delegation, if `wallet` may give it: complete, and within the rules; `DelegationError` with the reason."""
    require(chain_id in rules.chains and chain_id > 0, "delegation-chain-id")
    require(delegation.delegator == wallet, "delegation-delegator")
    grant = read_grant(delegation, rules.deployment)
    _validate_parties(grant, rules)
    require(grant.expires_at_s > now_s + 1, "delegation-expired")
    require(grant.expires_at_s - now_s <= rules.max_lifetime_s, "delegation-lifetime")
    exposure = grant.exposure(now_s)
    if not isinstance(grant.limit, Revocations):
        require(grant.asset in rules.max_exposure, "delegation-asset")
        require(exposure <= rules.max_exposure[grant.asset], "delegation-exposure")
    return VerifiedGrant(
        delegation=delegation,
        grant=grant,
        chain_id=chain_id,
        digest=delegation.digest(rules.deployment.manager, chain_id),
        exposure=exposure,
        understood=_understood(delegation, grant, chain_id, exposure),
    )


def _validate_parties(grant: Grant, rules: GrantRules) -> None:
    takers = {*grant.redeemers, *({grant.delegate} - {ANY_DELEGATE})}
    require(takers <= rules.delegates, "delegation-delegate")
    require(grant.delegator not in grant.recipients, "delegation-recipient")
    if rules.recipients is not None:
        require(set(grant.recipients) <= rules.recipients, "delegation-recipient")


def _understood(delegation: Delegation, grant: Grant, chain_id: int, exposure: int) -> dict[str, Any]:
    return {
        "kind": "delegation",
        "chainId": str(chain_id),
        "hash": "0x" + delegation.hash.hex(),
        "delegate": checksum(grant.delegate),
        "asset": None if grant.asset is None else checksum(grant.asset),
        "exposure": str(exposure),
        "expiresAt": grant.expires_at_s,
        "words": grant_words(grant, chain_id, exposure),
    }


def validate_code(
    authorization: Authorization,
    account: Address,
    *,
    chains: frozenset[int],
    code: frozenset[Address],
    nonce: int,
    sends_itself: bool,
    contracts: frozenset[Address] = frozenset(),
) -> None:
    """Raises unless `account` may take on the code that the authorization names (EIP-7702).

    `nonce` is the account's next one: an account that sends the transaction itself spends it first. `contracts` are
    addresses that have no key of a user: wallets, parents, guards. Giving up the code (the zero address) is allowed.
    """
    require(authorization.chain_id in chains, "authorization-chain-id")
    require(account not in contracts, "authorization-account")
    require(authorization.delegate in code or authorization.delegate == ZERO_ADDRESS, "authorization-code")
    require(authorization.nonce == nonce + int(sends_itself), "authorization-nonce")
