"""Messages that a wallet signs for others: what is shown, what they hash, and what the wallet's signers sign.

Others ask `isValidSignature(hash, signature)` with the hash of a preimage. The wallet's signers sign neither the hash
nor the preimage but a message payload of the preimage, which is bound to the wallet and, mostly, to a chain.
"""

from typing import Final

from evm.keccak import keccak256
from evm.typed_data import TypedData
from evm.wallet.payload import DigestPayload, MessagePayload

MAGIC: Final = bytes.fromhex("1626ba7e")
"""What `isValidSignature` answers where it agrees; its own selector."""


def personal_preimage(message: bytes) -> bytes:
    """The bytes whose hash a `personal_sign` verifier asks about (EIP-191)."""
    return b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message


def typed_data_preimage(document: TypedData) -> bytes:
    """The bytes whose hash is an EIP-712 document's digest."""
    return b"\x19\x01" + document.domain_separator + document.struct_hash


def message_payload(preimage: bytes) -> MessagePayload:
    """What is signed where the preimage is known, as it always should be."""
    return MessagePayload(preimage)


def digest_payload(preimage: bytes) -> DigestPayload:
    """What the wallet's contract makes of the hash that it is asked about; its operation hash is the message's."""
    return DigestPayload(keccak256(preimage))
