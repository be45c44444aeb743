"""What a wallet's signers sign: calls, a message, a configuration update or a digest, and its EIP-712 struct hash.

The contract's `Payload.sol`; the hash that is signed in the end is in `operation_hash.py`. Every kind may name parent
wallets: the wallets above this one that pass the payload down because this wallet is one of their signers, outermost
first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeAlias

from evm.address import ADDRESS_BYTES, Address
from evm.fields import UINT256_MAX
from evm.keccak import EMPTY, keccak256
from evm.wallet.errors import require

MAX_CALLS: Final = 4096  # 65,535 can be written; a transaction has gas for about 6,400 (EIP-7825, EIP-2929)
MAX_PAYLOAD_BYTES: Final = 128 * 1024  # call data of all calls, or a message: no node relays a larger transaction
MAX_PARENT_WALLETS: Final = 8  # own choice; each level is a nested call on chain
MAX_SPACE: Final = 2**160 - 1
MAX_NONCE: Final = 2**56 - 1  # what seven bytes of packed calls hold

CALL_TYPE: Final = (
    "Call(address to,uint256 value,bytes data,uint256 gasLimit,bool delegateCall,bool onlyFallback,"
    "uint256 behaviorOnError)"
)
CALLS_TYPE: Final = "Calls(Call[] calls,uint256 space,uint256 nonce,address[] wallets)" + CALL_TYPE
MESSAGE_TYPE: Final = "Message(bytes message,address[] wallets)"
CONFIG_UPDATE_TYPE: Final = "ConfigUpdate(bytes32 imageHash,address[] wallets)"

_CALL: Final = keccak256(CALL_TYPE.encode())
_CALLS: Final = keccak256(CALLS_TYPE.encode())
_MESSAGE: Final = keccak256(MESSAGE_TYPE.encode())
_CONFIG_UPDATE: Final = keccak256(CONFIG_UPDATE_TYPE.encode())
_ADDRESS_PADDING: Final = bytes(32 - ADDRESS_BYTES)
_HASH_BYTES: Final = 32


class BehaviorOnError(IntEnum):
    """What a wallet does when a call fails. The fourth value that two bits hold has no meaning and is refused."""

    IGNORE = 0
    REVERT = 1
    ABORT = 2


class PayloadKind(IntEnum):
    """The contract's `kind` of a decoded payload."""

    CALLS = 0
    MESSAGE = 1
    CONFIG_UPDATE = 2
    DIGEST = 3


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a wallet; value in wei. A gas limit of 0 forwards all gas."""

    to: Address
    value: int = 0
    data: bytes = b""
    gas_limit: int = 0
    delegate_call: bool = False
    only_fallback: bool = False
    behavior_on_error: BehaviorOnError = BehaviorOnError.REVERT

    def __post_init__(self) -> None:
        require(len(self.to) == ADDRESS_BYTES, "wallet-call-to")
        require(0 <= self.value <= UINT256_MAX, "wallet-call-value")
        require(0 <= self.gas_limit <= UINT256_MAX, "wallet-call-gas-limit")
        require(len(self.data) <= MAX_PAYLOAD_BYTES, "wallet-call-data")

    @property
    def struct_hash(self) -> bytes:
        """EIP-712 `hashStruct` of the call."""
        return keccak256(
            b"".join(
                (
                    _CALL,
                    _ADDRESS_PADDING,
                    self.to,
                    self.value.to_bytes(32, "big"),
                    keccak256(self.data),
                    self.gas_limit.to_bytes(32, "big"),
                    self.delegate_call.to_bytes(32, "big"),
                    self.only_fallback.to_bytes(32, "big"),
                    self.behavior_on_error.to_bytes(32, "big"),
                )
            )
        )


@dataclass(frozen=True, slots=True)
class CallsPayload:
    """Calls in order. The nonce is the next one of its space; a payload without calls consumes it, too."""

    calls: tuple[Call, ...]
    space: int = 0
    nonce: int = 0
    parent_wallets: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.calls) <= MAX_CALLS, "wallet-calls-count")
        require(sum(len(call.data) for call in self.calls) <= MAX_PAYLOAD_BYTES, "wallet-calls-bytes")
        require(0 <= self.space <= MAX_SPACE, "wallet-calls-space")
        require(0 <= self.nonce <= MAX_NONCE, "wallet-calls-nonce")
        _validate_parents(self.parent_wallets)

    @property
    def kind(self) -> PayloadKind:
        """Calls."""
        return PayloadKind.CALLS

    @property
    def call_hashes(self) -> tuple[bytes, ...]:
        """`hashStruct` of each call."""
        return tuple([call.struct_hash for call in self.calls])

    @property
    def struct_hash(self) -> bytes:
        """EIP-712 `hashStruct`."""
        calls = keccak256(b"".join([call.struct_hash for call in self.calls]))
        numbers = self.space.to_bytes(32, "big") + self.nonce.to_bytes(32, "big")
        return keccak256(_CALLS + calls + numbers + hash_parents(self.parent_wallets))


@dataclass(frozen=True, slots=True)
class MessagePayload:
    """A message: bytes that some protocol hashes with keccak-256 and asks the wallet to sign."""

    message: bytes
    parent_wallets: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.message) <= MAX_PAYLOAD_BYTES, "wallet-message-bytes")
        _validate_parents(self.parent_wallets)

    @property
    def kind(self) -> PayloadKind:
        """A message."""
        return PayloadKind.MESSAGE

    @property
    def struct_hash(self) -> bytes:
        """EIP-712 `hashStruct`."""
        return keccak256(_MESSAGE + keccak256(self.message) + hash_parents(self.parent_wallets))


@dataclass(frozen=True, slots=True)
class ConfigUpdatePayload:
    """The wallet's next configuration, by its image hash."""

    image_hash: bytes
    parent_wallets: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.image_hash) == _HASH_BYTES, "wallet-image-hash")
        _validate_parents(self.parent_wallets)

    @property
    def kind(self) -> PayloadKind:
        """A configuration update."""
        return PayloadKind.CONFIG_UPDATE

    @property
    def struct_hash(self) -> bytes:
        """EIP-712 `hashStruct`."""
        return keccak256(_CONFIG_UPDATE + self.image_hash + hash_parents(self.parent_wallets))


