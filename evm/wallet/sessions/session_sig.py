"""The signature of a session: the tree as far as needed, attestations, and one signature for each call.

The contract's `SessionSig.sol`. `parse_session_signature` reads; `recover_session_signature` finds out whose signatures
these are and which image hash the tree has. Whether the calls are allowed is for `session_manager.py`.
"""

from dataclasses import dataclass
from typing import Final

from evm.address import ZERO_ADDRESS, Address
from evm.wallet.attestation import Attestation, read_attestation
from evm.wallet.compact import COMPACT_BYTES, recover_compact
from evm.wallet.errors import require
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import CallsPayload
from evm.wallet.reader import Reader
from evm.wallet.sessions.call_hash import call_hash
from evm.wallet.sessions.configuration import Blacklist, IdentitySigner, Tree, image_hash, leaves
from evm.wallet.sessions.permission import MAX_PERMISSIONS, SessionPermissions
from evm.wallet.sessions.tree_encoding import encode_tree, parse_tree

MAX_SIGNATURE_BYTES: Final = 128 * 1024  # it is call data; no node relays a larger transaction
MAX_ATTESTATIONS: Final = 128  # a call signature names its attestation in seven bits

_CODE: Final = "wallet-session-signature"
_LENGTH: Final = "InvalidSignatureLength"
_IDENTITY: Final = "InvalidIdentitySigner"
_IMPLICIT: Final = 0x80
_MAX_TREE_BYTES: Final = 2**24 - 1


@dataclass(frozen=True, slots=True)
class CallSignature:
    """The session key's signature on one call, in 64 bytes.

    `index` names an attestation of the signature if `implicit`, else a permission of the key's own leaf.
    """

    implicit: bool
    index: int
    signature: bytes

    def __post_init__(self) -> None:
        most = MAX_ATTESTATIONS if self.implicit else MAX_PERMISSIONS + 1
        require(0 <= self.index < most and len(self.signature) == COMPACT_BYTES, f"{_CODE}-call")

    @property
    def encoded(self) -> bytes:
        """Flag and index in one byte, signature."""
        return bytes([_IMPLICIT * self.implicit | self.index]) + self.signature


@dataclass(frozen=True, slots=True)
class UnverifiedAttestation:
    """An attestation and what is said to be its identity signer's signature, in 64 bytes."""

    attestation: Attestation
    signature: bytes

    @property
    def encoded(self) -> bytes:
        """As a session signature carries it."""
        return self.attestation.encoded + self.signature


@dataclass(frozen=True, slots=True)
class SessionSignature:
    """A session signature as it is written: nothing of it is verified. A used attestation is listed once."""

    tree: Tree
    attestations: tuple[UnverifiedAttestation, ...]
    calls: tuple[CallSignature, ...]

    def __post_init__(self) -> None:
        require(len(self.attestations) <= MAX_ATTESTATIONS, f"{_CODE}-attestations")

    @property
    def encoded(self) -> bytes:
        """The data of the wallet's sapient item."""
        tree = encode_tree(self.tree)
        require(len(tree) <= _MAX_TREE_BYTES, f"{_CODE}-bytes")
        parts = [len(tree).to_bytes(3, "big"), tree, bytes([len(self.attestations)])]
        parts += [attestation.encoded for attestation in self.attestations]
        return b"".join(parts + [call.encoded for call in self.calls])


@dataclass(frozen=True, slots=True)
class RecoveredCall:
    """Who signed a call, and on what ground: an attestation of the identity signer, or a permission of its leaf."""

    signer: Address
    attestation: Attestation | None
    permission_index: int


@dataclass(frozen=True, slots=True)
class RecoveredSignature:
    """What a session signature says, its signers recovered. Only `recover_session_signature` makes one.

    Every attestation is the identity signer's. Whether the image hash is the wallet's own is for the wallet to compare.
    """

    image_hash: bytes
    identity_signer: Address
    blacklist: Blacklist
    sessions: tuple[SessionPermissions, ...]
    calls: tuple[RecoveredCall, ...]


def parse_session_signature(data: bytes) -> SessionSignature:
    """The signature that `data` encodes, all of it; `WalletError` otherwise."""
    require(len(data) <= MAX_SIGNATURE_BYTES, f"{_CODE}-bytes")
    reader = Reader(data, f"{_CODE}-length")
    tree = parse_tree(reader.take(reader.uint(3)))
    count = reader.uint(1)
    attestations = tuple(
        [UnverifiedAttestation(read_attestation(reader), reader.take(COMPACT_BYTES)) for _ in range(count)]
    )
    rest = len(data) - reader.position
    require(rest % (1 + COMPACT_BYTES) == 0, f"{_CODE}-length", _LENGTH)
    calls = tuple([_read_call(reader) for _ in range(rest // (1 + COMPACT_BYTES))])
    return SessionSignature(tree, attestations, calls)


def recover_session_signature(signature: SessionSignature, operation: Operation) -> RecoveredSignature:
    """Who signed what; `WalletError` where the contract could not make sense of it."""
    calls = operation.payload.calls if isinstance(operation.payload, CallsPayload) else ()
    found = list(leaves(signature.tree))
    identities = [leaf.address for leaf in found if isinstance(leaf, IdentitySigner)]
    blacklists = [leaf for leaf in found if isinstance(leaf, Blacklist)]
    require(len(blacklists) <= 1, f"{_CODE}-blacklists", "InvalidBlacklist")
    require(len(identities) == 1, f"{_CODE}-identity-signers", _IDENTITY)
    for each in signature.attestations:
        by = recover_compact(each.signature, each.attestation.hash)
        require(by == identities[0], f"{_CODE}-identity-signer", _IDENTITY)
    require(bool(blacklists) or not signature.attestations, f"{_CODE}-no-blacklist", "InvalidBlacklist")
    require(len(signature.calls) == len(calls), f"{_CODE}-calls", _LENGTH)
    digest = operation.digest
    return RecoveredSignature(
        image_hash=image_hash(signature.tree),
        identity_signer=identities[0],
        blacklist=blacklists[0] if blacklists else Blacklist(),
        sessions=tuple([leaf for leaf in found if isinstance(leaf, SessionPermissions)]),
        calls=tuple(
            [
                _recover_call(each, signature.attestations, call_hash(digest, index))
                for index, each in enumerate(signature.calls)
            ]
        ),
    )


def _read_call(reader: Reader) -> CallSignature:
    flag = reader.uint(1)
    return CallSignature(bool(flag & _IMPLICIT), flag & ~_IMPLICIT, reader.take(COMPACT_BYTES))


def _recover_call(call: CallSignature, attestations: tuple[UnverifiedAttestation, ...], digest: bytes) -> RecoveredCall:
    attestation = None
    if call.implicit:
        require(call.index < len(attestations), f"{_CODE}-attestation", "InvalidAttestation")
        attestation = attestations[call.index].attestation
    signer = recover_compact(call.signature, digest)
    require(signer != ZERO_ADDRESS, f"{_CODE}-signer", "InvalidSessionSigner")
    return RecoveredCall(signer, attestation, call.index)
