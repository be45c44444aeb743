"""The configuration of a new wallet, as the wallet kit builds it.

    with a guard      threshold 2   [[[login, device], guard], modules]
    without a guard   threshold 1   [[login, device], modules]

A person's login or device counts one, the guard counts one. Modules: sessions, which with a guard need the guard's
word, too, and recovery, which alone is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evm.address import ZERO_ADDRESS, Address
from evm.wallet.configuration import MAX_WEIGHT, Configuration
from evm.wallet.errors import require
from evm.wallet.topology import Branch, NestedLeaf, SapientLeaf, SignerLeaf, Topology, flat_tree

GUARD_FALLBACK: Final = Address(bytes.fromhex("007a47e6bf40c1e0ed5c01ae42fdc75879140bc4"))
"""May stand in for either guard."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The guard's keys, by role."""

    wallet: Address
    sessions: Address
    fallback: Address = GUARD_FALLBACK


DEFAULT_GUARD: Final = Guard(
    wallet=Address(bytes.fromhex("26f3d30f41fa897309ae804a2aff15ceb1da5742")),
    sessions=Address(bytes.fromhex("f6bc87f5f2edadb66737e32d37b46423901dfef1")),
)


@dataclass(frozen=True, slots=True)
class Module:
    """A module as a sapient signer: where it stands, and the image hash of its own tree."""

    address: Address
    image_hash: bytes


def default_configuration(
    logins: Sequence[SignerLeaf | SapientLeaf],
    devices: Sequence[SignerLeaf | SapientLeaf],
    *,
    guard: Guard | None = None,
    sessions: Module | None = None,
    recovery: Module | None = None,
    checkpoint: int = 0,
) -> Configuration:
    """A new wallet's configuration; a later one of the same shape has another checkpoint.

    A passkey is a sapient leaf of the passkeys module. Each signer weighs 1.
    """
    people: Topology = Branch(_capped(logins), _capped(devices))
    if guard is not None:
        people = Branch(people, _guard(guard.wallet, guard))
    threshold = 1 if guard is None else 2
    return Configuration(threshold, checkpoint, Branch(people, _modules(guard, sessions, recovery)))


def _capped(members: Sequence[SignerLeaf | SapientLeaf]) -> Topology:
    """Any number of signers that together count one."""
    require(all(member.weight == 1 for member in members), "wallet-default-weight")
    if not members:
        return SignerLeaf(ZERO_ADDRESS, 0)
    if len(members) == 1:
        return members[0]
    return NestedLeaf(flat_tree(members), weight=1, threshold=1)


def _guard(key: Address, guard: Guard) -> NestedLeaf:
    return NestedLeaf(Branch(SignerLeaf(key, 1), SignerLeaf(guard.fallback, 1)), weight=1, threshold=1)


def _modules(guard: Guard | None, sessions: Module | None, recovery: Module | None) -> Topology:
    found: list[Topology] = []
    if sessions is not None:
        leaf = SapientLeaf(sessions.address, 1, sessions.image_hash)
        if guard is None:
            found.append(leaf)
        else:
            found.append(NestedLeaf(Branch(leaf, _guard(guard.sessions, guard)), weight=MAX_WEIGHT, threshold=2))
    if recovery is not None:
        found.append(SapientLeaf(recovery.address, MAX_WEIGHT, recovery.image_hash))
    return flat_tree(found) if found else SignerLeaf(ZERO_ADDRESS, 0)
