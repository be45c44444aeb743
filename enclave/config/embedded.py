"""Embedded wallets of a scope: the access keys of its applications, its chains, how long sessions last."""

import hashlib
from typing import Annotated

import msgspec

from enclave.config.fields import Measured
from enclave.config.invitations import Invitations, validate_invitations
from enclave.config.parent import ParentWallet, validate_parent
from enclave.config.wallet import WalletTemplate
from enclave.errors import BootError
from protocol import limits

AccessKey = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,64}\Z")]
AccessKeyHash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


def hash_access_key(access_key: str) -> str:
    """Under what name an access key is kept: hex of its SHA-256."""
    return hashlib.sha256(access_key.encode()).hexdigest()


class EmbeddedChain(Measured, frozen=True, kw_only=True):
    """A chain that clients may name."""

    id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]


class EmbeddedWallets(Measured, frozen=True, kw_only=True):
    """An access key says for which scope a request is; it is public, and no secret."""

    project_id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    access_keys: Annotated[tuple[AccessKey, ...], msgspec.Meta(max_length=16)] = ()
    access_key_hashes: Annotated[tuple[AccessKeyHash, ...], msgspec.Meta(max_length=16)] = ()
    """SHA-256 of further access keys, for those who would rather not write them down."""
    chains: Annotated[tuple[EmbeddedChain, ...], msgspec.Meta(min_length=1, max_length=64)]
    guest_login: bool = False
    """Whether a device's key alone makes a user."""
    session_s: Annotated[int, msgspec.Meta(ge=60, le=limits.MAX_SESSION_LIFETIME_S)] = 86_400
    invitations: Invitations | None = None
    parent: ParentWallet | None = None
    """The signer of wallets that users of this scope had before; new users have none of it."""

    def key_hashes(self) -> frozenset[str]:
        """The names of all access keys."""
        return frozenset((*map(hash_access_key, self.access_keys), *self.access_key_hashes))


def validate_embedded(
    embedded: EmbeddedWallets, wallet: WalletTemplate | None, origins: tuple[str, ...], scope: str
) -> None:
    """`BootError("config-embedded")` unless the scope's wallets can be made without keys that a client brings."""
    if wallet is None:
        raise BootError("config-embedded", scope)
    if len(embedded.key_hashes()) != len(embedded.access_keys) + len(embedded.access_key_hashes) or not (
        embedded.access_keys or embedded.access_key_hashes
    ):
        raise BootError("config-embedded", scope)
    if any(entry.key in ("device", "own") for entry in wallet.recovery):
        raise BootError("config-embedded", scope)
    if len({chain.id for chain in embedded.chains}) != len(embedded.chains):
        raise BootError("config-embedded", scope)
    if embedded.invitations is not None:
        validate_invitations(embedded.invitations, origins, scope)
    if embedded.parent is not None:
        validate_parent(embedded.parent, scope)
