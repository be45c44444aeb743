"""A list of users as one hash: which login (`Email:ada@example.com`) is which user of a service before.

A binary tree of SHA-256 in the manner of RFC 6962: leaf `00 || entry`, node `01 || left || right`, the larger power of
two to the left. An entry is the canonical JSON of `[login, user]`. Whoever knows the root can be shown entry by entry
that it is in the list, by anybody.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from protocol import canonical_json
from protocol.errors import ProtocolError

MAX_PROOF_HASHES: Final = 40
HASH_BYTES: Final = 32
Entry = tuple[str, str]


def root_of(entries: Sequence[Entry]) -> bytes:
    """The hash of the whole list, which has one entry at least."""
    if len(entries) == 1:
        return _leaf(entries[0])
    half = _half(len(entries))
    return _node(root_of(entries[:half]), root_of(entries[half:]))


def proof_of(entries: Sequence[Entry], index: int) -> list[bytes]:
    """The hashes beside the way from an entry to the root, the lowest first."""
    if len(entries) == 1:
        return []
    half = _half(len(entries))
    if index < half:
        return [*proof_of(entries[:half], index), root_of(entries[half:])]
    return [*proof_of(entries[half:], index - half), root_of(entries[:half])]


def verify_entry(entry: Entry, index: int, count: int, proof: Sequence[bytes], root: bytes) -> None:
    """`ProtocolError("user-list")` unless the entry is in the list with this root.

    `index` and `count` say which way leads to it, and are proven by nothing.
    """
    if not 0 <= index < count or len(proof) > MAX_PROOF_HASHES or any(len(each) != HASH_BYTES for each in proof):
        raise ProtocolError("user-list")
    if _climb(entry, index, count, list(proof)) != root:
        raise ProtocolError("user-list")


def _climb(entry: Entry, index: int, count: int, proof: list[bytes]) -> bytes:
    if count == 1:
        if proof:
            raise ProtocolError("user-list")
        return _leaf(entry)
    if not proof:
        raise ProtocolError("user-list")
    half, beside = _half(count), proof.pop()
    if index < half:
        return _node(_climb(entry, index, half, proof), beside)
    return _node(beside, _climb(entry, index - half, count - half, proof))


def _half(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _leaf(entry: Entry) -> bytes:
    return hashlib.sha256(b"\x00" + canonical_json.canonicalize(list(entry))).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
