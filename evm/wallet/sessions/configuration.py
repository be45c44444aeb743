"""The session tree: explicit sessions, the blacklist of implicit ones, and the identity signers that attest them.

The contract's `SessionSig.recoverConfiguration`. The root of the tree is the image hash in the wallet's sapient leaf.
Any subtree can be hidden behind its hash; a signature hides what it does not need (`minimise`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, Address
from evm.keccak import keccak256
from evm.wallet.errors import require
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.values import HASH_BYTES

MAX_TREE_BYTES: Final = 128 * 1024  # encoded; a signature is call data, and no node relays a larger transaction
MAX_LEAVES: Final = 4096  # more than these bytes can hold: a hidden leaf takes 33
MAX_DEPTH: Final = 32  # what the client library takes for safe in any tree of a wallet; halving needs 12
MAX_BLACKLIST: Final = 4096  # the count has two bytes; these are 80 KiB of addresses

FLAG_PERMISSIONS, FLAG_NODE, FLAG_BRANCH, FLAG_BLACKLIST, FLAG_IDENTITY_SIGNER = range(5)

_CODE: Final = "wallet-session-tree"


@dataclass(frozen=True, slots=True)
class Blacklist:
    """Addresses that no implicit session may act as or call, ascending. Explicit sessions do not heed it."""

    addresses: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.addresses) <= MAX_BLACKLIST, f"{_CODE}-blacklist-count")
        require(all(len(address) == ADDRESS_BYTES for address in self.addresses), f"{_CODE}-blacklist-address")
        ascending = all(low <= high for low, high in pairwise(self.addresses))
        require(ascending, f"{_CODE}-blacklist-unsorted", "InvalidBlacklistUnsorted")


@dataclass(frozen=True, slots=True)
class IdentitySigner:
    """A key whose attestations make implicit sessions."""

    address: Address

    def __post_init__(self) -> None:
        present = len(self.address) == ADDRESS_BYTES and any(self.address)
        require(present, f"{_CODE}-identity-signer", "InvalidIdentitySigner")


@dataclass(frozen=True, slots=True)
class Node:
    """A subtree of which only the hash is known. The contract would take a zero hash for no node at all."""

    hash: bytes

    def __post_init__(self) -> None:
        require(len(self.hash) == HASH_BYTES and any(self.hash), f"{_CODE}-node")


@dataclass(frozen=True, slots=True)
class Branch:
    """Subtrees in order. Only pairs are ever made; the contract folds longer ones from the left."""

    children: tuple["Tree", ...]

    def __post_init__(self) -> None:
        require(len(self.children) > 1, f"{_CODE}-branch")


Leaf: TypeAlias = SessionPermissions | Blacklist | IdentitySigner | Node
Tree: TypeAlias = Leaf | Branch


def image_hash(tree: Tree) -> bytes:
    """The root hash: what the session contract answers, and what the wallet's configuration holds."""
    match tree:
        case Node():
            return tree.hash
        case Branch():
            return reduce(lambda left, right: keccak256(left + right), map(image_hash, tree.children))
    return keccak256(leaf_preimage(tree))


def leaf_preimage(leaf: SessionPermissions | Blacklist | IdentitySigner) -> bytes:
    """What is hashed for a leaf: its kind in one byte, and its packed form. A blacklist has no count here."""
    match leaf:
        case SessionPermissions():
            return bytes([FLAG_PERMISSIONS]) + leaf.encoded
        case Blacklist():
            return bytes([FLAG_BLACKLIST]) + b"".join(leaf.addresses)
        case IdentitySigner():
            return bytes([FLAG_IDENTITY_SIGNER]) + leaf.address


def leaves(tree: Tree) -> Iterator[Leaf]:
    """The leaves in order, hidden ones among them. The first permissions of a signer are the ones that count."""
    if isinstance(tree, Branch):
        for child in tree.children:
            yield from leaves(child)
    else:
        yield tree


def flat(members: Sequence[Tree]) -> Tree:
    """The default tree of a list: halves, of which the first is the smaller, down to single members."""
    require(0 < len(members) <= MAX_LEAVES, f"{_CODE}-leaves-count")
    if len(members) == 1:
        return members[0]
    half = len(members) // 2
    return Branch((flat(members[:half]), flat(members[half:])))


def new_tree(identity_signers: Sequence[Address], blacklist: Collection[Address] = ()) -> Tree:
    """The tree of a new wallet: the blacklist, then the identity signers."""
    return flat([Blacklist(tuple(sorted(blacklist))), *map(IdentitySigner, identity_signers)])


