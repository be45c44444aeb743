"""keccak-256, the hash of the EVM: the seam behind which the library stands.

It is the original Keccak padding, not SHA3-256 of FIPS 202; a library that confuses the two fails the import.
"""

from typing import Any, Final

import sha3

_keccak_256: Any = sha3.keccak_256

EMPTY: Final = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
"""The hash of no bytes."""


def keccak256(data: bytes) -> bytes:
    """The 32-byte hash of `data`."""
    digest: bytes = _keccak_256(data).digest()
    return digest


if keccak256(b"") != EMPTY:
    raise ImportError("the keccak library computes something else")
