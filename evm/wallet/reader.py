"""Reading packed bytes strictly, from the front.

The contracts read past the end of calldata as zeros, or as whatever else the transaction carries there; a reader here
refuses, so that nothing is accepted whose meaning depends on bytes that were not given.
"""

from dataclasses import dataclass

from evm.address import ADDRESS_BYTES, Address
from evm.wallet.errors import require


@dataclass(slots=True)
class Reader:
    """What is left of `data`; each read that goes past the end raises `WalletError(code)`."""

    data: bytes
    code: str
    position: int = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, end = self.position, self.position + size
        require(end <= len(self.data), self.code)
        self.position = end
        return self.data[start:end]

    def uint(self, size: int) -> int:
        """The next `size` bytes as a big-endian integer; no bytes are 0."""
        return int.from_bytes(self.take(size), "big")

    def address(self) -> Address:
        """The next 20 bytes."""
        return Address(self.take(ADDRESS_BYTES))

    @property
    def ended(self) -> bool:
        """Whether all was read."""
        return self.position == len(self.data)
