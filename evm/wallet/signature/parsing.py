"""Reading signatures: every length inside its bounds, every item known, nothing left over.

What is read is untrusted: who signed, and for which configuration, only recovering tells.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from evm.address import Address
from evm.wallet.compact import COMPACT_BYTES
from evm.wallet.errors import WalletError, require
from evm.wallet.reader import Reader
from evm.wallet.signature import encoding
from evm.wallet.signature.model import (
    MAX_SIGNATURE_BYTES,
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
from evm.wallet.topology import MAX_DEPTH, AnyAddressSubdigestLeaf, NodeLeaf, SignerLeaf, SubdigestLeaf
from evm.wallet.values import HASH_BYTES

_SHORT: Final = "wallet-signature-short"
_UNUSED: Final = "wallet-signature-unused-bits"
_LENGTH: Final = "wallet-signature-length"


def parse_signature(data: bytes) -> WalletSignature:
    """The signature in the bytes; `WalletError`, with the contract's reason where it has one."""
    require(0 < len(data) <= MAX_SIGNATURE_BYTES, "wallet-signature-bytes")
    flag = data[0]
    if flag & encoding.STATIC:
        require(flag & ~encoding.NO_CHAIN_ID == encoding.STATIC, _UNUSED)
        require(len(data) == 1, _LENGTH)
        return StaticSignature(bool(flag & encoding.NO_CHAIN_ID))
    reader = Reader(data, _SHORT, position=1)
    checkpointer, checkpointer_data = None, b""
    if flag & encoding.CHECKPOINTER:
        checkpointer = reader.address()
        checkpointer_data = reader.take(reader.uint(3))
    if flag & encoding.CHAINED:
        require(flag & ~encoding.CHECKPOINTER == encoding.CHAINED, _UNUSED)
        return _parse_chain(reader, checkpointer, checkpointer_data)
    return _parse_body(flag, reader, checkpointer, checkpointer_data)


def _parse_chain(reader: Reader, checkpointer: Address | None, checkpointer_data: bytes) -> ChainedSignature:
    parts = []
    while not reader.ended:
        part = Reader(reader.take(reader.uint(3)), _SHORT)
        flag = part.uint(1)
        require(not flag & encoding.STATIC, _UNUSED)
        require(
            not flag & encoding.CHAINED, "wallet-signature-chain-nested", "ChainedSignatureNestedInChainedSignature"
        )
        if reader.ended:
            # The contract would take a checkpointer here without asking it; one that is not asked is none.
            require(not flag & encoding.CHECKPOINTER, "wallet-signature-chain-checkpointer")
            parts.append(_parse_body(flag, part, checkpointer, checkpointer_data))
        else:
            own = part.address() if flag & encoding.CHECKPOINTER else None
            parts.append(_parse_body(flag, part, own, b""))
    return ChainedSignature(tuple(parts))


def _parse_body(flag: int, reader: Reader, checkpointer: Address | None, checkpointer_data: bytes) -> Signature:
    return Signature(
        checkpoint=reader.uint(flag >> encoding.CHECKPOINT_SHIFT & 0x07),
        threshold=reader.uint(2 if flag & encoding.THRESHOLD_U16 else 1),
        items=_parse_items(reader, 0),
        no_chain_id=bool(flag & encoding.NO_CHAIN_ID),
        checkpointer=checkpointer,
        checkpointer_data=checkpointer_data,
    )


def _parse_items(reader: Reader, level: int) -> tuple[Item, ...]:
    require(level <= MAX_DEPTH, "wallet-signature-depth")
    items = []
    while not reader.ended:
        first = reader.uint(1)
        parse = _ITEMS.get(first >> 4)
        if parse is None:
            raise WalletError("wallet-signature-flag", "InvalidSignatureFlag")
        items.append(parse(reader, first & 0x0F, level))
    return tuple(items)


def _key_signature(reader: Reader, low: int, _: int, *, eth_sign: bool) -> Item:
    return KeySignature(low or reader.uint(1), reader.take(COMPACT_BYTES), eth_sign)


def _address(reader: Reader, low: int, _: int) -> Item:
    weight = low or reader.uint(1)
    return SignerLeaf(reader.address(), weight)


def _contract(reader: Reader, low: int, _: int) -> Item:
    weight = low & 0x03 or reader.uint(1)
    return ContractSignature(reader.address(), weight, reader.take(reader.uint(low >> 2)))


def _sapient(reader: Reader, low: int, _: int, *, compact: bool) -> Item:
    weight = low & 0x03 or reader.uint(1)
    return SapientSignature(reader.address(), weight, reader.take(reader.uint(low >> 2)), compact)


def _branch(reader: Reader, low: int, level: int) -> Item:
    inner = Reader(reader.take(reader.uint(low)), _SHORT)
    return BranchItem(_parse_items(inner, level + 1))


def _nested(reader: Reader, low: int, level: int) -> Item:
    weight = low >> 2 or reader.uint(1)
    threshold = low & 0x03 or reader.uint(2)
    inner = Reader(reader.take(reader.uint(3)), _SHORT)
    return NestedItem(_parse_items(inner, level + 1), weight, threshold)


def _word(reader: Reader, low: int, _: int, *, make: Callable[[bytes], Item]) -> Item:
    require(low == 0, _UNUSED)
    return make(reader.take(HASH_BYTES))


_ITEMS: Final[Mapping[int, Callable[[Reader, int, int], Item]]] = {
    encoding.KEY_SIGNATURE: partial(_key_signature, eth_sign=False),
    encoding.ADDRESS: _address,
    encoding.CONTRACT_SIGNATURE: _contract,
    encoding.NODE: partial(_word, make=NodeLeaf),
    encoding.BRANCH: _branch,
    encoding.SUBDIGEST: partial(_word, make=SubdigestLeaf),
    encoding.NESTED: _nested,
    encoding.ETH_SIGN: partial(_key_signature, eth_sign=True),
    encoding.ANY_ADDRESS_SUBDIGEST: partial(_word, make=AnyAddressSubdigestLeaf),
    encoding.SAPIENT: partial(_sapient, compact=False),
    encoding.SAPIENT_COMPACT: partial(_sapient, compact=True),
}
