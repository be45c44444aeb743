"""The session tree in bytes: as a session signature carries it, and as it is written there.

An item is a byte, whose upper half says what follows, and the bytes of that kind: packed permissions, a hash, a branch
behind its size, a blacklist, an identity signer. Where several items stand side by side they are folded from the left.
"""

from typing import Final

from evm.wallet.errors import WalletError, require
from evm.wallet.reader import Reader
from evm.wallet.sessions.configuration import (
    FLAG_BLACKLIST,
    FLAG_BRANCH,
    FLAG_IDENTITY_SIGNER,
    FLAG_NODE,
    FLAG_PERMISSIONS,
    MAX_BLACKLIST,
    MAX_DEPTH,
    MAX_TREE_BYTES,
    Blacklist,
    Branch,
    IdentitySigner,
    Node,
    Tree,
)
from evm.wallet.sessions.permission import SessionPermissions, read_permissions
from evm.wallet.values import HASH_BYTES

_CODE: Final = "wallet-session-tree"
_LOW: Final = 0x0F
_LONG_BLACKLIST: Final = 15  # in the lower half: the count follows in two bytes


def encode_tree(tree: Tree) -> bytes:
    """The tree as one item; a branch's size in the fewest bytes that hold it."""
    match tree:
        case SessionPermissions():
            return bytes([FLAG_PERMISSIONS << 4]) + tree.encoded
        case Node():
            return bytes([FLAG_NODE << 4]) + tree.hash
        case Branch():
            items = b"".join(map(encode_tree, tree.children))
            size = len(items).to_bytes((len(items).bit_length() + 7) // 8, "big")
            return bytes([FLAG_BRANCH << 4 | len(size)]) + size + items
        case Blacklist():
            count = len(tree.addresses)
            head = bytes([FLAG_BLACKLIST << 4 | min(count, _LONG_BLACKLIST)])
            if count >= _LONG_BLACKLIST:
                head += count.to_bytes(2, "big")
            return head + b"".join(tree.addresses)
        case IdentitySigner():
            return bytes([FLAG_IDENTITY_SIGNER << 4]) + tree.address


def parse_tree(data: bytes) -> Tree:
    """The tree that `data` encodes, all of it. Which leaves are visible, and how often, is not asked here."""
    require(len(data) <= MAX_TREE_BYTES, f"{_CODE}-bytes")
    return _read_items(Reader(data, f"{_CODE}-length"), MAX_DEPTH)


def _read_items(reader: Reader, depth: int) -> Tree:
    """All items of `reader`, of which there is one at least."""
    children = []
    while not reader.ended:
        children.append(_read_item(reader, depth))
    return children[0] if len(children) == 1 else Branch(tuple(children))


def _read_item(reader: Reader, depth: int) -> Tree:
    first = reader.uint(1)
    low = first & _LOW
    match first >> 4:
        case 0:
            return read_permissions(reader)
        case 1:
            return Node(reader.take(HASH_BYTES))
        case 2:
            require(depth > 0, f"{_CODE}-depth")
            return _read_items(Reader(reader.take(reader.uint(low)), f"{_CODE}-length"), depth - 1)
        case 3:
            count = reader.uint(2) if low == _LONG_BLACKLIST else low
            require(count <= MAX_BLACKLIST, f"{_CODE}-blacklist-count")
            return Blacklist(tuple([reader.address() for _ in range(count)]))
        case 4:
            return IdentitySigner(reader.address())
    raise WalletError(f"{_CODE}-kind", "InvalidNodeType")
