"""The measured configuration of delegations on one chain, as the rules of `evm.delegations` read it."""

from collections.abc import Mapping
from dataclasses import dataclass

from enclave.config.delegations import COINS, AssetCaps, DelegationChain, Delegations
from evm.address import Address, parse_address
from evm.delegations.deployment import Deployment
from evm.delegations.errors import DelegationError
from evm.delegations.model import Manager
from evm.delegations.rules import GrantRules

Asset = Address | None
"""A token, or None for the chain's coin."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that may be outstanding of one asset, in base units: of an account, and of all accounts of the scope."""

    account: int
    scope: int


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """What may be granted on one chain."""

    chain_id: int
    rules: GrantRules
    caps: Mapping[Asset, Caps]
    account_code: frozenset[Address]


def policy_of(delegations: Delegations | None, chain_id: int) -> ChainPolicy:
    """The policy for a chain; `delegation-chain-id` where nothing is configured for it."""
    chain = None if delegations is None else delegations.chain(chain_id)
    if delegations is None or chain is None:
        raise DelegationError("delegation-chain-id")
    return ChainPolicy(
        chain_id=chain_id,
        rules=GrantRules(
            chains=frozenset({chain_id}),
            delegates=_addresses(chain.delegates),
            max_lifetime_s=delegations.max_lifetime_s,
            max_exposure={_asset(caps): int(caps.grant) for caps in chain.caps},
            recipients=None if chain.recipients is None else _addresses(chain.recipients),
            deployment=deployment_of(chain),
        ),
        caps={_asset(caps): Caps(int(caps.account), int(caps.scope)) for caps in chain.caps},
        account_code=_addresses(tuple(code.address for code in chain.account_code)),
    )


def deployment_of(chain: DelegationChain) -> Deployment:
    """The manager and the enforcers that are pinned for a chain."""
    manager = Manager(parse_address(chain.manager.address.lower()), chain.manager_name, chain.manager_version)
    enforcers = {name: parse_address(pinned.address.lower()) for name, pinned in chain.enforcers.items()}
    return Deployment(manager, enforcers)


def _asset(caps: AssetCaps) -> Asset:
    return None if caps.asset == COINS else parse_address(caps.asset.lower())


def _addresses(texts: tuple[str, ...]) -> frozenset[Address]:
    return frozenset(parse_address(text.lower()) for text in texts)