def add(tree: Tree, leaf: SessionPermissions | IdentitySigner) -> Tree:
    """The tree with one leaf more: all leaves in order, the new one last, balanced again.

    A signer has one leaf: the contract would take the first that it finds.
    """
    found = list(leaves(tree))
    if isinstance(leaf, SessionPermissions):
        require(all(signer != leaf.signer for signer in explicit_signers(tree)), f"{_CODE}-signer-twice")
    require(leaf not in found, f"{_CODE}-leaf-twice")
    return flat([*found, leaf])


def remove_session(tree: Tree, signer: Address) -> Tree:
    """The tree without the explicit session of `signer`, balanced again."""
    return _without(tree, lambda leaf: isinstance(leaf, SessionPermissions) and leaf.signer == signer)


def remove_identity_signer(tree: Tree, address: Address) -> Tree:
    """The tree without an identity signer; what it attested is void from then on."""
    return _without(tree, lambda leaf: isinstance(leaf, IdentitySigner) and leaf.address == address)


def with_blacklist(tree: Tree, addresses: Collection[Address]) -> Tree:
    """The tree with another blacklist in the place of its own; its shape stays."""
    blacklist = Blacklist(tuple(sorted(addresses)))
    require(any(isinstance(leaf, Blacklist) for leaf in leaves(tree)), f"{_CODE}-no-blacklist")
    return map_leaves(tree, lambda leaf: blacklist if isinstance(leaf, Blacklist) else leaf)


def explicit_signers(tree: Tree) -> list[Address]:
    """The keys of the explicit sessions, in order."""
    return [leaf.signer for leaf in leaves(tree) if isinstance(leaf, SessionPermissions)]


def identity_signers(tree: Tree) -> list[Address]:
    """The visible identity signers, in order."""
    return [leaf.address for leaf in leaves(tree) if isinstance(leaf, IdentitySigner)]


def minimise(tree: Tree, *, signers: Collection[Address], identity_signer: Address, implicit: bool) -> Tree:
    """The tree as a signature shows it: the sessions of `signers`, one identity signer, the blacklist if `implicit`.

    The rest hides behind hashes, as few as there can be. The image hash stays.
    """

    def hide(leaf: Leaf) -> Leaf:
        match leaf:
            case SessionPermissions():
                shown = leaf.signer in signers
            case IdentitySigner():
                shown = leaf.address == identity_signer
            case Blacklist():
                shown = implicit
            case Node():
                shown = True
        return leaf if shown else Node(image_hash(leaf))

    return _collapse(map_leaves(tree, hide))


def map_leaves(tree: Tree, change: Callable[[Leaf], Leaf]) -> Tree:
    """The tree of the same shape with every leaf changed."""
    if isinstance(tree, Branch):
        return Branch(tuple([map_leaves(child, change) for child in tree.children]))
    return change(tree)


def validate_configuration(tree: Tree) -> None:
    """`WalletError` unless the tree is whole: a blacklist, identity signers, each key once, not too deep."""
    found = list(leaves(tree))
    require(len(found) <= MAX_LEAVES, f"{_CODE}-leaves-count")
    require(depth(tree) <= MAX_DEPTH, f"{_CODE}-depth")
    require(sum(isinstance(leaf, Blacklist) for leaf in found) == 1, f"{_CODE}-blacklist", "InvalidBlacklist")
    require(bool(identity_signers(tree)), f"{_CODE}-identity-signer", "InvalidIdentitySigner")
    for keys in (explicit_signers(tree), identity_signers(tree)):
        require(len(keys) == len(set(keys)), f"{_CODE}-signer-twice")


def depth(tree: Tree) -> int:
    """How many branches stand above the deepest leaf."""
    return 1 + max(map(depth, tree.children)) if isinstance(tree, Branch) else 0


def _collapse(tree: Tree) -> Tree:
    if not isinstance(tree, Branch):
        return tree
    branch = Branch(tuple(map(_collapse, tree.children)))
    return Node(image_hash(branch)) if all(isinstance(child, Node) for child in branch.children) else branch


def _without(tree: Tree, unwanted: Callable[[Leaf], bool]) -> Tree:
    kept = [leaf for leaf in leaves(tree) if not unwanted(leaf)]
    require(len(kept) < sum(1 for _ in leaves(tree)), f"{_CODE}-no-such-leaf")
    return flat(kept)
