"""ECDSA signatures in 64 bytes (ERC-2098), as the packed encodings of the contracts carry them."""

from typing import Final

from evm.address import ZERO_ADDRESS, Address
from evm.errors import EvmError
from evm.signature import Signature
from evm.wallet.errors import require

COMPACT_BYTES: Final = 64
_PARITY: Final = 1 << 255


def to_compact(signature: Signature) -> bytes:
    """r and s, the parity in the highest bit of s."""
    return signature.r.to_bytes(32, "big") + (signature.y_parity * _PARITY | signature.s).to_bytes(32, "big")


def parse_compact(data: bytes) -> Signature:
    """The signature in the 64 bytes; `EvmError` unless r and s are in range and s is the lower one."""
    require(len(data) == COMPACT_BYTES, "wallet-compact-length")
    r, s = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
    return Signature(r, s & (_PARITY - 1), s >> 255)


def recover_compact(data: bytes, digest: bytes) -> Address:
    """Whose signature on `digest` the bytes are: some address or, like the contracts' `ecrecover`, the zero address.

    Never take an address for right because one came out: compare it, or the image hash to which it leads.
    """
    try:
        return parse_compact(data).recover(digest)
    except EvmError:
        return ZERO_ADDRESS
