"""What a session key signs: the hash of one call within its payload.

The current contracts bind the call to wallet, chain, space, nonce and its place among all calls. The two older hashes
are for explaining signatures of the past: they leave out the wallet, so they hold for every wallet that the key serves.
"""

from evm.keccak import keccak256
from evm.wallet.abi import word
from evm.wallet.payload import CallsPayload


def call_hash(digest: bytes, index: int) -> bytes:
    """Of call `index` of the operation with this digest, whose payload has the parents that the wallet itself sees."""
    return keccak256(digest + word(index))


def call_hash_rc3(payload: CallsPayload, index: int, chain_id: int) -> bytes:
    """As the session contract of Rc3 hashed it: chain, space, nonce, place, call."""
    numbers = (chain_id, payload.space, payload.nonce, index)
    return keccak256(b"".join(map(word, numbers)) + payload.calls[index].struct_hash)


def call_hash_dev(payload: CallsPayload, index: int, chain_id: int) -> bytes:
    """As the session contracts of Dev1 and Dev2 hashed it: chain, space, nonce, call."""
    numbers = (chain_id, payload.space, payload.nonce)
    return keccak256(b"".join(map(word, numbers)) + payload.calls[index].struct_hash)
