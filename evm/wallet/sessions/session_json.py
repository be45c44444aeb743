"""Session trees and permissions in the client library's JSON: integers as decimal text, a branch as an array.

A leaf is an object with a `type`, but permissions, which have none; a hidden subtree is its hash as 0x text.
"""

from typing import Any, Final

from evm.address import checksum, parse_address
from evm.fields import UINT64_MAX, hex_word, items, members
from evm.wallet.errors import WalletError, require
from evm.wallet.sessions.configuration import (
    MAX_BLACKLIST,
    MAX_DEPTH,
    MAX_LEAVES,
    Blacklist,
    Branch,
    IdentitySigner,
    Node,
    Tree,
)
from evm.wallet.sessions.permission import (
    MAX_PERMISSIONS,
    MAX_RULES,
    ParameterOperation,
    ParameterRule,
    Permission,
    SessionPermissions,
)
from evm.wallet.values import parse_bool, parse_decimal, to_hex

_TREE: Final = "wallet-session-tree"
_PERMISSION: Final = "wallet-permission"
_BLACKLIST: Final = "implicit-blacklist"
_IDENTITY_SIGNER: Final = "identity-signer"
_SESSION_FIELDS: Final = ("signer", "chainId", "valueLimit", "deadline", "permissions")
_RULE_FIELDS: Final = ("cumulative", "operation", "value", "offset", "mask")


def tree_from_json(value: object) -> Tree:
    """The session tree; `EvmError` for unknown, missing or malformed members, and for a tree too deep or too large."""
    count = 0

    def parse(value: object, depth: int) -> Tree:
        nonlocal count
        if isinstance(value, list):
            require(depth > 0, f"{_TREE}-depth")
            return Branch(tuple([parse(child, depth - 1) for child in items(value, most=MAX_LEAVES, code=_TREE)]))
        count += 1
        require(count <= MAX_LEAVES, f"{_TREE}-leaves-count")
        return _parse_leaf(value)

    return parse(value, MAX_DEPTH)


def tree_to_json(tree: Tree) -> Any:
    """The library's form of a tree."""
    match tree:
        case SessionPermissions():
            return permissions_to_json(tree)
        case Node():
            return to_hex(tree.hash)
        case Branch():
            return list(map(tree_to_json, tree.children))
        case Blacklist():
            return {"type": _BLACKLIST, "blacklist": list(map(checksum, tree.addresses))}
        case IdentitySigner():
            return {"type": _IDENTITY_SIGNER, "identitySigner": checksum(tree.address)}


def permissions_from_json(value: object) -> SessionPermissions:
    """An explicit session; `EvmError` for unknown, missing or malformed members."""
    found = members(value, required=_SESSION_FIELDS, code=_PERMISSION)
    return SessionPermissions(
        signer=parse_address(found["signer"], f"{_PERMISSION}-signer"),
        chain_id=parse_decimal(found["chainId"], f"{_PERMISSION}-chain-id"),
        value_limit=parse_decimal(found["valueLimit"], f"{_PERMISSION}-value-limit"),
        deadline=parse_decimal(found["deadline"], f"{_PERMISSION}-deadline", most=UINT64_MAX),
        permissions=tuple(
            map(_parse_permission, items(found["permissions"], most=MAX_PERMISSIONS, code=f"{_PERMISSION}-count"))
        ),
    )


def permissions_to_json(session: SessionPermissions) -> dict[str, Any]:
    """The library's form of an explicit session."""
    return {
        "signer": checksum(session.signer),
        "chainId": str(session.chain_id),
        "valueLimit": str(session.value_limit),
        "deadline": str(session.deadline),
        "permissions": [
            {"target": checksum(permission.target), "rules": list(map(_rule_to_json, permission.rules))}
            for permission in session.permissions
        ],
    }


def _parse_leaf(value: object) -> Tree:
    if isinstance(value, str):
        return Node(hex_word(value, f"{_TREE}-node"))
    if not isinstance(value, dict):
        raise WalletError(_TREE)
    match value.get("type"):
        case None:
            return permissions_from_json(value)
        case "implicit-blacklist":
            listed = members(value, required=("type", "blacklist"), code=_TREE)["blacklist"]
            addresses = items(listed, most=MAX_BLACKLIST, code=f"{_TREE}-blacklist-count")
            return Blacklist(tuple([parse_address(address, f"{_TREE}-blacklist-address") for address in addresses]))
        case "identity-signer":
            found = members(value, required=("type", "identitySigner"), code=_TREE)
            return IdentitySigner(parse_address(found["identitySigner"], f"{_TREE}-identity-signer"))
    raise WalletError(_TREE)


def _parse_permission(value: object) -> Permission:
    found = members(value, required=("target", "rules"), code=_PERMISSION)
    rules = items(found["rules"], most=MAX_RULES, code=f"{_PERMISSION}-rules-count")
    return Permission(parse_address(found["target"], f"{_PERMISSION}-target"), tuple(map(_parse_rule, rules)))


def _parse_rule(value: object) -> ParameterRule:
    found = members(value, required=_RULE_FIELDS, code=_PERMISSION)
    operation = parse_decimal(found["operation"], f"{_PERMISSION}-operation", most=max(ParameterOperation))
    return ParameterRule(
        operation=ParameterOperation(operation),
        value=int.from_bytes(hex_word(found["value"], f"{_PERMISSION}-rule"), "big"),
        offset=parse_decimal(found["offset"], f"{_PERMISSION}-rule"),
        mask=int.from_bytes(hex_word(found["mask"], f"{_PERMISSION}-rule"), "big"),
        cumulative=parse_bool(found["cumulative"], f"{_PERMISSION}-rule"),
    )


def _rule_to_json(rule: ParameterRule) -> dict[str, Any]:
    return {
        "cumulative": rule.cumulative,
        "operation": int(rule.operation),
        "value": to_hex(rule.value.to_bytes(32, "big")),
        "offset": str(rule.offset),
        "mask": to_hex(rule.mask.to_bytes(32, "big")),
    }
