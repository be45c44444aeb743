"""The recovery tree: which keys may recover the wallet, and how long each has to wait.

Only the hash of the root stands in the wallet's configuration; a recovery shows the leaf of its key and hides the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, Address
from evm.fields import UINT64_MAX
from evm.keccak import keccak256
from evm.wallet.abi import word
from evm.wallet.errors import require
from evm.wallet.values import HASH_BYTES

MAX_DELTA_TIME_S: Final = 2**24 - 1  # three bytes: 194 days
MAX_LEAVES: Final = 1024  # own choice; a wallet has a few
MAX_DEPTH: Final = 32  # what the client library takes for safe in any tree of a wallet; halving needs 10
DEFAULT_DELTA_TIME_S: Final = 2_592_000  # 30 days: what the client library gives a new wallet's device

_CODE: Final = "wallet-recovery-tree"
LEAF_PREFIX: Final = b"Sequence recovery leaf:\n"


@dataclass(frozen=True, slots=True)
class RecoveryLeaf:
    """A key that may recover the wallet `required_delta_s` seconds after it queued what it wants to do.

    What it queued before `min_timestamp_s` (Unix time) never counts. The zero address is refused: the contract takes
    malformed signatures for its own, so anyone could queue.
    """

    signer: Address
    required_delta_s: int
    min_timestamp_s: int = 0

    def __post_init__(self) -> None:
        require(len(self.signer) == ADDRESS_BYTES and any(self.signer), f"{_CODE}-signer")
        require(0 <= self.required_delta_s <= MAX_DELTA_TIME_S, f"{_CODE}-delta-time")
        require(0 <= self.min_timestamp_s <= UINT64_MAX, f"{_CODE}-min-timestamp")

    @property
    def preimage(self) -> bytes:
        """What is hashed: a prefix, the address, both times as words."""
        return LEAF_PREFIX + self.signer + word(self.required_delta_s) + word(self.min_timestamp_s)

    @property
    def hash(self) -> bytes:
        """The leaf's hash."""
        return keccak256(self.preimage)


@dataclass(frozen=True, slots=True)
class Node:
    """A subtree of which only the hash is shown. The contract would take a zero hash for no node at all."""

    hash: bytes

    def __post_init__(self) -> None:
        require(len(self.hash) == HASH_BYTES and any(self.hash), f"{_CODE}-node")


@dataclass(frozen=True, slots=True)
class Branch:
    """Two subtrees."""

    left: "Tree"
    right: "Tree"
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        depth = 1 + max(_depth(self.left), _depth(self.right))
        require(depth <= MAX_DEPTH, f"{_CODE}-depth")
        object.__setattr__(self, "depth", depth)

    @property
    def hash(self) -> bytes:
        """The hash of both hashes."""
        return keccak256(self.left.hash + self.right.hash)


Tree: TypeAlias = RecoveryLeaf | Node | Branch
"""`hash` of the root is the image hash in the wallet's configuration."""


def flat(members: Sequence[Tree]) -> Tree:
    """The default tree of a list: halves, of which the first is the smaller, down to single members."""
    require(0 < len(members) <= MAX_LEAVES, f"{_CODE}-leaves-count")
    if len(members) == 1:
        return members[0]
    half = len(members) // 2
    return Branch(flat(members[:half]), flat(members[half:]))


def leaves(tree: Tree) -> Iterator[RecoveryLeaf]:
    """The visible leaves, in order."""
    match tree:
        case RecoveryLeaf():
            yield tree
        case Branch():
            yield from leaves(tree.left)
            yield from leaves(tree.right)


def trim(tree: Tree, signer: Address) -> Tree:
    """The tree with only the leaves of `signer` shown, everything else behind as few hashes as there can be."""
    require(any(leaf.signer == signer for leaf in leaves(tree)), f"{_CODE}-no-such-signer")
    return _hide(tree, signer)


def _hide(tree: Tree, signer: Address) -> Tree:
    match tree:
        case Branch():
            branch = Branch(_hide(tree.left, signer), _hide(tree.right, signer))
            hidden = isinstance(branch.left, Node) and isinstance(branch.right, Node)
            return Node(branch.hash) if hidden else branch
        case RecoveryLeaf():
            return tree if tree.signer == signer else Node(tree.hash)
        case Node():
            return tree


def _depth(tree: Tree) -> int:
    return tree.depth if isinstance(tree, Branch) else 0
