"""Intents that make a wallet sign: what is meant is shown, judged and signed as one value, by enclave and guard.

The order is always the same: chain, words, the contracts' rules, the nonce, the enclave's signature, then the guard's,
if the wallet has one. What is called a signature was complete by the contracts' own rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.rpc.wallet_call import bounded, wallet_rules
from enclave.second_opinion import SecondOpinion
from enclave.waas.caller import Caller, Order, intent_rules
from enclave.waas.confirmations import ConfirmationRequired, Confirmations, Waiting
from enclave.waas.embedded_wallet import Whole
from enclave.waas.former_users import FormerUsers
from enclave.waas.second_signature import SecondSignature
from enclave.waas.sending import Sending
from enclave.waas.users import User
from enclave.waas.wallet_v2 import Adoption, ChildOfParent
from enclave.wallets import Wallets
from evm.address import checksum
from evm.intents.account_data import ConfirmIntent
from evm.intents.adoption import verify_adopter
from evm.intents.errors import IntentError
from evm.intents.signable import Signable, Signing, parse_personal_message, proof_text, signable
from evm.intents.wallet_data import (
    AdoptChildWallet,
    FeeOptions,
    SendTransaction,
    SessionAuthProof,
    SignMessage,
    SignTypedData,
)
from protocol import errors

Factor: TypeAlias = Mapping[str, str] | None
"""A code of the user, as the guard's wire takes it: `{id, token}`."""


