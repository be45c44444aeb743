"""Configurations in JSON: the client library's form, and the one that Sequence's state service keeps.

Both are read into the same values and written back; members beyond the known ones are refused in either.
"""

from abc import ABC, abstractmethod
from typing import Any, Final

from evm.address import Address, checksum, parse_address
from evm.fields import hex_word, members
from evm.wallet.configuration import Configuration
from evm.wallet.errors import WalletError, require
from evm.wallet.topology import (
    MAX_DEPTH,
    MAX_LEAVES,
    AnyAddressSubdigestLeaf,
    Branch,
    NestedLeaf,
    NodeLeaf,
    SapientLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
)
from evm.wallet.values import parse_bool, parse_decimal, to_hex

_CONFIG: Final = "wallet-config"
_LEAF: Final = "wallet-config-leaf"
_WEIGHT: Final = "wallet-leaf-weight"
_THRESHOLD: Final = "wallet-leaf-threshold"


def parse_configuration(value: object) -> Configuration:
    """From the library's `{"threshold", "checkpoint", "topology", "checkpointer"?}`."""
    found = members(value, required=("threshold", "checkpoint", "topology"), optional=("checkpointer",), code=_CONFIG)
    return _configuration(found, _LibraryForm().topology(found["topology"]))


def configuration_to_json(configuration: Configuration) -> dict[str, Any]:
    """The library's form."""
    return _head(configuration) | {"topology": topology_to_json(configuration.topology)}


def parse_service_configuration(value: object) -> Configuration:
    """From the state service's `{"threshold", "checkpoint", "tree", "checkpointer"?}`."""
    found = members(value, required=("threshold", "checkpoint", "tree"), optional=("checkpointer",), code=_CONFIG)
    return _configuration(found, _ServiceForm().topology(found["tree"]))


def service_configuration_to_json(configuration: Configuration) -> dict[str, Any]:
    """The state service's form."""
    return _head(configuration) | {"tree": _service_tree(configuration.topology)}


def parse_topology(value: object) -> Topology:
    """From the library's form: a pair, a hash, or a leaf with its `type`."""
    return _LibraryForm().topology(value)


def topology_to_json(topology: Topology) -> Any:
    """The library's form of a tree."""
    match topology:
        case Branch(left=left, right=right):
            return [topology_to_json(left), topology_to_json(right)]
        case NodeLeaf():
            return to_hex(topology.hash)
        case SubdigestLeaf(digest=digest):
            return {"type": "subdigest", "digest": to_hex(digest)}
        case AnyAddressSubdigestLeaf(digest=digest):
            return {"type": "any-address-subdigest", "digest": to_hex(digest)}
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            inner = topology_to_json(tree)
            return {"type": "nested", "tree": inner, "weight": str(weight), "threshold": str(threshold)}
        case SignerLeaf(address=address, weight=weight):
            return {"type": "signer", "address": checksum(address), "weight": str(weight)}
        case SapientLeaf(address=address, weight=weight, image_hash=image_hash):
            found = {"type": "sapient-signer", "address": checksum(address), "weight": str(weight)}
            return found | {"imageHash": to_hex(image_hash)}


class _Form(ABC):
    """One walk over a tree in JSON: a budget of leaves, and a depth that ends before the interpreter's stack does."""

    def __init__(self) -> None:
        self._left = MAX_LEAVES

    def topology(self, value: object, level: int = 0) -> Topology:
        """The tree at `level`."""
        require(level <= MAX_DEPTH, "wallet-topology-depth")
        if isinstance(value, list):
            require(len(value) == 2, "wallet-config-branch")
            return Branch(self.topology(value[0], level + 1), self.topology(value[1], level + 1))
        self._left -= 1
        require(self._left >= 0, "wallet-topology-leaves")
        if isinstance(value, str):
            return NodeLeaf(hex_word(value, "wallet-leaf-hash"))
        if not isinstance(value, dict):
            raise WalletError(_LEAF)
        return self.leaf(value, level)

    @abstractmethod
    def leaf(self, value: dict[str, Any], level: int) -> Topology:
        """A leaf that is an object."""

    def nested(self, found: dict[str, Any], level: int) -> NestedLeaf:
        """The members of a nested tree, which both forms name alike."""
        return NestedLeaf(
            tree=self.topology(found["tree"], level + 1),
            weight=parse_decimal(found["weight"], _WEIGHT),
            threshold=parse_decimal(found["threshold"], _THRESHOLD),
        )


