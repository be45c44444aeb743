"""The adopter's word that it wants to act for a user's wallet.

The original takes it on without looking. Here it has to be a text that names the wallet, signed by the adopter: an
account, or a wallet of the second generation whose first configuration signed.
"""

from evm.address import Address
from evm.errors import EvmError
from evm.intents.errors import require
from evm.intents.wallet_data import AdoptChildWallet
from evm.message import PersonalMessage
from evm.signature import SIGNATURE_BYTES, parse_signature
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.v2_signature import recover_v2


def verify_adopter(intent: AdoptChildWallet) -> None:
    """`intent-adopter-proof` unless the adopter has signed a message in which the wallet's address stands."""
    text = intent.proof.message
    require(b"0x" + intent.wallet.hex().encode() in text.lower(), "intent-adopter-proof")
    digest = PersonalMessage(text, None).digest
    require(_signer(intent, digest) == intent.adopter, "intent-adopter-proof")


def _signer(intent: AdoptChildWallet, digest: bytes) -> Address | None:
    signature = intent.proof.signature
    try:
        if len(signature) == SIGNATURE_BYTES:
            return parse_signature(signature).recover(digest)
        found = recover_v2(signature, digest, intent.adopter, intent.chain_id)
        return V2.wallet_address(found.image_hash) if found.weight >= found.threshold else None
    except EvmError:
        return None