class IntentSigning:
    """Answers the intents that sign."""

    def __init__(
        self,
        wallets: Wallets,
        second: SecondSignature,
        sending: Sending,
        former: FormerUsers,
        clock: TrustedClock,
        random: Callable[[int], bytes],
        second_opinion: SecondOpinion,
    ) -> None:
        self._wallets = wallets
        self._second = second
        self._sending = sending
        self._former = former
        self._clock = clock
        self._random = random
        self._second_opinion = second_opinion
        self._order = Order(clock)
        self._confirmations = Confirmations()

    async def answer(self, caller: Caller, user: User, data: Signing) -> tuple[str, Any]:
        """Code and data of the answer; `confirmationRequired` where the guard wants something first."""
        try:
            return await self._answer(caller, user, data)
        except ConfirmationRequired as required:
            return self._required(required, Waiting(caller, data, required.kind))

    async def confirm(self, caller: Caller, user: User, confirm: ConfirmIntent) -> tuple[str, Any]:
        """The answer to the intent that waits, with the user's code. CHALLENGE_EXPIRED; ANSWER_INCORRECT for another
        code, whose tries the guard counts.
        """
        waiting = self._confirmations.require(caller, confirm.confirmation_id, self._clock.now_s())
        factor = None if waiting.kind == "Review" else {"id": waiting.kind, "token": confirm.answer}
        try:
            answer = await self._answer(waiting.caller, user, waiting.data, factor)
        except ConfirmationRequired as required:
            if required.wrong:
                raise Refusal(errors.ANSWER_INCORRECT) from None
            self._confirmations.forget(confirm.confirmation_id)
            return self._required(required, replace(waiting, kind=required.kind))
        self._confirmations.forget(confirm.confirmation_id)
        return answer

    def confirmation_status(self, caller: Caller, id_: str) -> tuple[str, Any]:
        """Whether an intent of this session waits under an id."""
        waiting = self._confirmations.find(caller, id_, self._clock.now_s())
        facts = {"confirmationId": id_, "status": "none" if waiting is None else "pending"}
        return "confirmationStatus", facts | ({} if waiting is None else {"challengeType": waiting.kind})

    def _required(self, required: ConfirmationRequired, waiting: Waiting) -> tuple[str, Any]:
        id_, now_s = required.review or self._random(16).hex(), self._clock.now_s()
        self._confirmations.keep(id_, waiting, now_s)
        ends_s = max(0, waiting.caller.intent.forget_at_s - now_s)
        facts = {"confirmationId": id_, "salt": "", "challengeType": required.kind, "expiresIn": ends_s}
        return "confirmationRequired", facts

    async def _answer(self, caller: Caller, user: User, data: Signing, factor: Factor = None) -> tuple[str, Any]:
        session = caller.intent.session.text
        match data:
            case SignMessage():
                with intent_rules():
                    message = parse_personal_message(data.message)
                signature = await self._message(caller, user, data, factor)
                return "signedMessage", {"signature": signature, "message": "0x" + message.data.hex()}
            case SignTypedData():
                signature = await self._message(caller, user, data, factor)
                encoded = "0x" + data.document.digest.hex()
                return "signedTypedData", {"signature": signature, "encodedTypedData": encoded}
            case SessionAuthProof():
                signature = await self._message(caller, user, data, factor)
                facts = {"sessionId": session, "network": str(data.chain_id), "wallet": user.address}
                text = "0x" + proof_text(data, session).encode().hex()
                return "sessionAuthProof", facts | {"message": text, "signature": signature}
            case AdoptChildWallet():
                return "childWalletAdopted", await self._adopt(caller, user, data, factor)
            case SendTransaction():
                whole = await self._whole(caller, user, await self._found(caller, user, data), factor)
                if whole.relayed is None:
                    raise Refusal(errors.INTERNAL_ERROR)
                return await self._sending.send(replace(whole.relayed, quote=data.fee_quote), caller.request)

    async def fee_options(self, caller: Caller, user: User, data: FeeOptions) -> tuple[str, Any]:
        """What the relay would take for the transactions, by the host's word."""
        meant = SendTransaction(data.chain_id, data.wallet, data.identifier, data.transactions)
        found = await self._found(caller, user, meant)
        with intent_rules():
            unsigned = user.wallet.unsigned(found)
        return await self._sending.fee_options(unsigned)

    async def _message(self, caller: Caller, user: User, data: Signing, factor: Factor) -> str:
        return "0x" + (await self._whole(caller, user, await self._found(caller, user, data), factor)).message.hex()

    async def _adopt(self, caller: Caller, user: User, data: AdoptChildWallet, factor: Factor) -> dict[str, Any]:
        """The user's own wallet is to act for the embedded one. It has to want that, and it is for good."""
        with intent_rules():
            verify_adopter(data)
        found, wallet = await self._found(caller, user, data), user.wallet
        if not isinstance(wallet, ChildOfParent) or wallet.adoption is not None:
            raise Refusal(errors.ENDPOINT_ERROR, "the wallet was adopted before")
        own, guards = await self._signatures(caller, user, found, factor)
        with wallet_rules():
            approval = wallet.approval(found, own, guards or b"")
        checkpoint = caller.intent.issued_at_s
        await self._former.adopt(user.account, Adoption(data.adopter, checkpoint, approval))
        facts = {"checkpoint": checkpoint, "signature": "0x" + approval.hex()}
        return {"adopterAddress": checksum(data.adopter)} | facts

    async def _found(self, caller: Caller, user: User, data: Signing) -> Signable:
        """What the intent means, for a chain of the tenant; eth-account has to arrive at the same digest."""
        second = await self._second_opinion.get()
        with intent_rules():
            found = signable(data, user.wallet.meant, caller.intent.session.text, caller.intent.issued_at_s)
        if data.chain_id not in {chain.id for chain in caller.tenant.chains}:
            raise Refusal(errors.ENDPOINT_ERROR, IntentError("intent-chain").cause)
        bounded(found.understood)
        with wallet_rules():
            user.wallet.prepare(found)
            if found.operation is not None:
                second.check_wallet_payload(found.payload, found.wallet, found.chain_id)
            elif found.bundle is not None:
                bundle = found.bundle
                second.check_legacy_bundle(bundle.legacy_calls, bundle.legacy_nonce, bundle.legacy_digest)
        return found

    async def _whole(self, caller: Caller, user: User, found: Signable, factor: Factor) -> Whole:
        own, guards = await self._signatures(caller, user, found, factor)
        with intent_rules():
            return user.wallet.complete(found, own, guards)

    async def _signatures(
        self, caller: Caller, user: User, found: Signable, factor: Factor
    ) -> tuple[bytes, bytes | None]:
        """The enclave's signature, and the guard's."""
        wallet, by = user.wallet, None
        if isinstance(wallet, ChildOfParent):
            by = self._former.key(caller.scope.scope).sign
        own = await self._wallets.sign(
            user.session, user.login, found.digest, right="sign_payload", nonce=self._order.next(), by=by
        )
        if wallet.guard is None:
            return own, None
        return own, await self._second.ask(wallet.guard, caller, wallet.shown, found.digest, own, factor)
