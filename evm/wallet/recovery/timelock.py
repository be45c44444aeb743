"""When a queued payload may be executed: the contract's `recoverSapientSignatureCompact`.

The wallet shows the trimmed tree (`tree_encoding.py`) as the data of a sapient compact item; nobody signs any more. Any
visible leaf that is ready will do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from evm.address import Address
from evm.wallet.errors import WalletError, require
from evm.wallet.recovery.queue import VerifiedQueueRequest
from evm.wallet.recovery.tree import RecoveryLeaf, Tree, leaves
from evm.wallet.recovery.tree_encoding import parse_tree

Queued: TypeAlias = Mapping[tuple[Address, bytes], int]
"""When (Unix time in seconds, never 0) a wallet's payloads were queued, by signer and payload hash."""

_CODE: Final = "wallet-recovery"


def queue(queued: Queued, verified: VerifiedQueueRequest, *, now_s: int) -> dict[tuple[Address, bytes], int]:
    """What is queued once the request is in; `WalletError` when it was in already: the first time stays."""
    key = (verified.request.signer, verified.request.payload_hash)
    require(now_s > 0, f"{_CODE}-time")
    require(queued.get(key, 0) == 0, f"{_CODE}-queued-already", "AlreadyQueued")
    return {**queued, key: now_s}


def ready_at_s(leaf: RecoveryLeaf, queued_at_s: int) -> int | None:
    """From when on the key's payload can be executed; None when it was queued too early ever to count."""
    if queued_at_s == 0 or queued_at_s < leaf.min_timestamp_s:
        return None
    return queued_at_s + leaf.required_delta_s


def verify_recovery(tree: Tree, payload_hash: bytes, queued: Queued, *, now_s: int) -> bytes:
    """The image hash that the recovery module answers the wallet; `WalletError` before some visible key's time.

    Like the module, this compares no image hash: the wallet does, with the leaf of its configuration.
    """
    for leaf in leaves(tree):
        queued_at_s = queued.get((leaf.signer, payload_hash), 0)
        require(queued_at_s <= now_s, f"{_CODE}-time", "Panic")
        ready = ready_at_s(leaf, queued_at_s)
        if ready is not None and ready <= now_s:
            return tree.hash
    raise WalletError(f"{_CODE}-not-ready", "QueueNotReady")


@dataclass(frozen=True, slots=True)
class Recovery:
    """The recovery contract at one time (Unix, seconds), as the module behind a sapient compact leaf of one wallet."""

    queued: Queued
    now_s: int

    def recover(self, digest: bytes, data: bytes, /) -> bytes:
        """`recoverSapientSignatureCompact`: the image hash of the recovery tree."""
        return verify_recovery(parse_tree(data), digest, self.queued, now_s=self.now_s)
