"""From what is asked to a delegation that could be signed: built here, with a salt of ours, and held to every rule.

Two forms are read: a permission request of ERC-7715, and a delegation of ERC-7710 whose conditions the caller has
chosen. Neither can bring a hash, a salt, or a signature.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from enclave.config.delegations import Delegations
from enclave.delegations.policy import ChainPolicy, policy_of
from evm.address import Address
from evm.authorization import MAX_CHAIN_ID
from evm.delegations.delegation_json import parse_draft
from evm.delegations.errors import require
from evm.delegations.model import Delegation
from evm.delegations.permission import parse_permission_request
from evm.delegations.rules import VerifiedGrant, verify_grant
from evm.fields import quantity

MEMBERS: Final = frozenset({"permission", "delegation", "chainId", "revocationNonce"})
_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Proposal:
    """A delegation that may be signed now. `source` is the permission request as it would be granted, if it is one."""

    policy: ChainPolicy
    verified: VerifiedGrant
    source: Mapping[str, Any] | None
    adjusted: bool

    @property
    def hash(self) -> bytes:
        """The name of the delegation, here and on the chain."""
        return self.verified.delegation.hash


class Proposer:
    """Makes proposals. `random` is the enclave's."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random

    def propose(
        self, params: dict[str, Any], delegations: Delegations | None, account: Address, now_s: int
    ) -> Proposal:
        """The proposal for `permission`, or for `delegation` and `chainId`; `EvmError` with the rule that is broken.

        `revocationNonce`: what the nonce enforcer says for the account; 0 by default.
        """
        named = [name for name in ("permission", "delegation") if params.get(name) is not None]
        require(len(named) == 1, "delegation-members")
        if named == ["permission"]:
            require(params.get("chainId") is None, "delegation-members")
            nonce = quantity(params.get("revocationNonce", 0), "delegation-nonce")
            return self._of_permission(params["permission"], nonce, delegations, account, now_s)
        require(params.get("revocationNonce") is None, "delegation-members")
        chain_id = quantity(params.get("chainId"), "delegation-chain-id", most=MAX_CHAIN_ID)
        policy = policy_of(delegations, chain_id)
        draft = replace(parse_draft(params["delegation"]), salt=int.from_bytes(self._salt(), "big"))
        return Proposal(policy, verified(draft, policy, account, now_s), None, False)

    def _of_permission(
        self, value: object, nonce: int, delegations: Delegations | None, account: Address, now_s: int
    ) -> Proposal:
        asked = parse_permission_request(value, now_s)
        policy = policy_of(delegations, asked.chain_id)
        granted = asked.attenuated()
        delegation = granted.delegation(account, policy.rules.deployment, nonce=nonce, salt=self._salt())
        return Proposal(policy, verified(delegation, policy, account, now_s), granted.source, granted != asked)

    def _salt(self) -> bytes:
        return self._random(_SALT_BYTES)


def verified(delegation: Delegation, policy: ChainPolicy, account: Address, now_s: int) -> VerifiedGrant:
    """The delegation held to the rules of its chain, now; `DelegationError` with the rule that is broken."""
    return verify_grant(delegation, account, policy.chain_id, policy.rules, now_s)
