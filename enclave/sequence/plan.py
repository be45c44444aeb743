"""What a wallet's configuration is made of. The tree follows from it, in the one shape that the wallet kit builds.

A plan can always be put into words, changed step by step and checked; an arbitrary tree cannot (ADR 41).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evm.address import ADDRESS_BYTES, Address
from evm.errors import EvmError
from evm.wallet.configuration import Configuration
from evm.wallet.context import Context, Extensions, extensions_of, parse_context
from evm.wallet.default_wallet import Guard, Module, default_configuration
from evm.wallet.errors import WalletError
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.recovery.tree import RecoveryLeaf, leaves
from evm.wallet.recovery.tree import Tree as RecoveryTree
from evm.wallet.recovery.tree_encoding import encode_tree as encode_recovery_tree
from evm.wallet.recovery.tree_encoding import parse_tree as parse_recovery_tree
from evm.wallet.sessions.configuration import Tree as SessionTree
from evm.wallet.sessions.configuration import image_hash as session_image_hash
from evm.wallet.sessions.tree_encoding import encode_tree as encode_session_tree
from evm.wallet.sessions.tree_encoding import parse_tree as parse_session_tree
from evm.wallet.topology import SapientLeaf, SignerLeaf


@dataclass(frozen=True, slots=True)
class WalletPlan:
    """Who may act for a wallet. `identity` is the address of the enclave's key for the login."""

    context: Context
    identity: Address
    devices: tuple[Address, ...]
    passkeys: tuple[PasskeyPublicKey, ...]
    guard: Guard | None
    sessions: SessionTree
    recovery: RecoveryTree
    checkpoint: int = 0

    @property
    def extensions(self) -> Extensions:
        """The modules that stand in the configuration."""
        return extensions_of(self.context)

    @property
    def configuration(self) -> Configuration:
        """The tree that the wallet's contracts know by its image hash."""
        modules = self.extensions
        passkeys = [SapientLeaf(modules.passkeys, 1, passkey.root) for passkey in self.passkeys]
        return default_configuration(
            [SignerLeaf(self.identity, 1), *passkeys],
            [SignerLeaf(device, 1) for device in self.devices],
            guard=self.guard,
            sessions=Module(modules.sessions, session_image_hash(self.sessions)),
            recovery=Module(modules.recovery, self.recovery.hash),
            checkpoint=self.checkpoint,
        )

    @property
    def recovery_keys(self) -> Iterator[RecoveryLeaf]:
        """Who may recover the wallet."""
        return leaves(self.recovery)

    def body(self) -> list[Any]:
        """What a record keeps."""
        guard = None if self.guard is None else [self.guard.wallet, self.guard.sessions, self.guard.fallback]
        return [
            self.context.name,
            self.identity,
            list(self.devices),
            [[key.x, key.y, key.require_user_verification, key.metadata] for key in self.passkeys],
            guard,
            encode_session_tree(self.sessions),
            encode_recovery_tree(self.recovery),
            self.checkpoint,
        ]


def read_plan(body: Any) -> WalletPlan:
    """The plan that `WalletPlan.body` wrote; `EvmError` for anything else."""
    match body:
        case [str(context), identity, list(devices), list(passkeys), guard, bytes(sessions), bytes(recovery), int(at)]:
            return WalletPlan(
                context=parse_context(context),
                identity=_address(identity),
                devices=tuple(map(_address, devices)),
                passkeys=tuple(map(_read_passkey, passkeys)),
                guard=None if guard is None else _read_guard(guard),
                sessions=parse_session_tree(sessions),
                recovery=parse_recovery_tree(recovery),
                checkpoint=at,
            )
    raise _damaged()


def _read_passkey(body: Any) -> PasskeyPublicKey:
    match body:
        case [bytes(x), bytes(y), bool(verified), bytes() | None as metadata]:
            return PasskeyPublicKey(x, y, verified, metadata)
    raise _damaged()


def _read_guard(body: Any) -> Guard:
    match body:
        case [wallet, sessions, fallback]:
            return Guard(_address(wallet), _address(sessions), _address(fallback))
    raise _damaged()


def _address(value: Any) -> Address:
    if type(value) is not bytes or len(value) != ADDRESS_BYTES:
        raise _damaged()
    return Address(value)


def _damaged() -> EvmError:
    return WalletError("wallet-record")
