"""Calls that an intent spells out, as the ABI of a function and its arguments, encoded as the original would.

    contractCall     {"abi", "func"?, "args"}    arguments in order
    delayedEncode    {"abi", "func", "args"}     arguments in order, or by name; arrays may be JSON text

An argument of type `bytes` may be such an object in turn: the encoded call is then the argument.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from evm.errors import EvmError
from evm.fields import items, members
from evm.intents.abi_type import MAX_DEPTH, MAX_VALUES, AbiType, encode_all, parse_type, type_from_json
from evm.intents.errors import IntentError, require
from evm.wallet.abi import encode, selector
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

MAX_ABI_BYTES: Final = 16 * 1024  # own choice
MAX_CALLS_DEEP: Final = 4  # own choice: calls as arguments of calls
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a contract. Parameters without a name are called `arg1`, `arg2`, …"""

    name: str
    types: tuple[AbiType, ...]
    names: tuple[str, ...]

    @property
    def selector(self) -> bytes:
        """The first four bytes of a call."""
        return selector(f"{self.name}({','.join(type_.text for type_ in self.types)})")


def encode_contract_call(value: object, _: str = "") -> bytes:
    """The call data of a `contractCall`."""
    return _encode_call(value, 0, delayed=False)


def encode_delayed(value: object, _: str = "") -> bytes:
    """The call data of a `delayedEncode`."""
    return _encode_call(value, 0, delayed=True)


def _encode_call(value: object, level: int, *, delayed: bool) -> bytes:
    require(level <= MAX_CALLS_DEEP, "intent-call-depth")
    found = members(value, required=("abi", "args"), optional=("func",), code="intent-call-members")
    function = parse_function(found["abi"], found.get("func"))
    arguments = _in_order(function, found["args"], delayed=delayed)
    prepared = [
        _prepare(type_, argument, level, delayed=delayed)
        for type_, argument in zip(function.types, arguments, strict=True)
    ]
    data = function.selector + encode(*encode_all(function.types, prepared))
    require(len(data) <= limits.MAX_CALLDATA_BYTES, "intent-call-data")
    return data


def _in_order(function: Function, arguments: object, *, delayed: bool) -> Sequence[object]:
    if delayed and isinstance(arguments, dict):
        require(len(set(function.names)) == len(function.names), "intent-argument")
        found = members(arguments, required=function.names, code="intent-argument")
        return [found[name] for name in function.names]
    given = items(arguments, most=MAX_VALUES, code="intent-argument")
    require(len(given) == len(function.types), "intent-argument")
    return given


def _prepare(type_: AbiType, argument: object, level: int, *, delayed: bool) -> object:
    """The argument with calls encoded and, of the older sub-type, arrays read."""
    if isinstance(argument, dict):
        require(type_.text == "bytes", "intent-argument")
        return "0x" + _encode_call(argument, level + 1, delayed=delayed).hex()
    if delayed and type_.element is not None and isinstance(argument, str):
        return _parse_json(argument.encode("utf-8", "surrogatepass"), "intent-argument")
    return argument


def parse_function(abi: object, name: object) -> Function:
    """The function `name` of `abi`, or its only one; a signature, the JSON of a function, or an array of such."""
    if not isinstance(abi, str) or len(abi) > MAX_ABI_BYTES:
        raise IntentError("intent-abi")
    in_json = abi.lstrip()[:1] in ("{", "[")
    candidates = _functions_from_json(abi) if in_json else [_function_from_signature(abi)]
    if name is not None and name != "":
        candidates = [function for function in candidates if function.name == name]
    require(len(candidates) == 1, "intent-abi-function")
    return candidates[0]


def _functions_from_json(text: str) -> list[Function]:
    value = _parse_json(text.encode("utf-8", "surrogatepass"), "intent-abi")
    entries = value if isinstance(value, list) else [value]
    return [_function_from_json(entry) for entry in entries if _is_function(entry)]


def _is_function(entry: Any) -> bool:
    """Events, errors and constructors may stand beside functions; `function` is the type where none is given."""
    require(isinstance(entry, dict), "intent-abi")
    return bool(entry.get("type", "function") == "function")


def _function_from_json(entry: dict[str, Any]) -> Function:
    name, inputs = entry.get("name"), items(entry.get("inputs", []), most=MAX_VALUES, code="intent-abi")
    if not isinstance(name, str) or not _NAME.match(name):
        raise IntentError("intent-abi")
    types = tuple(type_from_json(each) for each in inputs)
    return Function(name, types, _named([each.get("name") or None for each in inputs]))


def _function_from_signature(text: str) -> Function:
    name, opening, rest = text.strip().partition("(")
    name = name.removeprefix("function ").strip()
    require(bool(_NAME.match(name)), "intent-abi")
    parameters = [_parameter(part, 0) for part in _split(opening + rest)]
    return Function(name, tuple(type_ for type_, _ in parameters), _named([name for _, name in parameters]))


def _named(names: Sequence[Any]) -> tuple[str, ...]:
    require(all(name is None or isinstance(name, str) for name in names), "intent-abi")
    return tuple(name or f"arg{index}" for index, name in enumerate(names, 1))


def _parameter(text: str, depth: int) -> tuple[AbiType, str | None]:
    """`type name` or `type`; a tuple's type is its parameters in parentheses."""
    require(depth <= MAX_DEPTH, "intent-abi-type")
    text = text.strip()
    if not text.startswith("("):
        return _typed(text, ())
    end = text.rfind(")") + 1
    members = tuple(_parameter(part, depth + 1)[0] for part in _split(text[:end]))
    return _typed("tuple" + text[end:], members)


def _typed(text: str, members: tuple[AbiType, ...]) -> tuple[AbiType, str | None]:
    words = text.split()
    require(len(words) == 1 or (len(words) == 2 and bool(_NAME.match(words[1]))), "intent-abi-type")
    return parse_type(words[0], members), words[1] if len(words) == 2 else None


def _split(text: str) -> list[str]:
    """The parameters between the outer parentheses of `text`."""
    require(text.startswith("(") and text.endswith(")"), "intent-abi")
    parts, level, begin = [], 0, 1
    for index, char in enumerate(text):
        level += (char == "(") - (char == ")")
        require(level > 0 or index == len(text) - 1, "intent-abi")
        if level == 1 and char == ",":
            parts.append(text[begin:index])
            begin = index + 1
    require(level == 0, "intent-abi")
    last = text[begin:-1]
    return [*parts, last] if parts or last.strip() else []


def _parse_json(data: bytes, code: str) -> Any:
    try:
        return canonical_json.parse(data, max_bytes=MAX_ABI_BYTES)
    except (ProtocolError, EvmError):
        raise IntentError(code) from None
