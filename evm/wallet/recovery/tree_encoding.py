"""The recovery tree in bytes, as the wallet's signature carries it, and in the client library's JSON.

Items stand side by side and are folded from the left; a branch to the right is wrapped behind its size. The contract
would fold a branch in the first place with zeros, so none is written there, and none is read.
"""

from typing import Any, Final

from evm.address import checksum, parse_address
from evm.fields import UINT64_MAX, hex_word, members
from evm.wallet.errors import WalletError, require
from evm.wallet.reader import Reader
from evm.wallet.recovery.tree import MAX_DELTA_TIME_S, MAX_DEPTH, MAX_LEAVES, Branch, Node, RecoveryLeaf, Tree
from evm.wallet.values import HASH_BYTES, parse_decimal, to_hex

FLAG_RECOVERY_LEAF, FLAG_NODE, FLAG_BRANCH = 1, 3, 4
MAX_TREE_BYTES: Final = MAX_LEAVES * (1 + HASH_BYTES + 4)  # hidden leaves, each wrapped

_CODE: Final = "wallet-recovery-tree"
_LEAF_FIELDS: Final = ("type", "signer", "requiredDeltaTime", "minTimestamp")


def encode_tree(tree: Tree) -> bytes:
    """The tree as the recovery module reads it."""
    match tree:
        case RecoveryLeaf():
            times = tree.required_delta_s.to_bytes(3, "big") + tree.min_timestamp_s.to_bytes(8, "big")
            return bytes([FLAG_RECOVERY_LEAF]) + tree.signer + times
        case Node():
            return bytes([FLAG_NODE]) + tree.hash
        case Branch():
            right = encode_tree(tree.right)
            if isinstance(tree.right, Branch):
                right = bytes([FLAG_BRANCH]) + len(right).to_bytes(3, "big") + right
            return encode_tree(tree.left) + right


def parse_tree(data: bytes) -> Tree:
    """The tree that `data` encodes, all of it."""
    require(len(data) <= MAX_TREE_BYTES, f"{_CODE}-bytes")
    return _read_items(Reader(data, f"{_CODE}-length"), MAX_DEPTH)


def tree_from_json(value: object) -> Tree:
    """The tree in the library's JSON: a pair, a hash as 0x text, or a leaf; `EvmError` for anything else."""
    count = 0

    def parse(value: object, depth: int) -> Tree:
        nonlocal count
        if isinstance(value, list):
            require(len(value) == 2 and depth > 0, f"{_CODE}-branch")
            return Branch(parse(value[0], depth - 1), parse(value[1], depth - 1))
        count += 1
        require(count <= MAX_LEAVES, f"{_CODE}-leaves-count")
        return Node(hex_word(value, f"{_CODE}-node")) if isinstance(value, str) else leaf_from_json(value)

    return parse(value, MAX_DEPTH)


def tree_to_json(tree: Tree) -> Any:
    """The library's form of a tree."""
    match tree:
        case RecoveryLeaf():
            return {
                "type": "leaf",
                "signer": checksum(tree.signer),
                "requiredDeltaTime": str(tree.required_delta_s),
                "minTimestamp": str(tree.min_timestamp_s),
            }
        case Node():
            return to_hex(tree.hash)
        case Branch():
            return [tree_to_json(tree.left), tree_to_json(tree.right)]


def leaf_from_json(value: object) -> RecoveryLeaf:
    """A leaf in the library's JSON."""
    found = members(value, required=_LEAF_FIELDS, code=_CODE)
    require(found["type"] == "leaf", _CODE)
    return RecoveryLeaf(
        signer=parse_address(found["signer"], f"{_CODE}-signer"),
        required_delta_s=parse_decimal(found["requiredDeltaTime"], f"{_CODE}-delta-time", most=MAX_DELTA_TIME_S),
        min_timestamp_s=parse_decimal(found["minTimestamp"], f"{_CODE}-min-timestamp", most=UINT64_MAX),
    )


def _read_items(reader: Reader, depth: int) -> Tree:
    """All items of `reader`, folded; there is one at least."""
    tree = _read_item(reader, depth, first=True)
    while not reader.ended:
        tree = Branch(tree, _read_item(reader, depth, first=False))
    return tree


def _read_item(reader: Reader, depth: int, *, first: bool) -> Tree:
    flag = reader.uint(1)
    match flag:
        case 1:
            return RecoveryLeaf(reader.address(), reader.uint(3), reader.uint(8))
        case 3:
            return Node(reader.take(HASH_BYTES))
        case 4:
            require(not first, f"{_CODE}-branch-first")
            require(depth > 0, f"{_CODE}-depth")
            return _read_items(Reader(reader.take(reader.uint(3)), f"{_CODE}-length"), depth - 1)
    raise WalletError(f"{_CODE}-flag", "InvalidSignatureFlag")
