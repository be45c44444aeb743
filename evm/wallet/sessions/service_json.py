"""The session tree as the state service keeps it; see `evm/wallet/generic_tree.py`."""

from typing import Any

from evm.address import ADDRESS_BYTES
from evm.wallet.errors import WalletError, require
from evm.wallet.generic_tree import generic_leaf, parse_generic_tree
from evm.wallet.reader import Reader
from evm.wallet.sessions.configuration import (
    Blacklist,
    Branch,
    IdentitySigner,
    Node,
    Tree,
    leaf_preimage,
)
from evm.wallet.sessions.permission import parse_permissions
from evm.wallet.values import to_hex


def tree_from_service(value: object) -> Tree:
    """The session tree; `EvmError` for malformed members, and for a leaf that is none of a session tree."""
    return parse_generic_tree(value, leaf=_parse_leaf, node=Node, branch=Branch)


def tree_to_service(tree: Tree) -> Any:
    """The service's form of a tree."""
    match tree:
        case Node():
            return to_hex(tree.hash)
        case Branch():
            return list(map(tree_to_service, tree.children))
    return generic_leaf(leaf_preimage(tree))


def _parse_leaf(data: bytes) -> Tree:
    reader = Reader(data[1:], "wallet-session-tree-length")
    match data[:1]:
        case b"\x00":
            return parse_permissions(data[1:])
        case b"\x03":
            count, rest = divmod(len(data) - 1, ADDRESS_BYTES)
            require(rest == 0, "wallet-session-tree-length")
            return Blacklist(tuple([reader.address() for _ in range(count)]))
        case b"\x04":
            require(len(data) == 1 + ADDRESS_BYTES, "wallet-session-tree-length")
            return IdentitySigner(reader.address())
    raise WalletError("wallet-session-tree-kind")
