"""What is wrong with a file about a wallet, in one sentence that names the place. For people at a terminal only.

Unlike errors, these sentences repeat what the file holds, its member names above all.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from evm.errors import EvmError
from evm.wallet.configuration_json import parse_configuration, parse_service_configuration
from evm.wallet.document import ANSWER_MEMBERS, kind_of, parse_document
from evm.wallet.recovery.tree_encoding import tree_from_json as recovery_from_json
from evm.wallet.sessions.session_json import tree_from_json as sessions_from_json
from evm.words import printable

_EXPECTED: Final = (
    "expected is a configuration (threshold, checkpoint, topology or tree), the answer of Wallet/Configuration, "
    "a session tree or a recovery tree"
)
_HEADS: Final = {"library": ("threshold", "checkpoint", "topology"), "service": ("threshold", "checkpoint", "tree")}
_LEAVES: Final = {
    "signer": ("type", "address", "weight"),
    "sapient-signer": ("type", "address", "weight", "imageHash"),
    "subdigest": ("type", "digest"),
    "any-address-subdigest": ("type", "digest"),
    "nested": ("type", "tree", "weight", "threshold"),
    "implicit-blacklist": ("type", "blacklist"),
    "identity-signer": ("type", "identitySigner"),
    "leaf": ("type", "signer", "requiredDeltaTime", "minTimestamp"),
}
_SESSION: Final = ("signer", "chainId", "valueLimit", "deadline", "permissions")
_PERMISSION: Final = ("target", "rules")
_RULE: Final = ("cumulative", "operation", "value", "offset", "mask")
_REASONS: Final = {
    "address-checksum": "an address whose letters are in mixed case has a wrong checksum: is it copied right?",
    "wallet-leaf-address": "`address` is not 0x and 40 digits",
    "wallet-leaf-hash": "a hash is not 0x and 64 digits",
    "wallet-leaf-weight": "`weight` is not a whole number, as decimal text or as a number",
    "wallet-leaf-threshold": "`threshold` is not a whole number, as decimal text or as a number",
    "wallet-config-threshold": "`threshold` is not a whole number, as decimal text or as a number",
    "wallet-config-checkpoint": "`checkpoint` is not a whole number, as decimal text or as a number",
    "wallet-config-checkpointer": "`checkpointer` is not 0x and 40 digits",
    "wallet-config-branch": "a branch has two parts, and this list has another number of them",
    "wallet-topology-depth": "the tree is deeper than any that the contracts can read",
    "wallet-topology-leaves": "the tree has more leaves than any wallet",
    "wallet-session-tree-blacklist-unsorted": "the addresses of `blacklist` are not in ascending order",
}

Parse = Callable[[Any], object]


def explain_fault(value: object) -> str | None:
    """The sentence; None if nothing is wrong."""
    try:
        parse_document(value)
    except EvmError as error:
        kind = kind_of(value)
        if not kind:
            return f"this is no wallet: {_found(value)}; {_EXPECTED}"
        return _explain(value, kind, error)
    return None


def _explain(value: Any, kind: str, error: EvmError) -> str:
    if kind == "answer":
        return _explain_answer(value, error)
    if kind in _HEADS:
        head = _HEADS[kind]
        fault = _member_fault(value, head, ("checkpointer",))
        if fault is not None:
            return f"a configuration {fault}"
        return _explain_tree(value[head[2]], head[2], lambda tree: _PARSERS[kind]({**_PLAIN, head[2]: tree}), error)
    return _explain_tree(value, "the tree", _PARSERS[kind], error)


def _explain_answer(value: dict[str, Any], error: EvmError) -> str:
    fault = _member_fault(value, ("configuration",), ANSWER_MEMBERS)
    if fault is not None:
        return f"the answer {fault}"
    inner = explain_fault(value["configuration"])
    if inner is not None:
        return f"configuration: {inner}"
    for name in ("sessions", "recovery"):
        if value.get(name) is not None:
            try:
                _PARSERS[name](value[name])
            except EvmError as refusal:
                return _explain_tree(value[name], name, _PARSERS[name], refusal)
    return _reason(error)


def _explain_tree(tree: Any, path: str, parse: Parse, error: EvmError) -> str:
    """The fault of the smallest part that is refused by itself."""
    for part, place in _parts(tree):
        try:
            parse(part)
        except EvmError as refusal:
            return _explain_tree(part, path + place, parse, refusal)
    if isinstance(tree, dict):
        kind = tree.get("type")
        wanted = _LEAVES.get(kind) if isinstance(kind, str) else _wanted_without_type(tree)
        if kind is not None and wanted is None:
            known = ", ".join(name for name in _LEAVES)
            return f"{path}: {printable(str(kind))} is no type of a leaf; types are {known}"
        fault = _member_fault(tree, wanted, ()) if wanted else None
        if fault is not None:
            return f"{path}: a leaf {'of type ' + kind + ' ' if isinstance(kind, str) else ''}{fault}"
        fault = _permission_fault(tree)
        if fault is not None:
            return f"{path}{fault}"
    return f"{path}: {_reason(error)}"


def _parts(tree: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(tree, list):
        yield from ((part, f"[{index}]") for index, part in enumerate(tree))
    elif isinstance(tree, dict) and "tree" in tree:
        yield tree["tree"], ".tree"


def _permission_fault(leaf: dict[str, Any]) -> str | None:
    """In an explicit session: a permission or rule with members that it does not have."""
    for number, permission in enumerate(_listed(leaf.get("permissions"))):
        place = f".permissions[{number}]"
        fault = _member_fault(permission, _PERMISSION, ())
        if fault is not None:
            return f"{place}: a permission {fault}"
        for index, rule in enumerate(_listed(permission["rules"])):
            fault = _member_fault(rule, _RULE, ())
            if fault is not None:
                return f"{place}.rules[{index}]: a rule {fault}"
    return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _wanted_without_type(leaf: dict[str, Any]) -> tuple[str, ...] | None:
    """The members of a leaf in the service's form, or of an explicit session; neither has a type."""
    if "permissions" in leaf:
        return _SESSION
    if "tree" in leaf:
        return ("weight", "threshold", "tree")
    if "address" in leaf:
        return ("weight", "address", *(("imageHash",) if "imageHash" in leaf else ()))
    return None


def _member_fault(value: Any, required: Sequence[str], optional: Sequence[str]) -> str | None:
    if not isinstance(value, dict):
        return f"has to be an object, and is {_found(value)}"
    unknown = [name for name in value if name not in (*required, *optional)]
    if unknown:
        listed = ", ".join(dict.fromkeys((*required, *optional)))
        return f"has no member {printable(unknown[0])}; its members are {listed}"
    missing = [name for name in required if name not in value]
    return f"lacks {', '.join(missing)}" if missing else None


def _reason(error: EvmError) -> str:
    return _REASONS.get(error.code, f"it is not of the right form ({error.code})")


def _found(value: Any) -> str:
    if isinstance(value, dict):
        names = ", ".join(printable(name) for name in list(value)[:8])
        return f"an object with the members {names}" if names else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return {str: "a text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")


_PLAIN: Final = {"threshold": "1", "checkpoint": "0"}
_PARSERS: Final[dict[str, Parse]] = {
    "library": parse_configuration,
    "service": parse_service_configuration,
    "sessions": sessions_from_json,
    "recovery": recovery_from_json,
}
