"""Writing signatures, byte for byte as the client library does.

The contract leaves some freedom (how many bytes a length has); the library's choices are taken, so that one set of leaf
signatures has one encoding everywhere.
"""

from collections.abc import Sequence
from typing import Final

from evm.address import Address
from evm.wallet.configuration import MAX_WEIGHT
from evm.wallet.errors import require
from evm.wallet.signature.model import (
    BranchItem,
    ChainedSignature,
    ContractSignature,
    Item,
    KeySignature,
    NestedItem,
    SapientSignature,
    Signature,
    StaticSignature,
    WalletSignature,
)
from evm.wallet.topology import AnyAddressSubdigestLeaf, NodeLeaf, SignerLeaf, SubdigestLeaf

# The head's flag.
STATIC: Final = 0x80
CHECKPOINTER: Final = 0x40
THRESHOLD_U16: Final = 0x20
CHECKPOINT_SHIFT: Final = 2
NO_CHAIN_ID: Final = 0x02
CHAINED: Final = 0x01

# The kind of an item, in the high half of its first byte.
KEY_SIGNATURE: Final = 0
ADDRESS: Final = 1
CONTRACT_SIGNATURE: Final = 2
NODE: Final = 3
BRANCH: Final = 4
SUBDIGEST: Final = 5
NESTED: Final = 6
ETH_SIGN: Final = 7
ANY_ADDRESS_SUBDIGEST: Final = 8
SAPIENT: Final = 9
SAPIENT_COMPACT: Final = 10

_WIDE: Final = 15  # the largest weight in the four bits of a key's item
_NARROW: Final = 3  # the largest in two bits


def encode_signature(signature: WalletSignature) -> bytes:
    """The bytes for `execute` and `isValidSignature`."""
    match signature:
        case StaticSignature(no_chain_id=no_chain_id):
            return bytes([STATIC | (NO_CHAIN_ID if no_chain_id else 0)])
        case ChainedSignature(parts=parts):
            return _encode_chain(parts)
        case Signature():
            address, data = signature.checkpointer, signature.checkpointer_data
            return _encode_part(signature, b"" if address is None else _checkpointer(address, data))


def encode_items(items: Sequence[Item]) -> bytes:
    """The tree's items one after another."""
    return b"".join(map(_encode_item, items))


def _encode_chain(parts: Sequence[Signature]) -> bytes:
    *newer, oldest = parts
    address = oldest.checkpointer
    head = bytes([CHAINED])
    if address is not None:
        head = bytes([CHAINED | CHECKPOINTER]) + _checkpointer(address, oldest.checkpointer_data)
    encoded = [_encode_part(part, part.checkpointer or b"") for part in newer]
    encoded.append(_encode_part(oldest, b""))
    return head + b"".join([_sized(part, 3) for part in encoded])


def _encode_part(signature: Signature, checkpointer: bytes) -> bytes:
    checkpoint_size = max(1, _size(signature.checkpoint))
    threshold_size = max(1, _size(signature.threshold))
    flag = checkpoint_size << CHECKPOINT_SHIFT
    flag |= THRESHOLD_U16 if threshold_size == 2 else 0
    flag |= NO_CHAIN_ID if signature.no_chain_id else 0
    flag |= CHECKPOINTER if checkpointer else 0
    numbers = signature.checkpoint.to_bytes(checkpoint_size, "big") + signature.threshold.to_bytes(
        threshold_size, "big"
    )
    return bytes([flag]) + checkpointer + numbers + encode_items(signature.items)


def _encode_item(item: Item) -> bytes:
    match item:
        case KeySignature(weight=weight, compact=compact, eth_sign=eth_sign):
            return _weighted(ETH_SIGN if eth_sign else KEY_SIGNATURE, weight, _WIDE) + compact
        case SignerLeaf(address=address, weight=weight):
            return _weighted(ADDRESS, weight, _WIDE) + address
        case ContractSignature():
            return _encode_contract(item)
        case SapientSignature():
            return _encode_sapient(item)
        case BranchItem(items=items):
            inner = encode_items(items)
            size = max(1, _size(len(inner)))
            return bytes([BRANCH << 4 | size]) + _sized(inner, size)
        case NestedItem():
            return _encode_nested(item)
        case NodeLeaf():
            return bytes([NODE << 4]) + item.hash
        case SubdigestLeaf(digest=digest):
            return bytes([SUBDIGEST << 4]) + digest
        case AnyAddressSubdigestLeaf(digest=digest):
            return bytes([ANY_ADDRESS_SUBDIGEST << 4]) + digest


def _encode_contract(item: ContractSignature) -> bytes:
    size = _size(2 + 2 * len(item.data))  # the library measures the hex text here; the contract takes any size
    head = _weighted(CONTRACT_SIGNATURE, item.weight, _NARROW, size << 2)
    return head + item.address + _sized(item.data, size)


def _encode_sapient(item: SapientSignature) -> bytes:
    size = max(1, _size(len(item.data)))
    kind = SAPIENT_COMPACT if item.compact else SAPIENT
    return _weighted(kind, item.weight, _NARROW, size << 2) + item.address + _sized(item.data, size)


def _encode_nested(item: NestedItem) -> bytes:
    flag, tail = NESTED << 4, b""
    if 0 < item.weight <= _NARROW:
        flag |= item.weight << 2
    else:
        tail = bytes([item.weight])
    if 0 < item.threshold <= _NARROW:
        flag |= item.threshold
    else:
        tail += item.threshold.to_bytes(2, "big")
    return bytes([flag]) + tail + _sized(encode_items(item.items), 3)


def _weighted(kind: int, weight: int, most: int, bits: int = 0) -> bytes:
    """The first byte, and a second one for a weight that has no room in it."""
    require(0 <= weight <= MAX_WEIGHT, "wallet-signature-weight")
    if 0 < weight <= most:
        return bytes([kind << 4 | bits | weight])
    return bytes([kind << 4 | bits, weight])


def _checkpointer(address: Address, data: bytes) -> bytes:
    return address + _sized(data, 3)


def _sized(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _size(number: int) -> int:
    """The fewest bytes that hold `number`; none for 0."""
    return (number.bit_length() + 7) // 8
