"""Delegation/Supported, Request, Grant, List, Revoke: who may spend for the account of the login's key, and how much.

Request shows, Grant signs. What is granted is what was shown, by its hash; it is on the ledgers of outstanding
authority and in the account's record before it is signed. No method takes a digest or a salt.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from enclave.clock import TrustedClock
from enclave.config.delegations import Delegations
from enclave.delegations.answers import amounts_json, chain_json, grant_json, granted_json, offered_json, words_of
from enclave.delegations.grants import Granted, GrantRecords
from enclave.delegations.offers import Offers
from enclave.delegations.outstanding import OutstandingAuthority
from enclave.delegations.policy import ChainPolicy, deployment_of, policy_of
from enclave.delegations.proposals import MEMBERS, Proposer, verified
from enclave.delegations.revoking import disable_call_of, parse_disabling
from enclave.errors import Refusal
from enclave.nonces import Nonces
from enclave.rpc.authorized import Authorized, Authorizer
from enclave.rpc.envelope import SignedCall
from enclave.second_opinion import SecondOpinion
from enclave.sessions import VerifiedSession
from enclave.wallets import Wallets
from evm.address import Address, parse_address
from evm.delegations.context import SignedDelegation
from evm.delegations.errors import DelegationError
from evm.delegations.permission import supported_permissions
from evm.errors import EvmError
from evm.fields import hex_word
from evm.transaction import transaction_hash
from protocol import errors

_SESSION: Final = frozenset({"session"})
_REQUEST: Final = _SESSION | MEMBERS
_GRANT: Final = _SESSION | {"hash"}
_REVOKE: Final = _SESSION | {"hash", "fees"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call under a verified session, in a scope that has delegations. Its nonce is not yet spent."""

    caller: Authorized
    session: VerifiedSession
    delegations: Delegations

    @property
    def account(self) -> Address:
        """The account of the login's key: who delegates."""
        return parse_address(self.caller.login.address)