class _LibraryForm(_Form):
    def leaf(self, value: dict[str, Any], level: int) -> Topology:
        match value.get("type"):
            case "signer":
                found = members(value, required=("type", "address", "weight"), code=_LEAF)
                return SignerLeaf(_address(found), parse_decimal(found["weight"], _WEIGHT))
            case "sapient-signer":
                found = members(value, required=("type", "address", "weight", "imageHash"), code=_LEAF)
                return _sapient(found)
            case "subdigest":
                found = members(value, required=("type", "digest"), code=_LEAF)
                return SubdigestLeaf(hex_word(found["digest"], "wallet-leaf-hash"))
            case "any-address-subdigest":
                found = members(value, required=("type", "digest"), code=_LEAF)
                return AnyAddressSubdigestLeaf(hex_word(found["digest"], "wallet-leaf-hash"))
            case "nested":
                return self.nested(members(value, required=("type", "tree", "weight", "threshold"), code=_LEAF), level)
        raise WalletError(_LEAF)


class _ServiceForm(_Form):
    def leaf(self, value: dict[str, Any], level: int) -> Topology:
        if "tree" in value:
            return self.nested(members(value, required=("tree", "weight", "threshold"), code=_LEAF), level)
        if "subdigest" in value:
            found = members(value, required=("subdigest",), optional=("isAnyAddress",), code=_LEAF)
            digest = hex_word(found["subdigest"], "wallet-leaf-hash")
            any_address = parse_bool(found.get("isAnyAddress", False), _LEAF)
            return AnyAddressSubdigestLeaf(digest) if any_address else SubdigestLeaf(digest)
        found = members(value, required=("address", "weight"), optional=("imageHash",), code=_LEAF)
        if "imageHash" in found:
            return _sapient(found)
        return SignerLeaf(_address(found), parse_decimal(found["weight"], _WEIGHT))


def _address(found: dict[str, Any]) -> Address:
    return parse_address(found["address"], "wallet-leaf-address")


def _sapient(found: dict[str, Any]) -> SapientLeaf:
    image_hash = hex_word(found["imageHash"], "wallet-leaf-hash")
    return SapientLeaf(_address(found), parse_decimal(found["weight"], _WEIGHT), image_hash)


def _configuration(found: dict[str, Any], topology: Topology) -> Configuration:
    checkpointer = found.get("checkpointer")
    return Configuration(
        threshold=parse_decimal(found["threshold"], "wallet-config-threshold"),
        checkpoint=parse_decimal(found["checkpoint"], "wallet-config-checkpoint"),
        topology=topology,
        checkpointer=None if checkpointer is None else parse_address(checkpointer, "wallet-config-checkpointer"),
    )


def _head(configuration: Configuration) -> dict[str, Any]:
    found = {"threshold": str(configuration.threshold), "checkpoint": str(configuration.checkpoint)}
    if configuration.checkpointer is not None:
        found["checkpointer"] = checksum(configuration.checkpointer)
    return found


def _service_tree(topology: Topology) -> Any:
    match topology:
        case Branch(left=left, right=right):
            return [_service_tree(left), _service_tree(right)]
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            return {"weight": str(weight), "threshold": str(threshold), "tree": _service_tree(tree)}
        case SubdigestLeaf(digest=digest):
            return {"subdigest": to_hex(digest)}
        case AnyAddressSubdigestLeaf(digest=digest):
            return {"subdigest": to_hex(digest), "isAnyAddress": True}
        case SignerLeaf() | SapientLeaf():
            found = topology_to_json(topology)
            del found["type"]
            return found
        case NodeLeaf():
            return to_hex(topology.hash)
