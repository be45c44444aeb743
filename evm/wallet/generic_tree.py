"""Trees of sessions and recovery keys as Sequence's state service keeps them: without knowing what they are.

A leaf is `{"data": "0x..."}`, of which the data is hashed. A subtree of which only the hash is known is that hash as 0x
text, and an array is folded from the left. What the data of a leaf means, the module's own formats tell.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from evm.fields import hex_bytes, hex_word, items, members
from evm.wallet.errors import require
from evm.wallet.values import to_hex

T = TypeVar("T")
MAX_LEAVES: Final = 4096  # more than a tree of sessions may have
MAX_DEPTH: Final = 32
MAX_LEAF_BYTES: Final = 128 * 1024  # as much as an encoded tree of sessions may have

_CODE: Final = "wallet-generic-tree"


def parse_generic_tree(
    value: object, *, leaf: Callable[[bytes], T], node: Callable[[bytes], T], branch: Callable[[tuple[T, ...]], T]
) -> T:
    """The tree, made of what these functions make of a leaf's data, a hash, and the parts of a branch."""
    count = 0

    def parse(value: object, depth: int) -> T:
        nonlocal count
        if isinstance(value, list):
            require(depth > 0 and len(value) > 1, f"{_CODE}-branch")
            return branch(tuple([parse(part, depth - 1) for part in items(value, most=MAX_LEAVES, code=_CODE)]))
        count += 1
        require(count <= MAX_LEAVES, f"{_CODE}-leaves-count")
        if isinstance(value, str):
            return node(hex_word(value, f"{_CODE}-node"))
        data = members(value, required=("data",), code=_CODE)["data"]
        return leaf(hex_bytes(data, f"{_CODE}-leaf", most=MAX_LEAF_BYTES))

    return parse(value, MAX_DEPTH)


def generic_leaf(data: bytes) -> dict[str, Any]:
    """A leaf whose hash is keccak-256 of `data`."""
    return {"data": to_hex(data)}
