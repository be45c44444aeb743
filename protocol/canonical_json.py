"""Strict JSON in, RFC 8785 canonical JSON out.

A request is signed over the canonical form of its `params` member exactly as received, so parsing keeps every member,
refuses duplicates anywhere, and reads numbers as RFC 8785 does: as IEEE 754 doubles.
"""

import json
from typing import Any, Final, Never

import rfc8785

from protocol import limits
from protocol.errors import ProtocolError

MAX_SAFE_INTEGER: Final = 2**53 - 1


class DuplicateKey(ProtocolError):
    """A member name occurs twice in one object."""

    def __init__(self) -> None:
        super().__init__("json-duplicate-key")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateKey
    return members


def _integer(text: str) -> int | float:
    # Longer digits than any double needs are noise; int() on them would be quadratic.
    if len(text) > 400:
        raise ProtocolError("json-number")
    value = int(text)
    if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return value
    try:
        return float(value)
    except OverflowError:
        raise ProtocolError("json-number") from None


def _constant(_: str) -> Never:
    raise ProtocolError("json-number")


def parse(data: bytes, *, max_bytes: int = limits.MAX_BODY_BYTES, max_depth: int = limits.MAX_JSON_DEPTH) -> Any:
    """The value of one JSON text in UTF-8; `ProtocolError` when malformed, too large, too deep or with duplicates."""
    if len(data) > max_bytes:
        raise ProtocolError("json-too-large")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
        )
    except ProtocolError:
        raise
    except RecursionError:
        raise ProtocolError("json-too-deep") from None
    except ValueError:
        raise ProtocolError("json-malformed") from None
    _check_depth(value, max_depth)
    return value


def _check_depth(value: Any, max_depth: int) -> None:
    level = [value]
    for _ in range(max_depth + 1):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise ProtocolError("json-too-deep")


def canonicalize(value: Any) -> bytes:
    """RFC 8785 form of a value made by `parse`; `ProtocolError` for lone surrogates and the like."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError):
        raise ProtocolError("json-not-canonicalizable") from None
