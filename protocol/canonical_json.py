"""Strict JSON in, RFC 8785 canonical JSON out.

A request is signed over the canonical form of its `params` member exactly as received, so parsing keeps every member,
refuses duplicates anywhere, and reads numbers as RFC 8785 does: as IEEE 754 doubles.
"""

import json
import math
import re
from typing import Any, Final, Never

import msgspec
import rfc8785

from protocol import limits
from protocol.errors import ProtocolError

MAX_SAFE_INTEGER: Final = 2**53 - 1

_BRACKET: Final = re.compile(r"[\[\]{}]")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # one that does not end takes the rest, in linear time


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
    value = _real(text)
    return int(value) if abs(value) <= MAX_SAFE_INTEGER else value


def _real(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # beyond the largest double; has no canonical form
        raise ProtocolError("json-number")
    return value


def _constant(_: str) -> Never:
    raise ProtocolError("json-number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
)


def parse(data: bytes, *, max_bytes: int = limits.MAX_BODY_BYTES, max_depth: int = limits.MAX_JSON_DEPTH) -> Any:
    """The value of one JSON text in UTF-8; `ProtocolError` when malformed, too large, too deep or with duplicates.

    The value always has a canonical form: numbers are finite and text holds no lone surrogate (RFC 7493 2.1, 2.2).
    """
    if len(data) > max_bytes:
        raise ProtocolError("json-too-large")
    try:
        text = data.decode("utf-8")
        _check_depth(text, max_depth)
        value = _DECODER.decode(text)
    except ProtocolError:
        raise
    except ValueError:
        raise ProtocolError("json-malformed") from None
    if b"\\u" in data:  # only an escape can make a surrogate out of valid UTF-8
        _check_text(value)
    return value


def _check_depth(text: str, max_depth: int) -> None:
    """Refuse deeper nesting before the standard library's C code recurses into it.

    That code relies on the interpreter's recursion limit, and some libraries raise it beyond what a stack holds.
    """
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > max_depth:
            raise ProtocolError("json-too-deep")


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError("json-surrogate") from None


def _is_simple(value: Any) -> bool:
    """No numbers but safe integers. In ASCII, msgspec then writes what RFC 8785 asks for, ten times as fast."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is dict:
        return all(type(name) is str for name in value) and all(map(_is_simple, value.values()))
    if kind is list:
        return all(map(_is_simple, value))
    return kind is int and abs(value) <= MAX_SAFE_INTEGER


def canonicalize(value: Any) -> bytes:
    """RFC 8785 form of a value; always exists for one made by `parse`, else `ProtocolError`."""
    try:
        if _is_simple(value):
            text = msgspec.json.encode(value, order="sorted")
            if text.isascii():
                return text
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError):
        raise ProtocolError("json-not-canonicalizable") from None
