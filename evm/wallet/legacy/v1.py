"""Legacy: wallets of the first generation. Their configuration is a list; their signatures show all of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evm.address import Address
from evm.keccak import keccak256
from evm.wallet.abi import word
from evm.wallet.errors import WalletError, require
from evm.wallet.legacy.signer import (
    KEY_SIGNATURE_BYTES,
    IsValidSignature,
    SignatureType,
    no_contract,
    recover_signer,
    verify_signer,
)
from evm.wallet.reader import Reader
from evm.wallet.signature.model import MAX_SIGNATURE_BYTES

MAX_SIGNERS: Final = 1024  # own choice
_KEY, _ADDRESS, _DYNAMIC = 0, 1, 2
_SHORT: Final = "wallet-signature-short"


@dataclass(frozen=True, slots=True)
class V1Signer:
    """A key or contract, and its weight."""

    address: Address
    weight: int


@dataclass(frozen=True, slots=True)
class V1Configuration:
    """A threshold and signers in order. There is no checkpoint."""

    threshold: int
    signers: tuple[V1Signer, ...]

    def __post_init__(self) -> None:
        require(0 < self.threshold < 2**16, "wallet-config-threshold")
        require(len(self.signers) <= MAX_SIGNERS, "wallet-topology-leaves")
        require(all(0 <= signer.weight < 2**8 for signer in self.signers), "wallet-leaf-weight")

    @property
    def image_hash(self) -> bytes:
        """The hash chain over the list, begun with the threshold."""
        found = word(self.threshold)
        for signer in self.signers:
            found = keccak256(found + word(signer.weight) + word(signer.address))
        return found


def encode_v1_signature(configuration: V1Configuration, signatures: Mapping[Address, bytes]) -> bytes:
    """The signature: each signer with its bytes, which end in their type, or with its address alone."""
    require(signatures.keys() <= {signer.address for signer in configuration.signers}, "wallet-leaf-signer-unknown")
    parts = [configuration.threshold.to_bytes(2, "big")]
    for signer in configuration.signers:
        data = signatures.get(signer.address)
        if data is None:
            parts.append(bytes([_ADDRESS, signer.weight]) + signer.address)
        elif data[-1:] == bytes([SignatureType.ERC1271]):
            parts.append(bytes([_DYNAMIC, signer.weight]) + signer.address + len(data).to_bytes(2, "big") + data)
        else:
            require(len(data) == KEY_SIGNATURE_BYTES, "wallet-legacy-signature")
            parts.append(bytes([_KEY, signer.weight]) + data)
    return b"".join(parts)


def recover_v1(data: bytes, digest: bytes, ask: IsValidSignature = no_contract) -> tuple[V1Configuration, int]:
    """The configuration that signed `digest` (a subdigest), and the weight of its signatures."""
    require(len(data) <= MAX_SIGNATURE_BYTES, "wallet-signature-bytes")
    reader = Reader(data, _SHORT)
    threshold, total = reader.uint(2), 0
    signers = []
    while not reader.ended:
        kind, weight = reader.uint(1), reader.uint(1)
        match kind:
            case 0:
                address, counts = recover_signer(reader.take(KEY_SIGNATURE_BYTES), digest), True
            case 1:
                address, counts = reader.address(), False
            case 2:
                address, counts = reader.address(), True
                verify_signer(address, reader.take(reader.uint(2)), digest, ask)
            case _:
                raise WalletError("wallet-signature-flag")
        signers.append(V1Signer(address, weight))
        total += weight if counts else 0
    return V1Configuration(threshold, tuple(signers)), total


def verify_v1(data: bytes, digest: bytes, image_hash: bytes, ask: IsValidSignature = no_contract) -> V1Configuration:
    """The configuration with this image hash, which signed `digest`; `WalletError` if it is another, or too light."""
    configuration, weight = recover_v1(data, digest, ask)
    require(weight >= configuration.threshold, "wallet-signature-weight-low")
    require(configuration.image_hash == image_hash, "wallet-signature-image-hash")
    return configuration
