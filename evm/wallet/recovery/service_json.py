"""The recovery tree as the state service keeps it; see `evm/wallet/generic_tree.py`."""

from functools import reduce
from typing import Any, Final

from evm.wallet.errors import require
from evm.wallet.generic_tree import generic_leaf, parse_generic_tree
from evm.wallet.reader import Reader
from evm.wallet.recovery.tree import LEAF_PREFIX, Branch, Node, RecoveryLeaf, Tree
from evm.wallet.values import to_hex

_CODE: Final = "wallet-recovery-tree-leaf"


def tree_from_service(value: object) -> Tree:
    """The recovery tree; `EvmError` for malformed members, and for a leaf that is none of a recovery tree."""
    return parse_generic_tree(value, leaf=_parse_leaf, node=Node, branch=lambda parts: reduce(Branch, parts))


def tree_to_service(tree: Tree) -> Any:
    """The service's form of a tree."""
    match tree:
        case RecoveryLeaf():
            return generic_leaf(tree.preimage)
        case Node():
            return to_hex(tree.hash)
        case Branch():
            return [tree_to_service(tree.left), tree_to_service(tree.right)]


def _parse_leaf(data: bytes) -> Tree:
    reader = Reader(data, _CODE)
    require(reader.take(len(LEAF_PREFIX)) == LEAF_PREFIX, _CODE)
    leaf = RecoveryLeaf(reader.address(), reader.uint(32), reader.uint(32))
    require(reader.ended, _CODE)
    return leaf
