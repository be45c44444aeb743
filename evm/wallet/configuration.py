"""A wallet's configuration: threshold, checkpoint, checkpointer, signers. Its image hash is the whole state.

The contracts recover the image hash from a signature and compare it with the one they know. What a signature cannot
express, or what would let anyone or no one sign, is called unsafe here, with the client library's verdicts.
"""

from dataclasses import dataclass
from typing import Final

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.fields import UINT256_MAX
from evm.keccak import keccak256
from evm.wallet.errors import require
from evm.wallet.topology import (
    Branch,
    NestedLeaf,
    SapientLeaf,
    SignerLeaf,
    Topology,
    depth,
    leaves_of,
)

MAX_WEIGHT: Final = 2**8 - 1
MAX_THRESHOLD: Final = 2**16 - 1
MAX_CHECKPOINT: Final = 2**56 - 1
MAX_SAFE_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who may act for a wallet. Each update raises the checkpoint; the checkpointer, if any, may veto an old one."""

    threshold: int
    checkpoint: int
    topology: Topology
    checkpointer: Address | None = None

    def __post_init__(self) -> None:
        require(0 <= self.threshold <= UINT256_MAX, "wallet-config-threshold")
        require(0 <= self.checkpoint <= UINT256_MAX, "wallet-config-checkpoint")
        require(self.checkpointer is None or len(self.checkpointer) == ADDRESS_BYTES, "wallet-config-checkpointer")

    @property
    def asked_checkpointer(self) -> Address | None:
        """The checkpointer that a signature names; the zero address is hashed like none, and cannot be asked."""
        return None if self.checkpointer == ZERO_ADDRESS else self.checkpointer

    @property
    def image_hash(self) -> bytes:
        """What a wallet stores, or what its address was made from."""
        return image_hash(self.topology.hash, self.threshold, self.checkpoint, self.checkpointer)


def image_hash(root: bytes, threshold: int, checkpoint: int, checkpointer: Address | None) -> bytes:
    """The image hash of a configuration whose tree has the hash `root`."""
    for number in (threshold, checkpoint):
        root = keccak256(root + number.to_bytes(32, "big"))
    return keccak256(root + (checkpointer or ZERO_ADDRESS).rjust(32, b"\0"))


def has_invalid_values(configuration: Configuration) -> bool:
    """Whether some number is beyond what a signature has room for."""
    return (
        configuration.threshold > MAX_THRESHOLD
        or configuration.checkpoint > MAX_CHECKPOINT
        or any(
            (isinstance(leaf, SignerLeaf | SapientLeaf | NestedLeaf) and leaf.weight > MAX_WEIGHT)
            or (isinstance(leaf, NestedLeaf) and leaf.threshold > MAX_THRESHOLD)
            for leaf in leaves_of(configuration.topology)
        )
    )


def reachable_weight(topology: Topology) -> int:
    """The weight if everybody shown signs; an operation approved in advance is no signer. Twice listed counts twice."""
    match topology:
        case Branch(left=left, right=right):
            return reachable_weight(left) + reachable_weight(right)
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            return weight if reachable_weight(tree) >= threshold else 0
        case SignerLeaf(weight=weight) | SapientLeaf(weight=weight):
            return weight
    return 0


def validate_safety(configuration: Configuration) -> None:
    """Raises `wallet-config-unsafe-` with the reason.

    `threshold-0`: anyone could sign. `invalid-values`: no signature could express it. `depth`: beyond what is known to
    work on chain. `threshold`: the signers shown cannot reach it.
    """
    require(configuration.threshold > 0, "wallet-config-unsafe-threshold-0")
    require(not has_invalid_values(configuration), "wallet-config-unsafe-invalid-values")
    require(depth(configuration.topology) <= MAX_SAFE_DEPTH, "wallet-config-unsafe-depth")
    reachable = reachable_weight(configuration.topology)
    require(reachable >= configuration.threshold, "wallet-config-unsafe-threshold")
