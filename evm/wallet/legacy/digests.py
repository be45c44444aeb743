"""Legacy: what signers of the first and second generation sign."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evm.address import Address
from evm.keccak import keccak256
from evm.wallet.abi import Tail, array, dynamic, encode, word
from evm.wallet.errors import require
from evm.wallet.payload import MAX_CALLS, MAX_PAYLOAD_BYTES
from evm.wallet.values import HASH_BYTES

NONCE_BITS: Final = 96
SELF: Final = "self:"
GUEST: Final = "guest:"
"""Stand in place of a nonce in the digest of `selfExecute`, and in that of the guest module."""

_SET_IMAGE_HASH: Final = keccak256(b"SetImageHash(bytes32 imageHash)")


@dataclass(frozen=True, slots=True)
class LegacyCall:
    """One call of a bundle; value in wei, gas limit 0 forwards all gas."""

    target: Address
    value: int
    data: bytes
    gas_limit: int = 0
    delegate_call: bool = False
    revert_on_error: bool = True

    def __post_init__(self) -> None:
        require(len(self.data) <= MAX_PAYLOAD_BYTES, "wallet-call-data")
        require(0 <= self.value < 2**256 and 0 <= self.gas_limit < 2**256, "wallet-call-value")


def subdigest(chain_id: int, wallet: Address, digest: bytes) -> bytes:
    """The digest bound to chain and wallet, which is signed. Chain id 0: on every chain."""
    require(0 <= chain_id < 2**256 and len(digest) == HASH_BYTES, "wallet-legacy-digest")
    return keccak256(b"\x19\x01" + word(chain_id) + wallet + digest)


def bundle_nonce(space: int, nonce: int) -> int:
    """Space and nonce in one number."""
    require(0 <= space < 2**160 and 0 <= nonce < 2**NONCE_BITS, "wallet-legacy-nonce")
    return space << NONCE_BITS | nonce


def bundle_digest(calls: Sequence[LegacyCall], nonce: int | str) -> bytes:
    """The digest of a bundle of calls under its nonce, or under `SELF` or `GUEST`."""
    require(len(calls) <= MAX_CALLS, "wallet-calls-count")
    if isinstance(nonce, str):
        require(nonce in (SELF, GUEST), "wallet-legacy-nonce")
        return keccak256(encode(dynamic(nonce.encode()), encode_calls(calls)))
    return keccak256(encode(word(nonce), encode_calls(calls)))


def approval_digest(image_hash: bytes) -> bytes:
    """The digest with which a configuration approves of the next one; signed for chain 0."""
    require(len(image_hash) == HASH_BYTES, "wallet-image-hash")
    return keccak256(_SET_IMAGE_HASH + image_hash)


def encode_calls(calls: Sequence[LegacyCall]) -> Tail:
    """The calls as the contracts take and hash them: an ABI array of tuples."""
    return array(
        *(
            Tail(
                encode(
                    word(call.delegate_call),
                    word(call.revert_on_error),
                    word(call.gas_limit),
                    word(call.target),
                    word(call.value),
                    dynamic(call.data),
                )
            )
            for call in calls
        )
    )
