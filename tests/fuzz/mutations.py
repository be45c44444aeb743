"""Damage to inputs that were right: bits and spans of any format, and whole values inside JSON and CBOR.

`mutate` draws from a `random.Random` alone, so that an integer is enough to repeat it.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import cbor2

from attestation.cose import loads_strict

_MAX_BYTES = 70_000  # beyond the largest body, so that caps are met
_MAX_BRACKETS = 500  # the standard library recurses, and a test process has libraries that lift its limit
_PREFIXES = (0, 1, 4)  # a target's selector, a frame's length
_TEXTS = ("", "0x", "0x0", "@1", "a" * 300, "é\u2028\U0001f600", "\x00", "\ud800", "-1", "1e999", "https://a.test/")
_VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 1, 2**31, 2**53, 2**64, -(2**63) - 1, 10**40, 1.5, 1e308, -0.0)
_BYTES = (b"", b"\x00", b"\xff" * 33, bytes(1025))


def mutate(data: bytes, rng: Random, pool: Sequence[bytes]) -> bytes:
    """`data` after one to four steps of damage; `pool` are inputs to splice with."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_STEPS)(data, rng, pool)[:_MAX_BYTES]
    return data


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 8, 32, 256)))


def _flip(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _replace(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + rng.choice((b"\x00", b"\x7f", b"\x80", b"\xff", rng.randbytes(4))) + data[end:]


def _delete(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 2, 17, 300, 5000)) + data[end:]


def _splice(data: bytes, rng: Random, pool: Sequence[bytes]) -> bytes:
    other = rng.choice(pool)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _inside_json(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    if data.count(b"[") + data.count(b"{") > _MAX_BRACKETS:
        return data
    return _inside(data, rng, json.loads, lambda value: json.dumps(value).encode(), (*_VALUES, *_TEXTS))


def _inside_cbor(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    dumps = rng.choice((cbor2.dumps, lambda value: cbor2.dumps(value, canonical=True)))
    return _inside(data, rng, _load_cbor, dumps, (*_VALUES, *_TEXTS, *_BYTES))


def _load_cbor(data: bytes) -> Any:
    """Without tags: the library would make numbers of them that take minutes to write down."""
    value = loads_strict(data, max_depth=64, allow_indefinite=True)
    if value is None:
        raise ValueError
    return value


_STEPS: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    _flip,
    _replace,
    _delete,
    _repeat,
    _splice,
    *[_inside_json, _inside_cbor] * 3,  # a step that does not fit leaves the data as it was
)


def _inside(
    data: bytes,
    rng: Random,
    loads: Callable[[bytes], Any],
    dumps: Callable[[Any], bytes],
    values: Sequence[Any],
) -> bytes:
    """`data` with one value in it changed, if it is of the format, perhaps behind a prefix."""
    for prefix in _PREFIXES:
        try:
            value = loads(data[prefix:])
            changed = data[:prefix] + dumps(_damaged(value, rng, values))
        except Exception:  # noqa: BLE001, S112  not of this format, or no longer
            continue
        return changed
    return data


def _damaged(value: Any, rng: Random, values: Sequence[Any]) -> Any:
    """`value` with one part replaced, wrapped, doubled, renamed or taken out."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.15:
        return _wrapped(rng.choice((value, rng.choice(values))), rng)
    copy: Any = value.copy()
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    match rng.randrange(7):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, list):
            most = max(1, _MAX_BYTES // len(repr(copy[key])))
            copy.extend(copy[key : key + 1] * min(most, rng.choice((1, 33, 300))))
        case 1:
            copy[rng.choice(values[-8:])] = copy[key]
        case _:
            copy[key] = _damaged(value[key], rng, values)
    return copy


def _wrapped(value: Any, rng: Random) -> Any:
    for _ in range(rng.choice((0, 0, 0, 1, 20))):
        value = rng.choice(([value], {"": value}))
    return value
