"""From a configuration and its signers' answers to the signature's items.

A leaf signature belongs to a signer, or to a sapient signer and the image hash that it stands for; how much it weighs,
the configuration says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from evm.address import Address
from evm.signature import Signature as EcdsaSignature
from evm.wallet.compact import to_compact
from evm.wallet.errors import require
from evm.wallet.signature.model import (
    BranchItem,
    ContractSignature,
    Item,
    KeySignature,
    NestedItem,
    SapientSignature,
)
from evm.wallet.topology import Branch, NestedLeaf, NodeLeaf, SapientLeaf, SignerLeaf, Topology

Answer: TypeAlias = KeySignature | ContractSignature | SapientSignature
_Key: TypeAlias = tuple[Address, bytes | None]


@dataclass(frozen=True, slots=True)
class LeafSignature:
    """A signer's answer; `image_hash` for sapient signers. The weight in `answer` is not looked at."""

    signer: Address
    answer: Answer
    image_hash: bytes | None = None

    def __post_init__(self) -> None:
        sapient = isinstance(self.answer, SapientSignature)
        require(sapient == (self.image_hash is not None), "wallet-leaf-signature")

    @property
    def order(self) -> tuple[str, bytes]:
        """Decides between two answers of one signer, the same way whoever came first."""
        answer = self.answer
        if isinstance(answer, KeySignature):
            return f"key {answer.eth_sign:d}", answer.compact
        return f"{type(answer).__name__} {isinstance(answer, SapientSignature) and answer.compact:d}", answer.data


def key_signature(signer: Address, signature: EcdsaSignature, *, eth_sign: bool = False) -> LeafSignature:
    """A key's answer."""
    return LeafSignature(signer, KeySignature(0, to_compact(signature), eth_sign))


def contract_signature(signer: Address, data: bytes) -> LeafSignature:
    """An ERC-1271 contract's answer."""
    return LeafSignature(signer, ContractSignature(signer, 0, data))


def sapient_signature(signer: Address, image_hash: bytes, data: bytes, *, compact: bool) -> LeafSignature:
    """A sapient signer's answer."""
    return LeafSignature(signer, SapientSignature(signer, 0, data, compact), image_hash)


def fill(topology: Topology, signatures: Iterable[LeafSignature]) -> tuple[Item, ...]:
    """The items of the tree, each leaf with its signature where there is one; nothing is pruned.

    Raises `wallet-leaf-signer-unknown` for a signature that has no leaf. A signer listed twice signs twice.
    """
    answers: dict[_Key, Answer] = {}
    for given in sorted(signatures, key=lambda given: given.order, reverse=True):
        answers[given.signer, given.image_hash] = given.answer
    used: set[_Key] = set()
    items = _items(topology, answers, used)
    require(used == answers.keys(), "wallet-leaf-signer-unknown")
    return items


def _items(topology: Topology, answers: Mapping[_Key, Answer], used: set[_Key]) -> tuple[Item, ...]:
    match topology:
        case Branch(left=left, right=right):
            inner = _items(right, answers, used)
            # The fold makes a left branch inline; a right one has to be wrapped.
            return (*_items(left, answers, used), *((BranchItem(inner),) if isinstance(right, Branch) else inner))
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            return (NestedItem(_items(tree, answers, used), weight, threshold),)
        case SignerLeaf(address=address, weight=weight):
            return (_answered(topology, (address, None), answers, used, weight),)
        case SapientLeaf(address=address, weight=weight, image_hash=image_hash):
            return (_answered(NodeLeaf(topology.hash), (address, image_hash), answers, used, weight),)
    return (topology,)


def _answered(
    shown: SignerLeaf | NodeLeaf, key: _Key, answers: Mapping[_Key, Answer], used: set[_Key], weight: int
) -> Item:
    """The signed leaf, or what is shown of it without a signature."""
    if key not in answers:
        return shown
    used.add(key)
    return replace(answers[key], weight=weight)
