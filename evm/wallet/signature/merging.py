"""One signature of what several signers gave: a function of the configuration and the set of leaf signatures.

There is no order among signers. Leaf signatures are collected, from their owners or out of partial signatures, and
encoded once; joining two encodings would have to choose between their leaves and lose some.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from evm.fields import UINT256_MAX
from evm.message import PersonalMessage
from evm.wallet.compact import recover_compact
from evm.wallet.configuration import Configuration
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import LeafSignature, fill
from evm.wallet.signature.model import (
    BranchItem,
    ContractSignature,
    Item,
    KeySignature,
    NestedItem,
    SapientSignature,
    Signature,
)
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.topology import (
    AnyAddressSubdigestLeaf,
    Branch,
    NestedLeaf,
    NodeLeaf,
    SapientLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
    leaves_of,
)


def assemble(
    configuration: Configuration,
    operation: Operation,
    signatures: Iterable[LeafSignature],
    checkpointer_data: bytes = b"",
) -> Signature:
    """The signature of `configuration`, complete or not; keys' answers are verified, contracts' are not.

    An operation that the configuration approves of in advance is given no other signature: the contract would add its
    weight to the highest number there is, and begin again at zero.
    """
    signatures = tuple(signatures)
    for given in signatures:
        verify_leaf_signature(given, operation)
    return Signature(
        threshold=configuration.threshold,
        checkpoint=configuration.checkpoint,
        items=fill(configuration.topology, () if is_approved(configuration, operation) else signatures),
        no_chain_id=operation.no_chain_id,
        checkpointer=configuration.asked_checkpointer,
        checkpointer_data=checkpointer_data,
    )


def merge(configuration: Configuration, operation: Operation, partial: Iterable[bytes]) -> bytes:
    """One encoding of everything that partial signatures of this configuration hold, in whatever order they come."""
    parsed = [_of_one_configuration(data) for data in partial]
    data = {signature.checkpointer_data for signature in parsed}
    require(len(data) <= 1, "wallet-merge-checkpointer")
    leaves = [leaf for signature in parsed for leaf in leaf_signatures(signature, configuration, operation)]
    return encode_signature(assemble(configuration, operation, leaves, next(iter(data), b"")))


def leaf_signatures(
    signature: Signature, configuration: Configuration, operation: Operation
) -> tuple[LeafSignature, ...]:
    """The leaf signatures inside a partial signature of this configuration; refuses one of any other."""
    head = (signature.threshold, signature.checkpoint, signature.checkpointer, signature.no_chain_id)
    asked = configuration.asked_checkpointer
    expected = (configuration.threshold, configuration.checkpoint, asked, operation.no_chain_id)
    require(head == expected, "wallet-merge-configuration")
    return tuple(_aligned(configuration.topology, signature.items))


def verify_leaf_signature(given: LeafSignature, operation: Operation) -> None:
    """Raises `wallet-leaf-signature` unless a key's answer is by that key; contracts are asked when all is verified."""
    answer = given.answer
    if isinstance(answer, KeySignature):
        digest = PersonalMessage(operation.digest, None).digest if answer.eth_sign else operation.digest
        require(recover_compact(answer.compact, digest) == given.signer, "wallet-leaf-signature")


def is_approved(configuration: Configuration, operation: Operation) -> bool:
    """Whether a leaf approves of the operation in advance."""
    leaves = tuple(leaves_of(configuration.topology))
    return SubdigestLeaf(operation.digest) in leaves or AnyAddressSubdigestLeaf(operation.any_address_digest) in leaves


def collected_weight(items: Sequence[Item]) -> int:
    """The weight that the signatures present add up to, if each is good; complete from the threshold on."""
    total = 0
    for item in items:
        match item:
            case KeySignature(weight=weight) | ContractSignature(weight=weight) | SapientSignature(weight=weight):
                total += weight
            case BranchItem(items=inner):
                total += collected_weight(inner)
            case NestedItem(items=inner, weight=weight, threshold=threshold):
                total += weight if collected_weight(inner) >= threshold else 0
    return min(total, UINT256_MAX)


def _of_one_configuration(data: bytes) -> Signature:
    signature = parse_signature(data)
    if not isinstance(signature, Signature):
        raise WalletError("wallet-merge-kind")
    return signature


def _aligned(topology: Topology, items: Sequence[Item]) -> Iterator[LeafSignature]:
    """Walks tree and items side by side."""
    if len(items) == 1:
        yield from _aligned_item(topology, items[0])
        return
    if not items or not isinstance(topology, Branch):
        raise WalletError("wallet-merge-configuration")
    *left, right = items
    yield from _aligned(topology.left, left)
    yield from _aligned(topology.right, right.items if isinstance(right, BranchItem) else (right,))


def _aligned_item(topology: Topology, item: Item) -> Iterator[LeafSignature]:
    match topology, item:
        case SignerLeaf(address=address), KeySignature():
            yield _leaf(topology, LeafSignature(address, item))
        case SignerLeaf(address=address), ContractSignature():
            require(item.address == address, "wallet-merge-configuration")
            yield _leaf(topology, LeafSignature(address, item))
        case SapientLeaf(address=address, image_hash=image_hash), SapientSignature():
            require(item.address == address, "wallet-merge-configuration")
            yield _leaf(topology, LeafSignature(address, item, image_hash))
        case NestedLeaf(weight=weight, threshold=threshold), NestedItem():
            require((weight, threshold) == (item.weight, item.threshold), "wallet-merge-configuration")
            yield from _aligned(topology.tree, item.items)
        case _, NodeLeaf():
            require(item.hash == topology.hash, "wallet-merge-configuration")
        case _:
            require(item == topology, "wallet-merge-configuration")


def _leaf(topology: SignerLeaf | SapientLeaf, given: LeafSignature) -> LeafSignature:
    require(given.answer.weight == topology.weight, "wallet-merge-configuration")
    return replace(given, answer=replace(given.answer, weight=0))
