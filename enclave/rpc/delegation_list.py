"""Delegation/List and Revoke: what was granted, and how it is taken back.

Looking and taking back need no right, and no configuration: what was granted may be older than both.
"""

from typing import Any, Final

from enclave.clock import TrustedClock
from enclave.delegations.answers import grant_json, permission_json, words_of
from enclave.delegations.grants import AccountGrants, GrantRecords
from enclave.delegations.revoking import disable_call_of, parse_disabling
from enclave.errors import Refusal
from enclave.rpc.delegation_call import DelegationCalls, delegation_rules
from enclave.rpc.envelope import SignedCall
from enclave.second_opinion import SecondOpinion
from enclave.wallets import Wallets
from evm.fields import hex_word
from evm.transaction import transaction_hash
from evm.wallet.disguise import validate_undisguised
from protocol import errors

_LIST: Final = frozenset[str]()
_REVOKE: Final = frozenset({"hash", "fees"})


class GrantedService:
    """The two methods."""

    def __init__(
        self,
        calls: DelegationCalls,
        wallets: Wallets,
        clock: TrustedClock,
        second_opinion: SecondOpinion,
        grants: GrantRecords,
    ) -> None:
        self._calls = calls
        self._wallets = wallets
        self._clock = clock
        self._second_opinion = second_opinion
        self._grants = grants

    async def list(self, call: SignedCall) -> dict[str, Any]:
        """What the account has granted and nobody has revoked here, as answers of ERC-7715; and everything, by hash."""
        asked = await self._calls.authorize(call, _LIST)
        now_s = self._clock.now_s()
        known = (await self._grants.load(asked.account_id)).live(now_s)
        await self._calls.consume(asked)
        signed = [grant for grant in known.grants if grant.state == "signed" and grant.expires_at_s > now_s]
        configured = asked.caller.scope.delegations
        return {
            "permissions": [permission_json(grant) for grant in signed if grant.source is not None],
            "delegations": [grant_json(grant) | {"words": words_of(grant, configured)} for grant in known.grants],
        }

    async def revoke(self, call: SignedCall) -> dict[str, Any]:
        """Revoke here, and give the call that disables the delegation on the chain; signed, if `fees` are given."""
        asked = await self._calls.authorize(call, _REVOKE)
        fees, now_s = call.params.get("fees"), self._clock.now_s()
        with delegation_rules():
            hash_ = hex_word(call.params.get("hash"), "delegation-hash")
        granted = (await self._grants.load(asked.account_id)).find(hash_)
        if granted is None:
            raise Refusal(errors.DELEGATION_NOT_FOUND)

        def revoked(known: AccountGrants) -> AccountGrants:
            return known.changed(hash_, lambda one: one.revoked(now_s))

        async def first() -> None:
            await self._grants.change(asked.account_id, revoked)

        answer = grant_json(granted.revoked(now_s)) | {"call": disable_call_of(granted)}
        if fees is None:
            await self._calls.consume(asked)
            await first()
            return answer
        second = await self._second_opinion.get()
        with delegation_rules():
            transaction = parse_disabling(fees, granted)
            validate_undisguised(transaction)
            second.check_transaction(transaction)
        login, nonce = asked.caller.login, asked.caller.nonce
        signature = await self._wallets.sign(
            asked.session, login, transaction.digest, right="grant_delegation", nonce=nonce, first=first
        )
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = transaction.signed(r, s, signature[64] - 27)
        signed = {"raw": "0x" + raw.hex(), "hash": "0x" + transaction_hash(raw).hex()}
        return answer | {"transaction": signed | {"understood": transaction.understood()}}
