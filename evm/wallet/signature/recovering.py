"""From a signature to an image hash and a weight, exactly as the contract computes them (`BaseSig.recover`).

Nothing is decided here: garbage recovers to some image hash, too. `verifying.py` compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from evm.address import Address
from evm.fields import UINT256_MAX
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.wallet.compact import recover_compact
from evm.wallet.configuration import image_hash
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import ConfigUpdatePayload
from evm.wallet.signature.contracts import Contracts, Snapshot
from evm.wallet.signature.model import (
    BranchItem,
    ChainedSignature,
    ContractSignature,
    Item,
    KeySignature,
    NestedItem,
    SapientSignature,
    Signature,
)
from evm.wallet.topology import (
    AnyAddressSubdigestLeaf,
    SubdigestLeaf,
    hash_nested,
    hash_sapient,
    hash_signer,
)
from evm.wallet.values import HASH_BYTES

_ZERO: Final = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a signature says. `digest` is the operation hash that was signed; of a chain, the payload's."""

    image_hash: bytes
    threshold: int
    weight: int
    checkpoint: int
    digest: bytes


def recover(signature: Signature | ChainedSignature, operation: Operation, contracts: Contracts) -> Recovered:
    """The recovered configuration, with the checkpointer's word; `WalletError` where the contract reverts.

    The operation's own `no_chain_id` is not looked at: each signature says it for itself.
    """
    if isinstance(signature, ChainedSignature):
        return _recover_chain(signature.parts, operation, contracts)
    snapshot = _snapshot(signature, operation.wallet, contracts)
    found = recover_part(signature, operation, contracts)
    if found.image_hash != snapshot.image_hash:
        _validate_snapshot(snapshot, found.checkpoint)
    return found


def recover_part(signature: Signature, operation: Operation, contracts: Contracts) -> Recovered:
    """One configuration's signature, its checkpointer not asked."""
    operation = replace(operation, no_chain_id=signature.no_chain_id)
    walk = _Walk(operation, contracts)
    weight, root = walk.fold(signature.items)
    found = image_hash(root, signature.threshold, signature.checkpoint, signature.checkpointer)
    return Recovered(found, signature.threshold, weight, signature.checkpoint, walk.digest)


def _recover_chain(parts: Sequence[Signature], operation: Operation, contracts: Contracts) -> Recovered:
    snapshot = _snapshot(parts[-1], operation.wallet, contracts)
    found: Recovered | None = None
    for part in parts:
        signed = operation
        if found is not None:
            signed = replace(operation, payload=ConfigUpdatePayload(found.image_hash))
        older = recover_part(part, signed, contracts)
        require(older.weight >= older.threshold, "wallet-signature-chain-weight", "LowWeightChainedSignature")
        if older.image_hash == snapshot.image_hash:
            snapshot = replace(snapshot, image_hash=_ZERO)
        if found is not None:
            descends = older.checkpoint < found.checkpoint
            require(descends, "wallet-signature-chain-order", "WrongChainedCheckpointOrder")
            older = replace(older, digest=found.digest)
        found = older
    if found is None:
        raise WalletError("wallet-signature-chain-length")
    _validate_snapshot(snapshot, found.checkpoint)
    return found


def _snapshot(signature: Signature, wallet: Address, contracts: Contracts) -> Snapshot:
    if signature.checkpointer is None:
        return Snapshot(_ZERO, 0)
    return contracts.snapshot_for(signature.checkpointer, wallet, signature.checkpointer_data)


def _validate_snapshot(snapshot: Snapshot, checkpoint: int) -> None:
    """A configuration that the checkpointer did not name has to be newer than the one that it did."""
    switched_off = snapshot.image_hash == _ZERO
    require(switched_off or checkpoint > snapshot.checkpoint, "wallet-signature-snapshot", "UnusedSnapshot")


@dataclass
class _Walk:
    """One pass over the items of a signature: sums up weight, folds hashes."""

    operation: Operation
    contracts: Contracts
    keys: dict[tuple[bytes, bool], Address] = field(default_factory=dict)

    @cached_property
    def digest(self) -> bytes:
        return self.operation.digest

    @cached_property
    def any_address_digest(self) -> bytes:
        return self.operation.any_address_digest

    @cached_property
    def personal_digest(self) -> bytes:
        return PersonalMessage(self.digest, None).digest

    def fold(self, items: Sequence[Item]) -> tuple[int, bytes]:
        """Weight and root. A root of zeros counts as none, but not for a branch, which is folded with it."""
        weight, root = 0, _ZERO
        for item in items:
            added, node = self.visit(item)
            # The contract adds without a check for overflow, and sets where an approved digest matches.
            weight = added if self.approves(item) else (weight + added) & UINT256_MAX
            root = keccak256(root + node) if root != _ZERO or isinstance(item, BranchItem) else node
        return weight, root

    def approves(self, item: Item) -> bool:
        """Whether the item is this operation's digest, approved in advance."""
        match item:
            case SubdigestLeaf(digest=digest):
                return digest == self.digest
            case AnyAddressSubdigestLeaf(digest=digest):
                return digest == self.any_address_digest
        return False

    def visit(self, item: Item) -> tuple[int, bytes]:
        """The item's weight, and its hash."""
        match item:
            case KeySignature(weight=weight, compact=compact, eth_sign=eth_sign):
                signer = recover_compact(compact, self.personal_digest if eth_sign else self.digest)
                return weight, hash_signer(signer, weight)
            case ContractSignature(address=address, weight=weight, data=data):
                valid = self.contracts.is_valid_signature(address, self.digest, data)
                require(valid is True, "wallet-signature-erc1271", "InvalidERC1271Signature")
                return weight, hash_signer(address, weight)
            case SapientSignature(address=address, weight=weight):
                return weight, hash_sapient(address, weight, self._ask(item))
            case BranchItem(items=items):
                return self.fold(items)
            case NestedItem(items=items, weight=weight, threshold=threshold):
                inner, root = self.fold(items)
                return weight if inner >= threshold else 0, hash_nested(root, threshold, weight)
        return UINT256_MAX if self.approves(item) else 0, item.hash

    def _ask(self, item: SapientSignature) -> bytes:
        if item.compact:
            found = self.contracts.recover_sapient_compact(item.address, self.digest, item.data)
        else:
            found = self.contracts.recover_sapient(item.address, self.operation, item.data)
        require(len(found) == HASH_BYTES, "wallet-signature-sapient")
        return found
