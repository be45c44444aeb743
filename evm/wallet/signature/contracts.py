"""What a signature may ask of other contracts, and of the wallet's own storage.

Recovering a signature is pure until it meets one of these. The answers come from whoever can give them: a chain, or the
same rules computed here (`known.py`). Nobody's answer is a refusal.
"""

from dataclasses import dataclass
from typing import Protocol

from evm.address import Address
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest configuration that a checkpointer knows of; an image hash of zeros switches the checkpointer off."""

    image_hash: bytes
    checkpoint: int


@dataclass(frozen=True, slots=True)
class StaticApproval:
    """What a wallet stores under an operation hash: until when (seconds), and for which caller; zero is anyone."""

    caller: Address
    expires_s: int


class Contracts(Protocol):
    """Answers of contracts. An implementation raises `WalletError` where the contract would revert."""

    def is_valid_signature(self, signer: Address, digest: bytes, data: bytes, /) -> bool:
        """ERC-1271: whether `signer` takes `data` for its signature on `digest`."""

    def recover_sapient(self, signer: Address, operation: Operation, data: bytes, /) -> bytes:
        """`recoverSapientSignature`, called by `operation.wallet`: an image hash."""

    def recover_sapient_compact(self, signer: Address, digest: bytes, data: bytes, /) -> bytes:
        """`recoverSapientSignatureCompact`: an image hash."""

    def snapshot_for(self, checkpointer: Address, wallet: Address, data: bytes, /) -> Snapshot:
        """`snapshotFor`."""

    def static_signature(self, wallet: Address, digest: bytes, /) -> StaticApproval:
        """`getStaticSignature`."""


class NoContracts:
    """Nobody to ask: whatever depends on a contract or on storage is refused."""

    def is_valid_signature(self, *_: object) -> bool:
        """Refuses."""
        raise _unknown()

    def recover_sapient(self, *_: object) -> bytes:
        """Refuses."""
        raise _unknown()

    def recover_sapient_compact(self, *_: object) -> bytes:
        """Refuses."""
        raise _unknown()

    def snapshot_for(self, *_: object) -> Snapshot:
        """Refuses."""
        raise _unknown()

    def static_signature(self, *_: object) -> StaticApproval:
        """Refuses."""
        raise _unknown()


def _unknown() -> WalletError:
    return WalletError("wallet-contract-unknown")
