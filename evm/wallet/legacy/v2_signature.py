"""Legacy: signatures of the second generation, one configuration's or a chain of them.

kind | threshold u16 | checkpoint u32 | items      kind 0 has no byte of its own: it is the threshold's first
3 | (size u24 | signature) ...                     newest first, each after the first signs the one before it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from evm.address import Address
from evm.fields import UINT256_MAX
from evm.keccak import keccak256
from evm.wallet.errors import WalletError, require
from evm.wallet.legacy.digests import approval_digest, subdigest
from evm.wallet.legacy.signer import (
    KEY_SIGNATURE_BYTES,
    IsValidSignature,
    SignatureType,
    no_contract,
    recover_signer,
    verify_signer,
)
from evm.wallet.legacy.v2_configuration import V2Configuration, hash_v2_configuration, v2_signer_leaf
from evm.wallet.reader import Reader
from evm.wallet.signature.model import MAX_CHAIN_LENGTH, MAX_SIGNATURE_BYTES
from evm.wallet.topology import (
    MAX_DEPTH,
    Branch,
    NestedLeaf,
    NodeLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
    hash_nested,
)
from evm.wallet.values import HASH_BYTES

_LEGACY, _DYNAMIC, _NO_CHAIN_ID, _CHAINED = range(4)
_KEY, _ADDRESS, _CONTRACT, _NODE, _BRANCH, _SUBDIGEST, _NESTED = range(7)
_SHORT: Final = "wallet-signature-short"
_ZERO: Final = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class V2Recovered:
    """What a signature says. `signers` signed with a weight, of the newest configuration, in order."""

    image_hash: bytes
    threshold: int
    weight: int
    checkpoint: int
    signers: tuple[Address, ...] = ()


def encode_v2_signature(
    configuration: V2Configuration, signatures: Mapping[Address, bytes], *, no_chain_id: bool = False
) -> bytes:
    """As the TypeScript library writes it; `signatures` are each signer's bytes, which end in their type."""
    head = configuration.threshold.to_bytes(2, "big") + configuration.checkpoint.to_bytes(4, "big")
    if no_chain_id:
        head = bytes([_NO_CHAIN_ID]) + head
    elif configuration.threshold > 0xFF:
        head = bytes([_DYNAMIC]) + head
    return head + _encode(configuration.topology, signatures)


def encode_v2_chain(newest_first: list[bytes]) -> bytes:
    """A chain of signatures."""
    return bytes([_CHAINED]) + b"".join([len(part).to_bytes(3, "big") + part for part in newest_first])


def recover_v2(
    data: bytes, digest: bytes, wallet: Address, chain_id: int, ask: IsValidSignature = no_contract
) -> V2Recovered:
    """The configuration that signed `digest` for this wallet, the oldest one of a chain; not compared with anything."""
    require(0 < len(data) <= MAX_SIGNATURE_BYTES, "wallet-signature-bytes")
    if data[0] != _CHAINED:
        return _recover_one(data, digest, wallet, chain_id, ask)
    reader, found = Reader(data, _SHORT, position=1), None
    for _ in range(MAX_CHAIN_LENGTH):
        if reader.ended:
            break
        part = _recover_one(reader.take(reader.uint(3)), digest, wallet, chain_id, ask)
        require(part.weight >= part.threshold, "wallet-signature-chain-weight", "LowWeightChainedSignature")
        descends = found is None or part.checkpoint < found.checkpoint
        require(descends, "wallet-signature-chain-order", "WrongChainedCheckpointOrder")
        digest = approval_digest(part.image_hash)
        found = part if found is None else replace(part, signers=found.signers)
    if found is None or not reader.ended:
        raise WalletError("wallet-signature-chain-length")
    return found


def verify_v2(
    data: bytes,
    digest: bytes,
    wallet: Address,
    chain_id: int,
    image_hash: bytes,
    ask: IsValidSignature = no_contract,
) -> V2Recovered:
    """What was recovered, if it is the configuration with this image hash and heavy enough; `WalletError` if not."""
    found = recover_v2(data, digest, wallet, chain_id, ask)
    require(found.weight >= found.threshold, "wallet-signature-weight-low")
    require(found.image_hash == image_hash, "wallet-signature-image-hash")
    return found


