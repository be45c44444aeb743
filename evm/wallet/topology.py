"""The tree of a wallet's signers, and the hash of each kind of leaf.

The contract's `BaseSig.sol` (`_leafFor...`). A leaf says who may sign and with how much weight; whether an address is a
key or a contract is said by the signature, not by the leaf. The tree is data: its shape is part of its hash.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, Address
from evm.fields import UINT256_MAX
from evm.keccak import keccak256
from evm.wallet.errors import require
from evm.wallet.values import HASH_BYTES

MAX_LEAVES: Final = 16_384  # own choice; a signature that shows half of them no longer fits a transaction
MAX_DEPTH: Final = 64  # the contracts' own stack ends at about 54 nested items

_SIGNER: Final = b"Sequence signer:\n"
_SAPIENT: Final = b"Sequence sapient config:\n"
_NESTED: Final = b"Sequence nested config:\n"
_SUBDIGEST: Final = b"Sequence static digest:\n"
_ANY_ADDRESS_SUBDIGEST: Final = b"Sequence any address subdigest:\n"

WALLET_AS_SIGNER: Final = (1).to_bytes(HASH_BYTES, "big")
"""The image hash in the sapient leaf of a signer that is itself a wallet."""


@dataclass(frozen=True, slots=True)
class SignerLeaf:
    """A key or a contract (ERC-1271) that adds its weight when it signs."""

    address: Address
    weight: int

    def __post_init__(self) -> None:
        _validate(self.address, self.weight)

    @property
    def hash(self) -> bytes:
        """The leaf's hash, also for a signer that was recovered from a signature."""
        return hash_signer(self.address, self.weight)


@dataclass(frozen=True, slots=True)
class SapientLeaf:
    """A contract that is shown the payload and answers with an image hash, which has to be this one."""

    address: Address
    weight: int
    image_hash: bytes

    def __post_init__(self) -> None:
        _validate(self.address, self.weight)
        require(len(self.image_hash) == HASH_BYTES, "wallet-leaf-hash")

    @property
    def hash(self) -> bytes:
        """The leaf's hash."""
        return hash_sapient(self.address, self.weight, self.image_hash)


@dataclass(frozen=True, slots=True)
class SubdigestLeaf:
    """An operation hash that is approved in advance, without any signature."""

    digest: bytes

    def __post_init__(self) -> None:
        require(len(self.digest) == HASH_BYTES, "wallet-leaf-hash")

    @property
    def hash(self) -> bytes:
        """The leaf's hash."""
        return keccak256(_SUBDIGEST + self.digest)


@dataclass(frozen=True, slots=True)
class AnyAddressSubdigestLeaf:
    """An operation approved in advance, by its hash for a wallet at address 0: the wallet's own is not known yet."""

    digest: bytes

    def __post_init__(self) -> None:
        require(len(self.digest) == HASH_BYTES, "wallet-leaf-hash")

    @property
    def hash(self) -> bytes:
        """The leaf's hash."""
        return keccak256(_ANY_ADDRESS_SUBDIGEST + self.digest)


@dataclass(frozen=True, slots=True)
class NodeLeaf:
    """A subtree of which only the hash is shown."""

    hash: bytes

    def __post_init__(self) -> None:
        require(len(self.hash) == HASH_BYTES, "wallet-leaf-hash")


@dataclass(frozen=True, slots=True)
class NestedLeaf:
    """A tree that counts as one signer of `weight` once the weight inside reaches `threshold`."""

    tree: "Topology"
    weight: int
    threshold: int
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        require(0 <= self.weight <= UINT256_MAX, "wallet-leaf-weight")
        require(0 <= self.threshold <= UINT256_MAX, "wallet-leaf-threshold")
        object.__setattr__(self, "depth", _bounded(1 + depth(self.tree)))

    @property
    def hash(self) -> bytes:
        """The leaf's hash; the threshold stands before the weight."""
        return hash_nested(self.tree.hash, self.threshold, self.weight)


@dataclass(frozen=True, slots=True)
class Branch:
    """Two subtrees."""

    left: "Topology"
    right: "Topology"
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _bounded(1 + max(depth(self.left), depth(self.right))))

    @property
    def hash(self) -> bytes:
        """The hash of both hashes."""
        return keccak256(self.left.hash + self.right.hash)


Leaf: TypeAlias = SignerLeaf | SapientLeaf | SubdigestLeaf | AnyAddressSubdigestLeaf | NodeLeaf | NestedLeaf
Topology: TypeAlias = Leaf | Branch


def hash_signer(address: Address, weight: int) -> bytes:
    """The hash of a signer's leaf."""
    return keccak256(_SIGNER + address + weight.to_bytes(32, "big"))


def hash_sapient(address: Address, weight: int, image_hash: bytes) -> bytes:
    """The hash of a sapient signer's leaf."""
    return keccak256(_SAPIENT + address + weight.to_bytes(32, "big") + image_hash)


def hash_nested(tree_hash: bytes, threshold: int, weight: int) -> bytes:
    """The hash of a nested tree's leaf."""
    return keccak256(_NESTED + tree_hash + threshold.to_bytes(32, "big") + weight.to_bytes(32, "big"))


def depth(topology: Topology) -> int:
    """Branches and nested trees above the deepest leaf; `MAX_DEPTH` at most, by construction."""
    return topology.depth if isinstance(topology, Branch | NestedLeaf) else 0


def flat_tree(leaves: Sequence[Topology]) -> Topology:
    """The default tree of a list: halved again and again, the smaller half to the left."""
    require(0 < len(leaves) <= MAX_LEAVES, "wallet-topology-leaves")
    if len(leaves) == 1:
        return leaves[0]
    middle = len(leaves) // 2
    return Branch(flat_tree(leaves[:middle]), flat_tree(leaves[middle:]))


def leaves_of(topology: Topology) -> Iterator[Leaf]:
    """The leaves from left to right; those inside a nested tree follow it."""
    waiting = [topology]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Branch):
            waiting += (node.right, node.left)
            continue
        yield node
        if isinstance(node, NestedLeaf):
            waiting.append(node.tree)


def _bounded(levels: int) -> int:
    require(levels <= MAX_DEPTH, "wallet-topology-depth")
    return levels


def _validate(address: Address, weight: int) -> None:
    require(len(address) == ADDRESS_BYTES, "wallet-leaf-address")
    require(0 <= weight <= UINT256_MAX, "wallet-leaf-weight")
