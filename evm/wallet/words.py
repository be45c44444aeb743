"""A configuration in words: who can sign with which weight, what alone is enough, and what an update changes.

Lines are indented where a nested tree counts as one signer. Branches have no meaning beyond their hash and are not
shown. Names of addresses are the caller's, or those of Sequence's modules and guard.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from evm.address import ZERO_ADDRESS, Address, checksum
from evm.wallet.configuration import Configuration, reachable_weight, validate_safety
from evm.wallet.context import EXTENSIONS
from evm.wallet.default_wallet import DEFAULT_GUARD
from evm.wallet.errors import WalletError
from evm.wallet.topology import (
    WALLET_AS_SIGNER,
    AnyAddressSubdigestLeaf,
    Branch,
    Leaf,
    NestedLeaf,
    NodeLeaf,
    SapientLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
)
from evm.words import printable

Names = Mapping[Address, str]


def _known_names() -> dict[Address, str]:
    found = {DEFAULT_GUARD.wallet: "guard", DEFAULT_GUARD.sessions: "guard of sessions"}
    found[DEFAULT_GUARD.fallback] = "guard, second key"
    for release, modules in EXTENSIONS.items():
        found.setdefault(modules.passkeys, f"passkeys of {release}")
        found.setdefault(modules.recovery, f"recovery of {release}")
        found.setdefault(modules.sessions, f"sessions of {release}")
    return found


KNOWN_NAMES: Final[Names] = MappingProxyType(_known_names())

_UNSAFE: Final = {
    "wallet-config-unsafe-threshold-0": "ANYONE can act for this wallet: it needs no signature",
    "wallet-config-unsafe-invalid-values": "NOBODY can sign: a number is larger than a signature can hold",
    "wallet-config-unsafe-depth": "The tree is deeper than is known to work on chain",
    "wallet-config-unsafe-threshold": "The signers that are shown do not reach the threshold",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a leaf stands: the nested trees around it, outermost first, as (weight, threshold)."""

    nested: tuple[tuple[int, int], ...]
    leaf: Leaf


def configuration_words(configuration: Configuration, names: Names = KNOWN_NAMES) -> list[str]:
    """The configuration, line by line; first what is wrong with it, if anything."""
    checkpointer = configuration.asked_checkpointer
    head = [f"Needs a weight of {configuration.threshold}; checkpoint {configuration.checkpoint}"]
    if checkpointer is not None:
        head.append(f"{_name(checkpointer, names)} may refuse configurations that are not the newest")
    return [*_warnings(configuration), *head, *_tree_words(configuration.topology, configuration.threshold, names, 1)]


def difference_words(old: Configuration, new: Configuration, names: Names = KNOWN_NAMES) -> list[str]:
    """What `new` changes, line by line; empty if nothing. Unsafe about the new one comes first."""
    if old.image_hash == new.image_hash:
        return []
    lines = _warnings(new)
    for what, before, after in (
        ("The threshold", old.threshold, new.threshold),
        ("The checkpoint", old.checkpoint, new.checkpoint),
    ):
        if before != after:
            lines.append(f"{what} changes from {before} to {after}")
    if (old.checkpointer or ZERO_ADDRESS) != (new.checkpointer or ZERO_ADDRESS):
        before_, after_ = (_name(given.checkpointer or ZERO_ADDRESS, names) for given in (old, new))
        lines.append(f"The checkpointer changes from {before_} to {after_}")
    removed, added = Counter(places(old.topology)), Counter(places(new.topology))
    lines += [f"Removed: {_place_words(place, names)}" for place in (removed - added).elements()]
    lines += [f"Added: {_place_words(place, names)}" for place in (added - removed).elements()]
    if _meaning(old.topology) == _meaning(new.topology):
        same = "" if old.topology == new.topology else "The signers stay the same, in another order"
        return [*lines, same] if same else lines
    return lines if removed != added else [*lines, "The same signers are GROUPED OTHERWISE: read the whole"]


def places(topology: Topology, around: tuple[tuple[int, int], ...] = ()) -> Iterator[Place]:
    """Every leaf but nested trees, with the nested trees around it."""
    match topology:
        case Branch(left=left, right=right):
            yield from places(left, around)
            yield from places(right, around)
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            yield from places(tree, (*around, (weight, threshold)))
        case _:
            yield Place(around, topology)


def _meaning(topology: Topology) -> tuple[object, ...]:
    """The tree without the order of its leaves: two trees with one meaning take the same signatures."""
    match topology:
        case Branch(left=left, right=right):
            return tuple(sorted(_meaning(left) + _meaning(right), key=repr))
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            return ((weight, threshold, _meaning(tree)),)
    return (topology,)


def _warnings(configuration: Configuration) -> list[str]:
    lines = []
    try:
        validate_safety(configuration)
    except WalletError as refusal:
        lines.append(_UNSAFE[refusal.code])
    nobody = [place.leaf for place in places(configuration.topology) if isinstance(place.leaf, SignerLeaf)]
    if any(leaf.address == ZERO_ADDRESS and leaf.weight for leaf in nobody):
        lines.append("ANYONE can sign for the zero address: a signature that fits no key recovers to it")
    return lines


def _tree_words(topology: Topology, threshold: int, names: Names, level: int) -> Iterator[str]:
    match topology:
        case Branch(left=left, right=right):
            yield from _tree_words(left, threshold, names, level)
            yield from _tree_words(right, threshold, names, level)
        case NestedLeaf(tree=tree, weight=weight, threshold=inner):
            most = reachable_weight(tree)
            what = f"weight {weight} once these reach {inner} of {most}"
            yield _line(what + _alone(weight, threshold, most >= inner), level)
            yield from _tree_words(tree, inner, names, level + 1)
        case SignerLeaf(weight=weight) | SapientLeaf(weight=weight):
            yield _line(_leaf_words(topology, names) + _alone(weight, threshold, weight > 0), level)
        case _:
            yield _line(_leaf_words(topology, names), level)


def _alone(weight: int, threshold: int, reachable: bool) -> str:
    return ", alone enough" if reachable and weight >= threshold else ""


def _leaf_words(leaf: Leaf, names: Names) -> str:
    match leaf:
        case SignerLeaf(address=address, weight=weight):
            return f"weight {weight}: {_name(address, names)}"
        case SapientLeaf(address=address, weight=weight, image_hash=image_hash):
            if image_hash == WALLET_AS_SIGNER:
                return f"weight {weight}: the wallet {_name(address, names)}"
            return f"weight {weight}: the contract {_name(address, names)} for 0x{image_hash.hex()}"
        case SubdigestLeaf(digest=digest):
            return f"approved in advance: the operation 0x{digest.hex()}"
        case AnyAddressSubdigestLeaf(digest=digest):
            return f"approved in advance, for whatever address this configuration has: the operation 0x{digest.hex()}"
        case NodeLeaf():
            return f"NOT SHOWN: 0x{leaf.hash.hex()}"
        case NestedLeaf(weight=weight, threshold=threshold):
            return f"weight {weight} at {threshold}"


def _place_words(place: Place, names: Names) -> str:
    around = [f", inside a part of weight {weight} at {threshold}" for weight, threshold in place.nested]
    return _leaf_words(place.leaf, names) + "".join(reversed(around))


def _name(address: Address, names: Names) -> str:
    text = checksum(address)
    return f"{text} {printable(names[address])}" if address in names else text


def _line(text: str, level: int) -> str:
    return "  " * level + text
