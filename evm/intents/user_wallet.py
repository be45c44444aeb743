"""The wallet of a user, derived from who the user is: nothing that a request says decides for whom is signed.

New users have a wallet of the third generation. Users of the original keep their wallet of the second: its one signer
is the tenant's parent wallet, of which the enclave's key and the guard's are the signers.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from evm.address import Address, checksum
from evm.intents.errors import require
from evm.wallet.context import DEFAULT_CONTEXT, Context
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.digests import subdigest
from evm.wallet.legacy.embedded import embedded_address, embedded_configuration, parent_subdigest, unique_signer
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import MessagePayload
from evm.wallet.topology import SignerLeaf, Topology, leaves_of


@dataclass(frozen=True, slots=True)
class WalletV3:
    """A wallet of the third generation, by the image hash of its first configuration."""

    address: Address

    @classmethod
    def of(cls, image_hash: bytes, context: Context = DEFAULT_CONTEXT) -> "WalletV3":
        """The wallet that begins with a configuration."""
        return cls(context.wallet_address(image_hash))

    def message(self, chain_id: int, preimage: bytes) -> Operation:
        """What its signers sign for a verifier that hashes `preimage`."""
        return Operation(MessagePayload(preimage), self.address, chain_id)


@dataclass(frozen=True, slots=True)
class ChildWalletV2:
    """A user's wallet of the second generation below a tenant's parent wallet. Made by `child_wallet`."""

    address: Address
    parent: Address

    def digest(self, chain_id: int, digest: bytes) -> bytes:
        """What the parent's signers sign, so that the user's wallet approves of `digest`."""
        return parent_subdigest(chain_id, self.parent, self.address, digest)

    def own_digest(self, chain_id: int, digest: bytes) -> bytes:
        """`digest` bound to chain and wallet: the name under which relayers and receipts know it."""
        return subdigest(chain_id, self.address, digest)


UserWallet: TypeAlias = WalletV3 | ChildWalletV2


@dataclass(frozen=True, slots=True)
class VerifiedParent:
    """A parent wallet whose configuration has been checked. Only `verify_parent` makes one."""

    address: Address
    user_salt: bytes


def verify_parent(
    configuration: V2Configuration,
    address: Address,
    *,
    enclave: Address,
    guard: Address,
    user_salt: bytes,
    recovery: Address | None = None,
) -> VerifiedParent:
    """The parent wallet at `address`, if it takes the enclave's word and the guard's together, and no other.

    Raises `intent-parent-address` when the configuration does not belong to the address, `intent-parent-threshold`
    unless both are needed, `intent-parent-signers` when a key is missing or another one is there. A time-locked
    recovery contract may stand beside them where the measured configuration names it.
    """
    require(V2.wallet_address(configuration.image_hash) == address, "intent-parent-address")
    require(configuration.threshold == 2 and enclave != guard, "intent-parent-threshold")
    weights = {enclave: 1, guard: 1}
    if recovery is not None:
        weights[recovery] = 2
    found = _signers(configuration.topology)
    require(len(found) == len(weights) and dict(found) == weights, "intent-parent-signers")
    require(len(user_salt) == len(configuration.image_hash), "intent-parent-salt")
    return VerifiedParent(address, user_salt)


def child_wallet(parent: VerifiedParent, user: str) -> ChildWalletV2:
    """The wallet of a user, by the name that the tenant has for it."""
    configuration = embedded_configuration(parent.address, unique_signer(user, parent.user_salt))
    return ChildWalletV2(embedded_address(configuration), parent.address)


def wallet_as_json(wallet: UserWallet) -> dict[str, Any]:
    """The wallet for JSON."""
    return {"address": checksum(wallet.address), "generation": 3 if isinstance(wallet, WalletV3) else 2}


def _signers(topology: Topology) -> list[tuple[Address, int]]:
    """All signers with their weights; a node that hides what is below it, or a nested tree, is refused."""
    leaves = list(leaves_of(topology))
    require(all(isinstance(leaf, SignerLeaf) for leaf in leaves), "intent-parent-signers")
    return [(leaf.address, leaf.weight) for leaf in leaves if isinstance(leaf, SignerLeaf)]
