"""Signer/SignAuthorization: the account of the login's key takes on the code of a contract, or gives it up (EIP-7702).

Whoever's code an account runs can do everything with it. So it takes a right of its own, a login of the last few
minutes, a contract that is pinned for the chain, and the account's nonce, which the caller has to name and is shown.
"""

from typing import Any, Final

from enclave.account_changes import AccountChanges
from enclave.config import Scope
from enclave.delegations.policy import policy_of
from enclave.login.notices import Notice
from enclave.rpc import params
from enclave.rpc.delegation_call import DelegationCalls, delegation_rules
from enclave.rpc.envelope import SignedCall
from enclave.second_opinion import SecondOpinion
from enclave.wallets import Wallets
from evm.address import ZERO_ADDRESS, Address
from evm.authorization import MAX_NONCE, Authorization, parse_authorization
from evm.delegations.rules import validate_code
from evm.fields import quantity

_MEMBERS: Final = frozenset({"authorization", "accountNonce", "sendsItself"})


class AccountCodeService:
    """The method."""

    def __init__(
        self, calls: DelegationCalls, wallets: Wallets, changes: AccountChanges, second_opinion: SecondOpinion
    ) -> None:
        self._calls = calls
        self._wallets = wallets
        self._changes = changes
        self._second_opinion = second_opinion

    async def sign_authorization(self, call: SignedCall) -> dict[str, Any]:
        """Result `{authorization, signature, digest, signer, understood}`; `authorization` as JSON-RPC takes it."""
        asked = await self._calls.authorize(call, _MEMBERS)
        login = asked.caller.login
        second = await self._second_opinion.get()
        with delegation_rules():
            authorization = parse_authorization(call.params.get("authorization"))
            self._validate(call.params, authorization, asked.caller.scope, asked.account)
            second.check_authorization(authorization)
        if authorization.delegate != ZERO_ADDRESS:
            self._changes.require_fresh(login)
        signature = await self._wallets.sign(
            asked.session, login, authorization.digest, right="take_on_code", nonce=asked.caller.nonce
        )
        await self._calls.tell(asked, Notice.CODE)
        return {
            "authorization": _as_rpc(authorization, signature),
            "signature": "0x" + signature.hex(),
            "digest": "0x" + authorization.digest.hex(),
            "signer": login.address,
            "understood": authorization.understood(),
        }

    def _validate(self, members: dict[str, Any], authorization: Authorization, scope: Scope, account: Address) -> None:
        policy = policy_of(scope.delegations, authorization.chain_id)
        validate_code(
            authorization,
            account,
            chains=policy.rules.chains,
            code=policy.account_code,
            nonce=quantity(members.get("accountNonce"), "authorization-nonce", most=MAX_NONCE),
            sends_itself=params.flag(members, "sendsItself"),
        )


def _as_rpc(authorization: Authorization, signature: bytes) -> dict[str, str]:
    r, s, v = signature[:32], signature[32:64], signature[64]
    numbers = {"r": int.from_bytes(r, "big"), "s": int.from_bytes(s, "big"), "yParity": v - 27}
    unsigned = {"chainId": authorization.chain_id, "nonce": authorization.nonce}
    quantities = {name: hex(value) for name, value in (unsigned | numbers).items()}
    return {"address": "0x" + authorization.delegate.hex()} | quantities
