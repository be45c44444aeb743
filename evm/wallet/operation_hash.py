"""The hash that a wallet's signers sign: the payload's struct under the domain of wallet and chain (EIP-712).

The contract's `Payload.hashFor`. Events, relayers and the session and recovery modules know a payload by this hash.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from evm.address import ADDRESS_BYTES, ZERO_ADDRESS, Address
from evm.fields import UINT256_MAX
from evm.keccak import keccak256
from evm.wallet.errors import require
from evm.wallet.payload import Payload

DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_DOMAIN: Final = keccak256(DOMAIN_TYPE.encode())


@dataclass(frozen=True, slots=True)
class RecoveryPayload:
    """A payload as a recovery signer signs it in order to queue it: the same struct under another domain."""

    payload: Payload


class HashedAttestation(Protocol):
    """An attestation of an implicit session, whose hash is signed as it is."""

    @property
    def hash(self) -> bytes:
        """keccak-256 of the packed attestation."""


@dataclass(frozen=True, slots=True)
class SessionImplicitAuthorize:
    """An identity signer's approval of an implicit session. No typed data: neither wallet nor chain is part of it."""

    session: Address
    attestation: HashedAttestation

    @property
    def digest(self) -> bytes:
        """What the identity signer signs, as it is."""
        return self.attestation.hash


@dataclass(frozen=True, slots=True)
class Domain:
    """An EIP-712 domain but for chain and wallet."""

    name: str
    version: str

    def separator(self, wallet: Address, chain_id: int) -> bytes:
        """EIP-712 `domainSeparator` for a wallet; chain id 0 for a signature that holds on every chain."""
        require(0 <= chain_id <= UINT256_MAX, "wallet-chain-id")
        require(len(wallet) == ADDRESS_BYTES, "wallet-address")
        texts = keccak256(self.name.encode()) + keccak256(self.version.encode())
        return keccak256(_DOMAIN + texts + chain_id.to_bytes(32, "big") + wallet.rjust(32, b"\0"))


WALLET_DOMAIN: Final = Domain("Sequence Wallet", "3")
RECOVERY_DOMAIN: Final = Domain("Sequence Wallet - Recovery Mode", "1")


def operation_hash(payload: Payload | RecoveryPayload, wallet: Address, chain_id: int) -> bytes:
    """The contract's `opHash`: the digest that the signers of `wallet` sign. Chain id 0 means every chain."""
    if isinstance(payload, RecoveryPayload):
        domain, payload = RECOVERY_DOMAIN, payload.payload
    else:
        domain = WALLET_DOMAIN
    return keccak256(b"\x19\x01" + domain.separator(wallet, chain_id) + payload.struct_hash)


@dataclass(frozen=True, slots=True)
class Operation:
    """A payload for one wallet on one chain. `no_chain_id` is said by each signature: it then holds on every chain."""

    payload: Payload
    wallet: Address
    chain_id: int
    no_chain_id: bool = False

    @property
    def digest(self) -> bytes:
        """What the wallet's signers sign."""
        return operation_hash(self.payload, self.wallet, self._chain_id)

    @property
    def any_address_digest(self) -> bytes:
        """The same for a wallet at address 0: what a configuration can approve before the wallet has an address."""
        return operation_hash(self.payload, ZERO_ADDRESS, self._chain_id)

    @property
    def _chain_id(self) -> int:
        """Chain 0 exists in signatures alone, and only where they say so."""
        require(self.no_chain_id or self.chain_id > 0, "wallet-chain-id")
        return 0 if self.no_chain_id else self.chain_id