def _encode(topology: Topology, signatures: Mapping[Address, bytes]) -> bytes:
    match topology:
        case Branch(left=left, right=right):
            inner = _encode(right, signatures)
            return _encode(left, signatures) + bytes([_BRANCH]) + len(inner).to_bytes(3, "big") + inner
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            inner = _encode(tree, signatures)
            head = bytes([_NESTED, weight]) + threshold.to_bytes(2, "big")
            return head + len(inner).to_bytes(3, "big") + inner
        case SignerLeaf(address=address, weight=weight):
            return _encode_signer(address, weight, signatures.get(address))
        case NodeLeaf():
            return bytes([_NODE]) + topology.hash
        case SubdigestLeaf(digest=digest):
            return bytes([_SUBDIGEST]) + digest
    raise WalletError("wallet-legacy-leaf")


def _encode_signer(address: Address, weight: int, data: bytes | None) -> bytes:
    if data is None:
        return bytes([_ADDRESS, weight]) + address
    if data[-1:] == bytes([SignatureType.ERC1271]):
        return bytes([_CONTRACT, weight]) + address + len(data).to_bytes(3, "big") + data
    require(len(data) == KEY_SIGNATURE_BYTES, "wallet-legacy-signature")
    return bytes([_KEY, weight]) + data


def _recover_one(data: bytes, digest: bytes, wallet: Address, chain_id: int, ask: IsValidSignature) -> V2Recovered:
    reader = Reader(data, _SHORT)
    kind = data[0] if data else _CHAINED
    require(kind != _CHAINED, "wallet-signature-chain-nested")
    require(kind < _CHAINED, "wallet-signature-flag")
    reader.take(0 if kind == _LEGACY else 1)
    threshold, checkpoint = reader.uint(2), reader.uint(4)
    signed = subdigest(0 if kind == _NO_CHAIN_ID else chain_id, wallet, digest)
    walk = _Walk(signed, ask)
    weight, root = walk.fold(reader, 0)
    image_hash = hash_v2_configuration(root, threshold, checkpoint)
    return V2Recovered(image_hash, threshold, weight, checkpoint, tuple(walk.signers))


@dataclass
class _Walk:
    """One pass over the items of a signature over `signed`; who signed is collected on the way."""

    signed: bytes
    ask: IsValidSignature
    signers: list[Address] = field(default_factory=list)

    def fold(self, reader: Reader, level: int) -> tuple[int, bytes]:
        """Weight and root of the items, as the contract folds them."""
        require(level <= MAX_DEPTH, "wallet-signature-depth")
        weight, root = 0, _ZERO
        while not reader.ended:
            kind = reader.uint(1)
            added, node = self.item(kind, reader, level)
            weight = (weight + added) & UINT256_MAX if added != UINT256_MAX else added
            root = keccak256(root + node) if root != _ZERO or kind == _BRANCH else node
        return weight, root

    def item(self, kind: int, reader: Reader, level: int) -> tuple[int, bytes]:
        """The weight of an item, and its hash."""
        match kind:
            case 0 | 1 | 2:
                return self.signer(kind, reader)
            case 3:
                return 0, reader.take(HASH_BYTES)
            case 4:
                return self.fold(Reader(reader.take(reader.uint(3)), _SHORT), level + 1)
            case 5:
                leaf = SubdigestLeaf(reader.take(HASH_BYTES))
                return UINT256_MAX if leaf.digest == self.signed else 0, leaf.hash
            case 6:
                weight, threshold = reader.uint(1), reader.uint(2)
                inner, root = self.fold(Reader(reader.take(reader.uint(3)), _SHORT), level + 1)
                return weight if inner >= threshold else 0, hash_nested(root, threshold, weight)
        raise WalletError("wallet-signature-flag", "InvalidSignatureFlag")

    def signer(self, kind: int, reader: Reader) -> tuple[int, bytes]:
        """The same for a signer, who may have signed."""
        weight = reader.uint(1)
        if kind == _KEY:
            address = recover_signer(reader.take(KEY_SIGNATURE_BYTES), self.signed)
        else:
            address = reader.address()
            if kind == _ADDRESS:
                return 0, v2_signer_leaf(address, weight)
            verify_signer(address, reader.take(reader.uint(3)), self.signed, self.ask)
        if weight:
            self.signers.append(address)
        return weight, v2_signer_leaf(address, weight)
