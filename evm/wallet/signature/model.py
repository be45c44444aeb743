"""The parts of a signature, one type for each kind of item in the encoding (the contract's `BaseSig.recoverBranch`).

A leaf that is only shown is the leaf itself; what is added here are the leaves that were signed, and the items that
hold other items.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.wallet.compact import COMPACT_BYTES
from evm.wallet.configuration import MAX_CHECKPOINT, MAX_THRESHOLD, MAX_WEIGHT
from evm.wallet.errors import require
from evm.wallet.topology import MAX_DEPTH, AnyAddressSubdigestLeaf, NodeLeaf, SignerLeaf, SubdigestLeaf

MAX_SIGNATURE_BYTES: Final = 128 * 1024  # no node relays a larger transaction
MAX_CHAIN_LENGTH: Final = 64  # own choice: updates since a chain was last told


@dataclass(frozen=True, slots=True)
class KeySignature:
    """A key's 64 bytes (ERC-2098) over the operation hash, or over its personal message (`eth_sign`)."""

    weight: int
    compact: bytes
    eth_sign: bool = False

    def __post_init__(self) -> None:
        _validate_weight(self.weight)
        require(len(self.compact) == COMPACT_BYTES, "wallet-compact-length")


@dataclass(frozen=True, slots=True)
class ContractSignature:
    """Bytes for a contract's `isValidSignature` (ERC-1271)."""

    address: Address
    weight: int
    data: bytes

    def __post_init__(self) -> None:
        _validate_contract(self.address, self.weight, self.data)


@dataclass(frozen=True, slots=True)
class SapientSignature:
    """Bytes for a sapient signer, which is shown the whole payload or, if `compact`, the operation hash."""

    address: Address
    weight: int
    data: bytes
    compact: bool = False

    def __post_init__(self) -> None:
        _validate_contract(self.address, self.weight, self.data)


@dataclass(frozen=True, slots=True)
class BranchItem:
    """Items that are folded by themselves before they join the root to their left."""

    items: tuple["Item", ...]
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + items_depth(self.items))


@dataclass(frozen=True, slots=True)
class NestedItem:
    """Items of a nested tree."""

    items: tuple["Item", ...]
    weight: int
    threshold: int
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _validate_weight(self.weight)
        require(0 <= self.threshold <= MAX_THRESHOLD, "wallet-signature-threshold")
        object.__setattr__(self, "depth", 1 + items_depth(self.items))


Item: TypeAlias = (
    SignerLeaf
    | NodeLeaf
    | SubdigestLeaf
    | AnyAddressSubdigestLeaf
    | KeySignature
    | ContractSignature
    | SapientSignature
    | BranchItem
    | NestedItem
)


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of one configuration."""

    threshold: int
    checkpoint: int
    items: tuple[Item, ...]
    no_chain_id: bool = False
    checkpointer: Address | None = None
    checkpointer_data: bytes = b""

    def __post_init__(self) -> None:
        require(0 <= self.threshold <= MAX_THRESHOLD, "wallet-signature-threshold")
        require(0 <= self.checkpoint <= MAX_CHECKPOINT, "wallet-signature-checkpoint")
        items_depth(self.items)
        # The contract would call the zero address, where nobody answers.
        require(self.checkpointer != ZERO_ADDRESS, "wallet-signature-checkpointer")
        require(len(self.checkpointer_data) <= MAX_SIGNATURE_BYTES, "wallet-signature-bytes")


@dataclass(frozen=True, slots=True)
class ChainedSignature:
    """Signatures from the newest configuration to the one that the chain knows.

    The first signs the payload, each following one the update to the configuration before it. The checkpointer of the
    last, oldest configuration speaks for the whole; it stands there, with its data.
    """

    parts: tuple[Signature, ...]

    def __post_init__(self) -> None:
        require(0 < len(self.parts) <= MAX_CHAIN_LENGTH, "wallet-signature-chain-length")
        require(not any(part.checkpointer_data for part in self.parts[:-1]), "wallet-signature-chain-checkpointer")


@dataclass(frozen=True, slots=True)
class StaticSignature:
    """No signature: the wallet was told before that it approves of the operation (`setStaticSignature`)."""

    no_chain_id: bool = False


WalletSignature: TypeAlias = Signature | ChainedSignature | StaticSignature


def items_depth(items: Iterable[Item]) -> int:
    """Branches and nested trees above the deepest item."""
    levels = max((item.depth for item in items if isinstance(item, BranchItem | NestedItem)), default=0)
    require(levels < MAX_DEPTH, "wallet-signature-depth")
    return levels


def _validate_weight(weight: int) -> None:
    require(0 <= weight <= MAX_WEIGHT, "wallet-signature-weight")


def _validate_contract(address: Address, weight: int, data: bytes) -> None:
    require(len(address) == ADDRESS_BYTES, "wallet-leaf-address")
    _validate_weight(weight)
    require(len(data) <= MAX_SIGNATURE_BYTES, "wallet-signature-bytes")
