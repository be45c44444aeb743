"""Contracts whose rules are known here: other wallets, and modules that are computed instead of called.

A wallet can be a signer of another wallet in two ways. As a sapient signer it is shown the whole payload, with its
caller appended to the parents, and answers with the image hash 1. As an ERC-1271 signer it is shown the operation hash
alone, which it wraps like any other hash, without parents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from evm.address import Address
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import DigestPayload, with_parent
from evm.wallet.signature.contracts import Contracts, NoContracts, Snapshot, StaticApproval
from evm.wallet.signature.verifying import verify_signature
from evm.wallet.topology import WALLET_AS_SIGNER

MAX_WALLETS_DEEP: Final = 4  # own choice; three are known to be in use


class SapientModule(Protocol):
    """A module that is shown the payload, such as sessions."""

    def recover(self, operation: Operation, data: bytes, /) -> bytes:
        """The image hash of the module's own tree."""


class CompactModule(Protocol):
    """A module that is shown the operation hash, such as passkeys."""

    def recover(self, digest: bytes, data: bytes, /) -> bytes:
        """The image hash, or root, of the module's own."""


@dataclass(frozen=True)
class KnownContracts:
    """Wallets by the image hash that they know, modules by their address; all else is asked of `chain`."""

    chain_id: int
    wallets: Mapping[Address, bytes] = field(default_factory=dict)
    sapient: Mapping[Address, SapientModule] = field(default_factory=dict)
    compact: Mapping[Address, CompactModule] = field(default_factory=dict)
    chain: Contracts = field(default_factory=NoContracts)
    levels: int = MAX_WALLETS_DEEP

    def is_valid_signature(self, signer: Address, digest: bytes, data: bytes, /) -> bool:
        """A known wallet's `isValidSignature`."""
        image_hash = self.wallets.get(signer)
        if image_hash is None:
            return self.chain.is_valid_signature(signer, digest, data)
        operation = Operation(DigestPayload(digest), signer, self.chain_id)
        try:
            verify_signature(data, operation, image_hash, self._inner())
        except WalletError as refusal:
            if refusal.reason == "InvalidSignature":
                return False
            raise
        return True

    def recover_sapient(self, signer: Address, operation: Operation, data: bytes, /) -> bytes:
        """A known module's answer, or a known wallet's."""
        if signer in self.sapient:
            return self.sapient[signer].recover(operation, data)
        image_hash = self.wallets.get(signer)
        if image_hash is None:
            return self.chain.recover_sapient(signer, operation, data)
        inner = replace(operation, payload=with_parent(operation.payload, operation.wallet), wallet=signer)
        try:
            verify_signature(data, inner, image_hash, self._inner())
        except WalletError as refusal:
            if refusal.reason == "InvalidSignature":
                raise WalletError("wallet-signature-sapient", "InvalidSapientSignature") from None
            raise
        return WALLET_AS_SIGNER

    def recover_sapient_compact(self, signer: Address, digest: bytes, data: bytes, /) -> bytes:
        """A known module's answer."""
        if signer in self.compact:
            return self.compact[signer].recover(digest, data)
        return self.chain.recover_sapient_compact(signer, digest, data)

    def snapshot_for(self, checkpointer: Address, wallet: Address, data: bytes, /) -> Snapshot:
        """The chain's answer."""
        return self.chain.snapshot_for(checkpointer, wallet, data)

    def static_signature(self, wallet: Address, digest: bytes, /) -> StaticApproval:
        """The chain's answer."""
        return self.chain.static_signature(wallet, digest)

    def _inner(self) -> "KnownContracts":
        require(self.levels > 0, "wallet-signature-wallets-deep")
        return replace(self, levels=self.levels - 1)
