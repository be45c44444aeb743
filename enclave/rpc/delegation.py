"""Delegation/Supported, Request and Grant: who may spend for the account of the login's key, and how much.

Request shows, Grant signs. What is granted is what was shown, by its hash; it is on the ledgers of outstanding
authority and in the account's record before it is signed. No method takes a digest or a salt.
"""

from dataclasses import dataclass
from typing import Any, Final

from enclave.account_changes import AccountChanges
from enclave.clock import TrustedClock
from enclave.config.delegations import Delegations
from enclave.delegations.answers import amounts_json, chain_json, granted_json, offered_json
from enclave.delegations.grants import Granted, GrantRecords
from enclave.delegations.offers import Offers
from enclave.delegations.outstanding import OutstandingAuthority
from enclave.delegations.policy import ChainPolicy, deployment_of, policy_of
from enclave.delegations.proposals import MEMBERS, Proposer, verified
from enclave.errors import Refusal
from enclave.login.notices import Notice
from enclave.rpc.delegation_call import DelegationCall, DelegationCalls, delegation_rules
from enclave.rpc.envelope import SignedCall
from enclave.second_opinion import SecondOpinion
from enclave.wallets import Wallets
from evm.address import Address
from evm.delegations.context import SignedDelegation
from evm.delegations.errors import require
from evm.delegations.permission import supported_permissions
from evm.fields import hex_word
from evm.wallet.disguise import validate_undisguised
from protocol import errors

_SUPPORTED: Final = frozenset[str]()
_GRANT: Final = frozenset({"hash"})


@dataclass(frozen=True, slots=True)
class _Granting(DelegationCall):
    """A call in a scope that has delegations, and the right to grant them."""

    delegations: Delegations


class DelegationService:
    """The three methods."""

    def __init__(
        self,
        calls: DelegationCalls,
        wallets: Wallets,
        clock: TrustedClock,
        second_opinion: SecondOpinion,
        changes: AccountChanges,
        proposer: Proposer,
        grants: GrantRecords,
        outstanding: OutstandingAuthority,
    ) -> None:
        self._calls = calls
        self._wallets = wallets
        self._clock = clock
        self._second_opinion = second_opinion
        self._changes = changes
        self._proposer = proposer
        self._grants = grants
        self._outstanding = outstanding
        self._offers = Offers()

    async def supported(self, call: SignedCall) -> dict[str, Any]:
        """The kinds of permissions by chain, and what the scope's measured configuration pins and allows there."""
        asked = await self._authorize(call, _SUPPORTED)
        await self._calls.consume(asked)
        chains = asked.delegations.chains
        deployments = {chain.chain_id: deployment_of(chain) for chain in chains}
        return {
            "permissions": supported_permissions(deployments),
            "maxLifetime": asked.delegations.max_lifetime_s,
            "chains": [chain_json(chain) for chain in chains],
        }

    async def request(self, call: SignedCall) -> dict[str, Any]:
        """What would be granted, in words and at its worst; it may be granted, as it is, for some minutes."""
        asked = await self._authorize(call, MEMBERS)
        with delegation_rules():
            proposal = self._proposer.propose(call.params, asked.delegations, asked.account, self._clock.now_s())
        found = proposal.verified
        amounts = await self._amounts(asked, proposal.policy, found.grant.asset)
        await self._calls.consume(asked)
        device = asked.caller.device.auth_key
        self._offers.add(asked.caller.scope.scope, device, proposal, self._clock.monotonic_ms())
        return offered_json(proposal) | amounts

    async def grant(self, call: SignedCall) -> dict[str, Any]:
        """Sign the delegation that was shown under `hash`. Again, with a hash that was granted: the same answer."""
        asked = await self._authorize(call, _GRANT)
        with delegation_rules():
            hash_ = hex_word(call.params.get("hash"), "delegation-hash")
        granted = await self._granted(asked, hash_)
        if granted.state == "signed":
            await self._calls.consume(asked)
        else:
            granted = await self._sign(asked, granted)
            await self._calls.tell(asked, Notice.GRANTED)
        return granted_json(granted)

    async def _sign(self, asked: _Granting, granted: Granted) -> Granted:
        """The rules are judged anew, for time has passed; then ledgers, record, signature, in this order."""
        caller, now_s = asked.caller, self._clock.now_s()
        if asked.delegations.fresh_login:
            self._changes.require_fresh(caller.login)
        delegation = granted.signed.delegation
        second = await self._second_opinion.get()
        with delegation_rules():
            policy = policy_of(asked.delegations, granted.chain_id)
            require(granted.manager == policy.rules.deployment.manager, "delegation-manager")
            found = verified(delegation, policy, asked.account, now_s)
            validate_undisguised(delegation.typed_data(granted.manager, granted.chain_id))
            second.check_delegation(delegation, granted.manager, granted.chain_id)
        (await self._grants.load(asked.account_id)).with_grant(granted, now_s)  # refused before anything is reserved

        async def first() -> None:
            caps = policy.caps.get(found.grant.asset)
            await self._outstanding.reserve(caller.scope.scope, caller.login.address, found, caps)
            await self._grants.change(asked.account_id, lambda known: known.with_grant(granted, now_s))

        signature = await self._wallets.sign(
            asked.session, caller.login, found.digest, right="grant_delegation", nonce=caller.nonce, first=first
        )
        known = await self._grants.change(
            asked.account_id, lambda known: known.changed(granted.hash, lambda one: one.with_signature(signature))
        )
        signed = known.find(granted.hash)
        if signed is None or signed.state == "revoked":  # meanwhile
            raise Refusal(errors.DELEGATION_NOT_FOUND)
        return signed

    async def _granted(self, asked: DelegationCall, hash_: bytes) -> Granted:
        """What is on the record under a hash, or what was shown under it to this device."""
        caller = asked.caller
        known = (await self._grants.load(asked.account_id)).find(hash_)
        if known is not None and known.state != "revoked":
            return known
        offer = self._offers.find(caller.scope.scope, caller.device.auth_key, hash_, self._clock.monotonic_ms())
        if offer is None or known is not None:
            raise Refusal(errors.DELEGATION_NOT_FOUND)
        found = offer.verified
        return Granted(
            chain_id=found.chain_id,
            manager=offer.policy.rules.deployment.manager,
            signed=SignedDelegation(found.delegation, b""),
            source=offer.source,
            expires_at_s=found.grant.expires_at_s,
            exposure=found.exposure,
            granted_at_s=self._clock.now_s(),
        )

    async def _amounts(self, asked: _Granting, policy: ChainPolicy, asset: Address | None) -> dict[str, Any]:
        caps = policy.caps.get(asset)
        if caps is None:
            return {"outstanding": None}
        scope, account = asked.caller.scope.scope, asked.caller.login.address
        return {"outstanding": amounts_json(await self._outstanding.of(scope, account, policy.chain_id, asset, caps))}

    async def _authorize(self, call: SignedCall, members: frozenset[str]) -> _Granting:
        asked = await self._calls.authorize(call, members)
        delegations = asked.caller.scope.delegations
        if delegations is None or "grant_delegation" not in asked.caller.scope.rights:
            raise Refusal(errors.RIGHT_NOT_GRANTED)
        return _Granting(asked.caller, asked.session, delegations)
