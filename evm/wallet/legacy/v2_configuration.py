"""Legacy: configurations of the second generation. Trees like today's, but a signer's leaf is not hashed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from evm.address import Address
from evm.keccak import keccak256
from evm.wallet.abi import word
from evm.wallet.errors import WalletError, require
from evm.wallet.topology import (
    Branch,
    NestedLeaf,
    NodeLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
    hash_nested,
)


@dataclass(frozen=True, slots=True)
class V2Configuration:
    """Threshold, checkpoint (often a time in seconds) and signers; no checkpointer, no sapient signers."""

    threshold: int
    checkpoint: int
    topology: Topology

    def __post_init__(self) -> None:
        require(0 < self.threshold < 2**16, "wallet-config-threshold")
        require(0 <= self.checkpoint < 2**32, "wallet-config-checkpoint")

    @property
    def image_hash(self) -> bytes:
        """What the wallet stores, or what its address was made from."""
        return hash_v2_configuration(hash_v2_topology(self.topology), self.threshold, self.checkpoint)


def hash_v2_configuration(root: bytes, threshold: int, checkpoint: int) -> bytes:
    """The image hash of a configuration whose tree has the hash `root`."""
    return keccak256(keccak256(root + word(threshold)) + word(checkpoint))


def hash_v2_topology(topology: Topology) -> bytes:
    """The hash of a tree; refuses leaves that the second generation does not know."""
    match topology:
        case SignerLeaf(address=address, weight=weight):
            return v2_signer_leaf(address, weight)
        case Branch(left=left, right=right):
            return keccak256(hash_v2_topology(left) + hash_v2_topology(right))
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            return hash_nested(hash_v2_topology(tree), threshold, weight)
        case NodeLeaf() | SubdigestLeaf():
            return topology.hash
    raise WalletError("wallet-legacy-leaf")


def v2_signer_leaf(address: Address, weight: int) -> bytes:
    """A signer's leaf: weight and address in one word."""
    require(0 <= weight < 2**8, "wallet-leaf-weight")
    return (weight.to_bytes(1, "big") + address).rjust(32, b"\0")


def v2_simple_tree(signers: Sequence[SignerLeaf]) -> Topology:
    """The client library's tree of a list: folded from the left, in order."""
    require(bool(signers), "wallet-topology-leaves")
    first, *others = signers
    found: Topology = first
    return reduce(Branch, others, found)
