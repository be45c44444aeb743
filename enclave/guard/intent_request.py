"""A request for the second signature of an embedded wallet: the user's intent, and an instrument's signature for it.

Nothing of what an instrument made of the intent is taken over. The session key's signature is verified here, the wallet
is derived from a configuration that proves itself, and what is signed is built anew from the intent; the instrument's
signature has to be one over exactly that (waas-guard-intents.md 2.2, 1.16).
"""

from dataclasses import dataclass
from typing import Final

from enclave.guard.sign_request import SignRequest
from enclave.sequence.p256 import verify_p256
from evm.address import Address
from evm.fields import hex_bytes, members
from evm.intents.envelope import VerifiedIntent, parse_intent, verify_intent
from evm.intents.errors import IntentError
from evm.intents.shown_wallet import ShownWallet, ShownWalletV2, parse_shown_wallet
from evm.intents.signable import Signing, signable
from evm.intents.user_wallet import ChildWalletV2, UserWallet, WalletV3
from evm.intents.wallet_data import AdoptChildWallet, SendTransaction, SessionAuthProof, SignMessage, SignTypedData
from evm.signature import SIGNATURE_BYTES, parse_signature

_SIGNING: Final = (SendTransaction, SignMessage, SignTypedData, SessionAuthProof, AdoptChildWallet)


@dataclass(frozen=True, slots=True)
class IntentRequest:
    """A verified intent, the wallet that was shown, and the instrument's signature (65 bytes), not yet verified."""

    intent: VerifiedIntent
    data: Signing
    shown: ShownWallet
    signature: bytes


def parse_intent_request(value: object, now_s: int) -> IntentRequest:
    """From `{"intent", "wallet", "signature"}`; `EvmError` for an intent that does not hold now, or asks for nothing
    that a wallet signs.
    """
    found = members(value, required=("intent", "wallet", "signature"), code="guard-request")
    intent = verify_intent(parse_intent(found["intent"]), now_s, verify_p256)
    if not isinstance(intent.data, _SIGNING):
        raise IntentError("intent-kind")
    signature = hex_bytes(found["signature"], "guard-signature", most=SIGNATURE_BYTES)
    return IntentRequest(intent, intent.data, parse_shown_wallet(found["wallet"]), signature)


def sign_request_of(asked: IntentRequest, guard: Address) -> SignRequest:
    """What `guard` is asked to sign, built from the intent. Who has signed it already, the signature says.

    `EvmError`: `guard-signature` where that is nobody who signs for the parent, `intent-parent-…`.
    """
    wallet, beside = _wallet(asked, guard)
    found = signable(asked.data, wallet, asked.intent.session.text, asked.intent.issued_at_s)
    by = parse_signature(asked.signature).recover(found.digest)
    if beside is not None and by != beside:
        raise IntentError("guard-signature")
    return SignRequest(found.wallet, found.chain_id, found.payload, found.digest, (by,), found.document)


def _wallet(asked: IntentRequest, guard: Address) -> tuple[UserWallet, Address | None]:
    """The wallet; and for a child of a parent, the one account that signs for it beside the guard."""
    if isinstance(asked.shown, ShownWalletV2):
        child: tuple[ChildWalletV2, Address] = asked.shown.verify(guard)
        return child
    return WalletV3(asked.data.wallet), None
