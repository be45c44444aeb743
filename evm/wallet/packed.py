"""The contracts' packed encodings: fields one after the other, integers big-endian, signatures in 64 bytes (ERC-2098).

The contracts do not check where they read: past the end they see whatever the transaction holds there. Here a read past
the end is refused, and so is what nobody read (`LibBytes.sol`).
"""

from typing import Final

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.errors import EvmError
from evm.signature import Signature
from evm.wallet.errors import WalletError, require

COMPACT_BYTES: Final = 64
_PARITY: Final = 1 << 255


class PackedReader:
    """`data` from its beginning to its end, field by field. A read past the end raises `WalletError(code, reason)`."""

    __slots__ = ("_code", "_data", "_position", "_reason")

    def __init__(self, data: bytes, code: str, reason: str | None = None) -> None:
        self._data = data
        self._position = 0
        self._code = code
        self._reason = reason

    @property
    def done(self) -> bool:
        """Whether everything has been read."""
        return self._position == len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._position + size
        if end > len(self._data):
            raise WalletError(self._code, self._reason)
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def uint(self, size: int) -> int:
        """The next `size` bytes as an integer."""
        return int.from_bytes(self.take(size), "big")

    def address(self) -> Address:
        """The next 20 bytes."""
        return Address(self.take(ADDRESS_BYTES))

    def inner(self, size: int) -> "PackedReader":
        """A reader of the next `size` bytes, which this one has then read."""
        return PackedReader(self.take(size), self._code, self._reason)

    def finish(self) -> None:
        """Refuse bytes that nobody read."""
        require(self.done, self._code, self._reason)


def compact(signature: Signature) -> bytes:
    """The signature as r and s, the parity in the highest bit of s (ERC-2098)."""
    return signature.r.to_bytes(32, "big") + (signature.y_parity * _PARITY | signature.s).to_bytes(32, "big")


def recover_compact(data: bytes, digest: bytes) -> Address:
    """Whose signature on `digest` the 64 bytes are: some address or, like `ecrecover`, the zero address; no error.

    Never treat an address as right because one came out: compare it, or the image hash that it leads to.
    """
    r, s = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
    try:
        return Signature(r, s & (_PARITY - 1), s >> 255).recover(digest)
    except EvmError:
        return ZERO_ADDRESS
