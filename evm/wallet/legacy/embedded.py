"""Legacy: the wallets that embedded-wallet services gave their users, of the second generation.

A user's wallet has one signer, the tenant's parent wallet, of which the enclave's key is a signer in turn; a second
leaf of weight 0 makes its address the user's own.
"""

from typing import Final

from evm.address import ADDRESS_BYTES, Address
from evm.fields import utf8
from evm.keccak import keccak256
from evm.wallet.abi import dynamic, encode
from evm.wallet.errors import require
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.digests import subdigest
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.topology import Branch, SignerLeaf
from evm.wallet.values import HASH_BYTES

MAX_USER_BYTES: Final = 1024  # own choice; a tenant's name for its user


def unique_signer(user: str, user_salt: bytes) -> Address:
    """The address of weight 0 that belongs to a user, and to nobody's key."""
    require(len(user_salt) == HASH_BYTES, "wallet-legacy-salt")
    name = utf8(user, "wallet-legacy-user", most=MAX_USER_BYTES)
    return Address(keccak256(encode(dynamic(name), user_salt))[-ADDRESS_BYTES:])


def embedded_configuration(parent: Address, unique: Address) -> V2Configuration:
    """The first configuration of a user's wallet."""
    return V2Configuration(1, 0, Branch(SignerLeaf(parent, 1), SignerLeaf(unique, 0)))


def adopted_configuration(parent: Address, adopter: Address, now_s: int) -> V2Configuration:
    """The configuration that lets the user's own wallet act for the embedded one, approved for chain 0."""
    return V2Configuration(1, now_s, Branch(SignerLeaf(parent, 1), SignerLeaf(adopter, 2)))


def embedded_address(configuration: V2Configuration) -> Address:
    """Where the user's wallet is."""
    return V2.wallet_address(configuration.image_hash)


def parent_subdigest(chain_id: int, parent: Address, wallet: Address, digest: bytes) -> bytes:
    """What the enclave's key signs, as a signer of the parent, so that the user's wallet approves of `digest`."""
    return subdigest(chain_id, parent, subdigest(chain_id, wallet, digest))