class DelegationService:
    """The five methods."""

    def __init__(
        self,
        authorizer: Authorizer,
        wallets: Wallets,
        nonces: Nonces,
        clock: TrustedClock,
        second_opinion: SecondOpinion,
        proposer: Proposer,
        grants: GrantRecords,
        outstanding: OutstandingAuthority,
    ) -> None:
        self._authorizer = authorizer
        self._wallets = wallets
        self._nonces = nonces
        self._clock = clock
        self._second_opinion = second_opinion
        self._proposer = proposer
        self._grants = grants
        self._outstanding = outstanding
        self._offers = Offers()

    async def supported(self, call: SignedCall) -> dict[str, Any]:
        """The kinds of permissions by chain, and what the scope's measured configuration pins and allows there."""
        asked = await self._authorize(call, _SESSION)
        await self._consume(asked)
        chains = asked.delegations.chains
        deployments = {chain.chain_id: deployment_of(chain) for chain in chains}
        return {
            "permissions": supported_permissions(deployments),
            "maxLifetime": asked.delegations.max_lifetime_s,
            "chains": [chain_json(chain) for chain in chains],
        }

    async def request(self, call: SignedCall) -> dict[str, Any]:
        """What would be granted, in words and at its worst; it may be granted, as it is, for some minutes."""
        asked = await self._authorize(call, _REQUEST)
        with delegation_rules():
            proposal = self._proposer.propose(call.params, asked.delegations, asked.account, self._clock.now_s())
        found = proposal.verified
        amounts = await self._amounts(asked, proposal.policy, found.grant.asset)
        await self._consume(asked)
        device = asked.caller.device.auth_key
        self._offers.add(asked.caller.scope.scope, device, proposal, self._clock.monotonic_ms())
        return offered_json(proposal) | amounts

    async def grant(self, call: SignedCall) -> dict[str, Any]:
        """Sign the delegation that was shown under `hash`. Again, with a hash that was granted: the same answer."""
        asked = await self._authorize(call, _GRANT)
        with delegation_rules():
            hash_ = hex_word(call.params.get("hash"), "delegation-hash")
        granted = await self._granted(asked, hash_)
        policy = self._policy(asked, granted.chain_id)
        if granted.state == "signed":
            await self._consume(asked)
        else:
            granted = await self._sign(asked, granted, policy)
        return granted_json(granted, policy)

    async def list(self, call: SignedCall) -> dict[str, Any]:
        """What the account has granted and nobody has revoked here, as answers of ERC-7715; and everything, by hash."""
        asked = await self._authorize(call, _SESSION)
        known = (await self._grants.load(asked.caller.login.account_id)).live(self._clock.now_s())
        await self._consume(asked)
        signed = [grant for grant in known.grants if grant.state == "signed" and grant.source is not None]
        return {
            "permissions": [
                granted_json(grant, self._policy(asked, grant.chain_id))["permission"]
                for grant in signed
                if asked.delegations.chain(grant.chain_id) is not None
            ],
            "delegations": [
                grant_json(grant) | {"words": words_of(grant, asked.delegations.chain(grant.chain_id))}
                for grant in known.grants
            ],
        }

    async def revoke(self, call: SignedCall) -> dict[str, Any]:
        """Revoke here, and give the call that disables the delegation on the chain; signed, if `fees` are given."""
        asked = await self._authorize(call, _REVOKE)
        account_id, now_s = asked.caller.login.account_id, self._clock.now_s()
        with delegation_rules():
            hash_ = hex_word(call.params.get("hash"), "delegation-hash")
        granted = (await self._grants.load(account_id)).find(hash_)
        if granted is None:
            raise Refusal(errors.DELEGATION_NOT_FOUND)
        policy = self._policy(asked, granted.chain_id)
        second = await self._second_opinion.get()

        async def first() -> None:
            await self._grants.change(account_id, lambda known: known.changed(hash_, lambda one: one.revoked(now_s)))

        answer = grant_json(granted.revoked(now_s)) | {"call": disable_call_of(granted, policy)}
        if call.params.get("fees") is None:
            await self._consume(asked)
            await first()
            return answer
        with delegation_rules():
            transaction = parse_disabling(call.params["fees"], granted, policy)
            second.check_transaction(transaction)
        signature = await self._wallets.sign(
            asked.session,
            asked.caller.login,
            transaction.digest,
            right="grant_delegation",
            nonce=asked.caller.nonce,
            first=first,
        )
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = transaction.signed(r, s, signature[64] - 27)
        signed = {"raw": "0x" + raw.hex(), "hash": "0x" + transaction_hash(raw).hex()}
        return answer | {"transaction": signed | {"understood": transaction.understood()}}

    async def _sign(self, asked: _Asked, granted: Granted, policy: ChainPolicy) -> Granted:
        """The rules are judged anew, for time has passed; then ledgers, record, signature, in this order."""
        caller, now_s = asked.caller, self._clock.now_s()
        account_id, delegation = caller.login.account_id, granted.signed.delegation
        second = await self._second_opinion.get()
        with delegation_rules():
            found = verified(delegation, policy, asked.account, now_s)
            second.check_delegation(delegation, policy.rules.deployment.manager, granted.chain_id)
        (await self._grants.load(account_id)).with_grant(granted, now_s)  # refused before anything is reserved

        async def first() -> None:
            caps = policy.caps.get(found.grant.asset)
            await self._outstanding.reserve(caller.scope.scope, caller.login.address, found, caps)
            await self._grants.change(account_id, lambda known: known.with_grant(granted, now_s))

        signature = await self._wallets.sign(
            asked.session, caller.login, found.digest, right="grant_delegation", nonce=caller.nonce, first=first
        )
        known = await self._grants.change(
            account_id, lambda known: known.changed(granted.hash, lambda one: one.with_signature(signature))
        )
        signed = known.find(granted.hash)
        if signed is None or signed.state == "revoked":  # meanwhile
            raise Refusal(errors.DELEGATION_NOT_FOUND)
        return signed

    async def _granted(self, asked: _Asked, hash_: bytes) -> Granted:
        """What is on the record under a hash, or what was shown under it to this device."""
        caller = asked.caller
        known = (await self._grants.load(caller.login.account_id)).find(hash_)
        if known is not None and known.state != "revoked":
            return known
        offer = self._offers.find(caller.scope.scope, caller.device.auth_key, hash_, self._clock.monotonic_ms())
        if offer is None or known is not None:
            raise Refusal(errors.DELEGATION_NOT_FOUND)
        found = offer.verified
        return Granted(
            chain_id=found.chain_id,
            signed=SignedDelegation(found.delegation, b""),
            source=offer.source,
            expires_at_s=found.grant.expires_at_s,
            exposure=found.exposure,
            granted_at_s=self._clock.now_s(),
        )

    async def _amounts(self, asked: _Asked, policy: ChainPolicy, asset: Address | None) -> dict[str, Any]:
        caps = policy.caps.get(asset)
        if caps is None:
            return {"outstanding": None}
        scope, account = asked.caller.scope.scope, asked.caller.login.address
        return {"outstanding": amounts_json(await self._outstanding.of(scope, account, policy.chain_id, asset, caps))}

    async def _authorize(self, call: SignedCall, members: frozenset[str]) -> _Asked:
        caller = await self._authorizer.authorize(call, members)
        session = self._authorizer.session(call, caller)
        delegations = caller.scope.delegations
        if delegations is None or "grant_delegation" not in caller.scope.rights:
            raise Refusal(errors.RIGHT_NOT_GRANTED)
        return _Asked(caller, session, delegations)

    async def _consume(self, asked: _Asked) -> None:
        caller, now_ms = asked.caller, self._clock.monotonic_ms()
        await self._nonces.consume(caller.scope.scope, caller.device.auth_key, caller.nonce, now_ms)

    def _policy(self, asked: _Asked, chain_id: int) -> ChainPolicy:
        with delegation_rules():
            return policy_of(asked.delegations, chain_id)


@contextmanager
def delegation_rules() -> Iterator[None]:
    """Turns refusals of formats and rules into those of the wire; the rule's name is the cause."""
    try:
        yield
    except DelegationError as error:
        raise Refusal(errors.DELEGATION_RULE, error.code) from None
    except EvmError as error:
        raise Refusal(errors.UNDECODABLE, error.code) from None
