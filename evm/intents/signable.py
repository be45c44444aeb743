"""From an intent to the digest that a key signs for it: one value that is judged, shown and signed.

A message is signed as a personal message, whatever its bytes are, so it can be no transaction, typed document or
operation of another account. Bytes that carry the prefix of one already are that message, if the length in it is right.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from evm.address import Address, checksum
from evm.calldata import understand
from evm.delegations.delegation_type import is_delegation
from evm.intents.bundle import Bundle, bundle_of
from evm.intents.errors import IntentError, require
from evm.intents.user_wallet import ChildWalletV2, UserWallet, WalletV3
from evm.intents.wallet_data import AdoptChildWallet, SendTransaction, SessionAuthProof, SignMessage, SignTypedData
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.typed_data import TypedData
from evm.wallet.erc1271 import personal_preimage, typed_data_preimage
from evm.wallet.legacy.digests import approval_digest
from evm.wallet.legacy.embedded import adopted_configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import ConfigUpdatePayload, MessagePayload, Payload
from protocol import limits

_PREFIX: Final = b"\x19Ethereum Signed Message:\n"
_MAX_DIGITS: Final = len(str(limits.MAX_MESSAGE_BYTES))

Signing: TypeAlias = SendTransaction | SignMessage | SignTypedData | SessionAuthProof | AdoptChildWallet


@dataclass(frozen=True, slots=True)
class Signable:
    """What is signed for an intent. `digest` is for the key; `own_digest` is the name of a bundle in receipts.

    `payload` says what it does, in the third generation's words for both; a message that is a typed document comes with
    it, calls with the bundle that they are. `operation` is what a wallet of the third generation signs; None for the
    second.
    """

    wallet: Address
    chain_id: int
    digest: bytes
    own_digest: bytes
    understood: dict[str, Any]
    payload: Payload
    operation: Operation | None = None
    document: TypedData | None = None
    bundle: Bundle | None = None


def signable(intent: Signing, wallet: UserWallet, session_id: str, issued_at_s: int) -> Signable:
    """What the intent makes the user's wallet sign; `intent-wallet` unless it is that wallet which it names.

    Nothing but the intent, its session and its time go in, so whoever verified the same intent gets the same digest.
    """
    require(intent.wallet == wallet.address, "intent-wallet")
    match intent:
        case SendTransaction():
            return _bundle(bundle_of(intent), wallet)
        case SignMessage():
            return _message(intent.chain_id, wallet, parse_personal_message(intent.message))
        case SessionAuthProof():
            proof = PersonalMessage(proof_text(intent, session_id).encode(), proof_text(intent, session_id))
            return _message(intent.chain_id, wallet, proof)
        case SignTypedData():
            return _document(intent.chain_id, wallet, intent.document)
        case AdoptChildWallet():
            return _adoption(intent, wallet, issued_at_s)


def parse_personal_message(data: bytes) -> PersonalMessage:
    """The message that a wallet is asked to sign, without its prefix; `intent-message-prefix` when that is wrong."""
    body = data
    if data.startswith(_PREFIX):
        rest = data[len(_PREFIX) :]
        bodies = {rest[digits:] for digits in range(1, _MAX_DIGITS + 1) if data == personal_preimage(rest[digits:])}
        require(len(bodies) == 1, "intent-message-prefix")
        [body] = bodies
    try:
        return PersonalMessage(body, body.decode())
    except UnicodeDecodeError:
        return PersonalMessage(body, None)


def proof_text(intent: SessionAuthProof, session_id: str) -> str:
    """What `sessionAuthProof` signs: who acts for which wallet, and the asker's nonce."""
    parts = ["SessionAuthProof", session_id, checksum(intent.wallet), *([intent.nonce] if intent.nonce else [])]
    return " ".join(parts)


def _bundle(bundle: Bundle, wallet: UserWallet) -> Signable:
    """Calls; none of them is one by which a wallet changes who acts for it (ADR 42)."""
    own = (wallet.address, wallet.parent) if isinstance(wallet, ChildWalletV2) else (wallet.address,)
    require(not any(call.to in own and call.data for call in bundle.calls), "intent-call-self")
    by, chain_id = wallet.address, bundle.chain_id
    calls = [understand(call.to, call.value, call.data, sender=by, chain_id=chain_id) for call in bundle.calls]
    understood = {
        "kind": "calls",
        "chainId": str(bundle.chain_id),
        "calls": [effects.as_json() for effects in calls],
        "words": [*(effects.words for effects in calls), f"On chain {bundle.chain_id}, all of it or nothing"],
    }
    if isinstance(wallet, WalletV3):
        found = _of_operation(bundle.operation, understood)
    else:
        found = _of_child(wallet, bundle.chain_id, bundle.legacy_digest, understood, bundle.operation.payload)
    return replace(found, bundle=bundle)


def _message(chain_id: int, wallet: UserWallet, message: PersonalMessage) -> Signable:
    return _preimage(chain_id, wallet, personal_preimage(message.data), message.understood())


def _document(chain_id: int, wallet: UserWallet, document: TypedData) -> Signable:
    require(document.chain_id in (None, chain_id), "intent-typed-data-chain")
    require(not is_delegation(document), "intent-typed-data-delegation")
    found = _preimage(chain_id, wallet, typed_data_preimage(document), document.understood())
    return replace(found, document=document)


def _preimage(chain_id: int, wallet: UserWallet, preimage: bytes, understood: dict[str, Any]) -> Signable:
    understood = {**understood, "words": [*understood["words"], f"By the wallet on chain {chain_id}"]}
    if isinstance(wallet, WalletV3):
        return _of_operation(wallet.message(chain_id, preimage), understood)
    return _of_child(wallet, chain_id, keccak256(preimage), understood, MessagePayload(preimage))


def _of_operation(operation: Operation, understood: dict[str, Any]) -> Signable:
    digest = operation.digest
    return Signable(operation.wallet, operation.chain_id, digest, digest, understood, operation.payload, operation)


def _of_child(
    wallet: ChildWalletV2, chain_id: int, digest: bytes, understood: dict[str, Any], payload: Payload
) -> Signable:
    signed, own = wallet.digest(chain_id, digest), wallet.own_digest(chain_id, digest)
    return Signable(wallet.address, chain_id, signed, own, understood, payload)


def _adoption(intent: AdoptChildWallet, wallet: UserWallet, issued_at_s: int) -> Signable:
    """The approval of a next configuration: by its nature it holds on every chain, so it is signed for chain 0."""
    if not isinstance(wallet, ChildWalletV2):
        raise IntentError("intent-adopt-generation")
    require(intent.adopter not in (wallet.address, wallet.parent), "intent-adopter")
    image_hash = adopted_configuration(wallet.parent, intent.adopter, issued_at_s).image_hash
    words = f"Hand full control of the wallet to {checksum(intent.adopter)} as well, on every chain"
    understood = {"kind": "adoption", "adopter": checksum(intent.adopter), "words": [words]}
    return _of_child(wallet, 0, approval_digest(image_hash), understood, ConfigUpdatePayload(image_hash))
