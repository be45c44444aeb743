"""Differences of contents that are no archive: bytes, command lines, metadata, signatures."""

from collections import Counter
from typing import Any, Final

from eif.errors import EifError
from eif.explain.report import Change, How
from eif.metadata import parse_metadata
from eif.reader import CHUNK_BYTES, Span
from eif.signature import ImageSignature

_MAX_QUOTED: Final = 80


def describe_bytes(first: Span, second: Span) -> str:
    """Sizes, and the one range outside of which both are the same."""
    start = first_difference(first, second)
    if start is None:
        return "no difference"
    same_end = _common_end(first, second, min(first.size, second.size) - start)
    old, new = first.size - same_end - start, second.size - same_end - start
    sizes = f"{first.size} bytes" if first.size == second.size else f"{first.size} -> {second.size} bytes"
    if old == 0:
        return f"{sizes}; {new} bytes inserted at offset {start}"
    if new == 0:
        return f"{sizes}; {old} bytes taken out at offset {start}"
    became = "" if old == new else f", became {new} bytes"
    return f"{sizes}; first difference at offset {start}, last at {start + old - 1}{became}"


def first_difference(first: Span, second: Span) -> int | None:
    """The offset of the first byte that differs or is missing on one side; None when there is none."""
    at = 0
    for one, other in zip(first.pieces(), second.pieces(), strict=False):
        if one != other:
            return at + _common_start(one, other)
        at += len(one)
    return None if first.size == second.size else at


def _common_start(one: bytes, other: bytes) -> int:
    return next(
        (place for place, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other))
    )


def _common_end(first: Span, second: Span, most: int) -> int:
    """How many bytes at the end are the same, of at most `most`."""
    found = 0
    while found < most:
        size = min(CHUNK_BYTES, most - found)
        one, other = (
            b"".join(Span(span.stream, span.offset + span.size - found - size, size).pieces())
            for span in (first, second)
        )
        if one != other:
            return found + _common_start(one[::-1], other[::-1])
        found += size
    return found


def compare_cmdlines(first: bytes, second: bytes) -> tuple[Change, ...]:
    """Words that came and went; a change of order or white space alone shows both lines."""
    old, new = (line.decode("latin-1").split(" ") for line in (first, second))
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    changes = [Change(word, How.REMOVED) for word in gone.elements()]
    changes += [Change(word, How.ADDED) for word in come.elements()]
    if not changes:
        changes = [Change(" ".join(new), How.MOVED, f"the same words in another order; was: {' '.join(old)}")]
    return tuple(changes)


def compare_metadata(first: bytes, second: bytes) -> tuple[Change, ...]:
    """Members that differ, by their way through the JSON; nothing when either cannot be read."""
    try:
        old, new = (_leaves(parse_metadata(data).describe()) for data in (first, second))
    except EifError:
        return ()
    changes = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            changes.append(Change(name, How.REMOVED, _quoted(old[name])))
        elif name not in old:
            changes.append(Change(name, How.ADDED, _quoted(new[name])))
        elif old[name] != new[name]:
            changes.append(Change(name, How.CHANGED, f"{_quoted(old[name])} -> {_quoted(new[name])}"))
    return tuple(changes)


def describe_signatures(first: ImageSignature, second: ImageSignature) -> str:
    """Whether the certificate or only the signature under it is another."""
    if first.signer.pcr8 != second.signer.pcr8:
        return "another certificate signed"
    if first.sign1.payload != second.sign1.payload:
        return "the same certificate signed another PCR0"
    return "the same certificate signed again"


def _leaves(value: Any, way: str = "") -> dict[str, Any]:
    """Every plain value by its way: `DockerInfo.Config.Cmd[0]`."""
    if isinstance(value, dict) and value:
        inner = [(f"{way}.{name}" if way else name, item) for name, item in value.items()]
    elif isinstance(value, list) and value:
        inner = [(f"{way}[{place}]", item) for place, item in enumerate(value)]
    else:
        return {way: value}
    return {name: leaf for deeper, item in inner for name, leaf in _leaves(item, deeper).items()}


def _quoted(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"
