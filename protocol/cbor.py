"""Deterministic CBOR for our own wire and records (RFC 8949 section 4.2; controls CB-01 to CB-09).

Map keys stand in length-first order (section 4.2.3); it departs from the bytewise order of section 4.2.1 only where one
map holds both negative keys and keys above 23.

cbor2 alone takes duplicate keys, trailing bytes, non-minimal integers and acts on semantic tags. `loads` takes
exactly one encoding of each value: it decodes with the library's strict options, allows only plain types, and compares
the re-encoding with the input.
"""

from collections.abc import Callable
from typing import Any, Final, Never

import cbor2

from protocol import limits
from protocol.errors import ProtocolError

type_error: Final = "cbor-type"


def _refuse_tag(*_: Any) -> Never:
    raise ProtocolError("cbor-tag")


# Tags that cbor2 would turn into objects (regular expressions, mail, shared references): each is refused (CB-02).
_TAGS: Final[dict[int, Callable[..., Never]]] = dict.fromkeys(
    [*range(6), 25, *range(28, 31), *range(35, 38), 43, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799],
    _refuse_tag,
)


def dumps(value: Any) -> bytes:
    """The one deterministic encoding of `value` (None, bool, int, bytes, str, list, dict with int or text keys)."""
    return cbor2.dumps(value, canonical=True)


def dumps_ordered(value: Any) -> bytes:
    """`dumps` of a value whose maps are in order already, and which holds no floats: half the work."""
    return cbor2.dumps(value)


def loads(data: bytes, *, max_bytes: int = limits.MAX_FRAME_BYTES) -> Any:
    """The value whose deterministic encoding is `data`; `ProtocolError` for anything else."""
    value = decode(data, max_bytes=max_bytes)
    check_plain(value)
    if dumps(value) != data:
        raise not_deterministic()
    return value


def decode(data: bytes, *, max_bytes: int = limits.MAX_FRAME_BYTES) -> Any:
    """What `data` says, in whatever encoding and of whatever type. For readers that check every type of their own
    format, and compare `data` with their own encoding of it.
    """
    if len(data) > max_bytes:
        raise ProtocolError("cbor-too-large")
    try:
        return cbor2.loads(
            data,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            max_depth=limits.MAX_CBOR_DEPTH,
            semantic_decoders=_TAGS,
            tag_hook=_refuse_tag,
        )
    except Exception as error:  # noqa: BLE001  cbor2 raises its own family and, for odd keys, TypeError or ValueError
        refused = error.__cause__  # what `_refuse_tag` raised, in the library's wrapping
        raise refused if isinstance(refused, ProtocolError) else ProtocolError("cbor-malformed") from None


def not_deterministic() -> ProtocolError:
    """The error for a value in another encoding than its deterministic one."""
    return ProtocolError("cbor-not-deterministic")


def check_plain(value: Any) -> None:
    """Refuse every type but the plain ones, mixed key types in a map, and more than `MAX_CBOR_ITEMS` items."""
    stack, items = [value], 0
    while stack:
        node = stack.pop()
        items += 1
        if items > limits.MAX_CBOR_ITEMS:
            raise ProtocolError("cbor-too-many-items")
        kind = type(node)
        if kind is list:
            stack.extend(node)
        elif kind is dict:
            key_types = set(map(type, node))
            if key_types and key_types != {int} and key_types != {str}:
                raise ProtocolError("cbor-key-type")
            stack.extend(node.values())
        elif kind not in (bytes, str, int, bool, type(None)):
            raise ProtocolError(type_error)
