"""Intents that make a wallet sign: what is meant is shown, judged and signed as one value, by the login and the guard.

The order is always the same: chain, words, the contracts' rules, the nonce, the login's signature, then the guard's, if
the wallet has one. What is called a signature was complete by the contracts' own rules.
"""

from dataclasses import dataclass
from typing import Any

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.rpc.wallet_call import bounded, wallet_rules
from enclave.sequence.signing import Prepared
from enclave.waas.caller import Caller, Order, intent_rules
from enclave.waas.second_signature import HeldForReview, SecondSignature
from enclave.waas.sending import Sending, relayed
from enclave.waas.users import User
from enclave.wallets import Wallets
from evm.intents.errors import IntentError
from evm.intents.shown_wallet import ShownWalletV3
from evm.intents.signable import Signable, Signing, parse_personal_message, proof_text, signable
from evm.intents.user_wallet import WalletV3
from evm.intents.wallet_data import SendTransaction, SessionAuthProof, SignMessage, SignTypedData
from evm.signature import parse_signature
from evm.wallet.operation_hash import Operation
from evm.wallet.signature.filling import LeafSignature, key_signature
from protocol import errors

WalletSigning = SignMessage | SignTypedData | SessionAuthProof | SendTransaction


@dataclass(frozen=True, slots=True)
class Signed:
    """An intent's operation, and the wallet's signature in its forms (`Prepared.signed`)."""

    found: Signable
    operation: Operation
    answer: dict[str, Any]

    @property
    def message_signature(self) -> str:
        """For verifiers of messages: good also before the wallet is deployed (ERC-6492)."""
        return str(self.answer.get("erc6492", self.answer["partial"]))


class IntentSigning:
    """Answers the intents that sign."""

    def __init__(self, wallets: Wallets, second: SecondSignature, sending: Sending, clock: TrustedClock) -> None:
        self._wallets = wallets
        self._second = second
        self._sending = sending
        self._order = Order(clock)

    async def answer(self, caller: Caller, user: User, data: WalletSigning) -> tuple[str, Any]:
        """Code and data of the answer; `confirmationRequired` where the guard's reviewers have to decide first."""
        try:
            return await self._answer(caller, user, data)
        except HeldForReview as held:
            facts = {"confirmationId": held.id, "salt": "", "challengeType": "Review", "expiresIn": 0}
            return "confirmationRequired", facts

    async def _answer(self, caller: Caller, user: User, data: WalletSigning) -> tuple[str, Any]:
        session = caller.intent.session.text
        match data:
            case SignMessage():
                with intent_rules():
                    message = parse_personal_message(data.message)
                signed = await self._signed(caller, user, data)
                return "signedMessage", {
                    "signature": signed.message_signature,
                    "message": "0x" + message.data.hex(),
                }
            case SignTypedData():
                signed = await self._signed(caller, user, data)
                encoded = "0x" + data.document.digest.hex()
                return "signedTypedData", {"signature": signed.message_signature, "encodedTypedData": encoded}
            case SessionAuthProof():
                signed = await self._signed(caller, user, data)
                facts = {"sessionId": session, "network": str(data.chain_id), "wallet": user.address}
                text = "0x" + proof_text(data, session).encode().hex()
                return "sessionAuthProof", facts | {"message": text, "signature": signed.message_signature}
            case SendTransaction():
                signed = await self._signed(caller, user, data)
                whole = relayed(user.wallet, signed.operation, signed.answer)
                return await self._sending.send(whole, caller.request)

    async def _signed(self, caller: Caller, user: User, data: Signing) -> Signed:
        session, issued_at_s = caller.intent.session.text, caller.intent.issued_at_s
        with intent_rules():
            found = signable(data, WalletV3(user.wallet.address), session, issued_at_s)
        if found.operation is None or found.chain_id not in {chain.id for chain in caller.tenant.chains}:
            raise Refusal(errors.ENDPOINT_ERROR, IntentError("intent-chain").cause)
        bounded(found.understood)
        with wallet_rules():
            Prepared(user.wallet, found.operation, ())
        own = await self._wallets.sign(
            user.session, user.login, found.digest, right="sign_payload", nonce=self._order.next()
        )
        others = await self._guards_part(caller, user, found, own)
        with wallet_rules():
            answer = Prepared(user.wallet, found.operation, others).signed(own)
        if not answer["complete"]:
            raise Refusal(errors.RIGHT_NOT_GRANTED)
        return Signed(found, found.operation, answer)

    async def _guards_part(self, caller: Caller, user: User, found: Signable, own: bytes) -> tuple[LeafSignature, ...]:
        plan = user.wallet.plan
        if plan.guard is None:
            return ()
        guard, shown = plan.guard.wallet, ShownWalletV3(plan.configuration, plan.context)
        signature = await self._second.ask(guard, caller, shown, found.digest, own)
        return (key_signature(guard, parse_signature(signature)),)