@dataclass(frozen=True, slots=True)
class DigestPayload:
    """A hash given to `isValidSignature` (ERC-1271). It is wrapped as the message whose keccak-256 it would be."""

    digest: bytes
    parent_wallets: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.digest) == _HASH_BYTES, "wallet-digest")
        _validate_parents(self.parent_wallets)

    @property
    def kind(self) -> PayloadKind:
        """A digest."""
        return PayloadKind.DIGEST

    @property
    def struct_hash(self) -> bytes:
        """EIP-712 `hashStruct`; never the digest itself, which is what one client library signs here."""
        return keccak256(_MESSAGE + self.digest + hash_parents(self.parent_wallets))


Payload: TypeAlias = CallsPayload | MessagePayload | ConfigUpdatePayload | DigestPayload


def with_parent(payload: Payload, parent: Address) -> Payload:
    """The payload as `parent` passes it down to one of its signers that is a wallet: itself appended last."""
    return replace(payload, parent_wallets=(*payload.parent_wallets, parent))


def hash_parents(parents: Sequence[Address]) -> bytes:
    """EIP-712 `encodeData` of `address[]`: keccak-256 of the padded addresses."""
    if not parents:
        return EMPTY
    return keccak256(b"".join([_ADDRESS_PADDING + parent for parent in parents]))


def _validate_parents(parents: tuple[Address, ...]) -> None:
    require(len(parents) <= MAX_PARENT_WALLETS, "wallet-parents")
    require(all(len(parent) == ADDRESS_BYTES for parent in parents), "wallet-parents")
