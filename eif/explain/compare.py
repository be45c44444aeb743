"""Sets two images side by side: which sections came, went, moved or changed, and which registers followed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from eif.explain.contents import compare_cmdlines, compare_metadata, describe_bytes, describe_signatures
from eif.explain.files import compare_ramdisks
from eif.explain.report import Change, Explanation, How, SectionChange
from eif.layout import MEASURED, SectionType
from eif.measurements import Measured, measure
from eif.reader import Image, Section, SectionStart, Span


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two images."""

    stream: BinaryIO
    measured: Measured

    @property
    def sections(self) -> tuple[Section, ...]:
        return self.measured.image.sections

    def span(self, section: Section) -> Span:
        return Span(self.stream, section.start.offset, section.start.size)


_Pair = tuple[Section | None, Section | None]
_IMAGE: Final = (0, 1, 2)


def explain(first: BinaryIO, second: BinaryIO) -> Explanation:
    """All differences of two images in files that can seek; `EifError` when one of them is no image.

    A checksum that does not match is a warning: somebody wants to know what the damage is.
    """
    sides = (_Side(first, measure(first, allow_damage=True)), _Side(second, measure(second, allow_damage=True)))
    old, new = sides
    pairs = _pairs(old.sections, new.sections)
    differing = {index for index in (*_IMAGE, 8) if old.measured.pcrs.get(index) != new.measured.pcrs.get(index)}
    changes = [_compare(pair, sides, differing) for pair in pairs if not _is_same(pair)]
    changes += _order(pairs, differing)
    changes += _headers(old.measured.image, new.measured.image)
    return Explanation(old.measured.pcrs, new.measured.pcrs, tuple(_warnings(old, new, differing)), tuple(changes))


def _is_same(pair: _Pair) -> bool:
    one, other = pair
    return one is not None and other is not None and one.sha384 == other.sha384 and _covers(one) == _covers(other)


def _covers(section: Section) -> frozenset[int]:
    """The registers that cover a section."""
    start = section.start
    if start.kind is SectionType.SIGNATURE:
        return frozenset({8})
    if start.kind not in MEASURED:
        return frozenset()
    return frozenset({0, 2} if start.kind is SectionType.RAMDISK and start.number > 0 else {0, 1})


def _pairs(old: Sequence[Section], new: Sequence[Section]) -> list[_Pair]:
    """Which section of one image answers to which of the other: by kind; ramdisks by content, and then by order."""
    pairs: list[_Pair] = []
    for kind in SectionType:
        left = [section for section in old if section.start.kind is kind]
        right = [section for section in new if section.start.kind is kind]
        for section in tuple(left):
            twin = next((other for other in right if other.sha384 == section.sha384), None)
            if twin is not None:
                pairs.append((section, twin))
                left.remove(section)
                right.remove(twin)
        common = min(len(left), len(right))
        pairs += zip(left[:common], right[:common], strict=True)
        pairs += [(section, None) for section in left[common:]] + [(None, section) for section in right[common:]]
    return pairs


def _compare(pair: _Pair, sides: tuple[_Side, _Side], differing: set[int]) -> SectionChange:
    one, other = pair
    present = [section for section in pair if section is not None]
    covers = frozenset[int]().union(*map(_covers, present))
    start = present[0].start
    if one is None or other is None:
        how = How.ADDED if one is None else How.REMOVED
        change = Change(start.name, how, f"{start.size} bytes")
    elif one.sha384 == other.sha384:
        change = Change(start.name, How.MOVED, f"is now {other.start.name}: other registers cover it")
    else:
        change = _changed(one, other, sides)
    registers = tuple(sorted(covers & differing))
    measured = start.kind in MEASURED or (start.kind is SectionType.SIGNATURE and bool(registers))
    return SectionChange(change, measured, registers)


def _changed(one: Section, other: Section, sides: tuple[_Side, _Side]) -> Change:
    """A section whose contents differ."""
    first, second = sides[0].span(one), sides[1].span(other)
    name = one.start.name if one.start.number == other.start.number else f"{one.start.name} -> {other.start.name}"
    detail, parts = describe_bytes(first, second), tuple[Change, ...]()
    match one.start.kind:
        case SectionType.RAMDISK:
            found = compare_ramdisks(first, second)
            parts = (found,) if isinstance(found, Change) else found
        case SectionType.CMDLINE:
            parts = compare_cmdlines(one.content or b"", other.content or b"")
        case SectionType.METADATA:
            parts = compare_metadata(one.content or b"", other.content or b"")
        case SectionType.SIGNATURE:
            signatures = [side.measured.signature for side in sides]
            if signatures[0] is not None and signatures[1] is not None:
                detail = describe_signatures(signatures[0], signatures[1])
    return Change(name, How.CHANGED, detail, parts)


def _order(pairs: Iterable[_Pair], differing: set[int]) -> list[SectionChange]:
    """Sections that both images have, in another order."""
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    now = [one for one, _ in sorted(both, key=lambda pair: pair[1].start.offset)]
    before = sorted(now, key=lambda section: section.start.offset)
    if now == before:
        return []
    was, is_now = (", ".join(section.start.name for section in order) for order in (before, now))
    measured_before = [section for section in before if section.start.kind in MEASURED]
    measured = measured_before != [section for section in now if section.start.kind in MEASURED]
    registers = tuple(sorted(differing & set(_IMAGE))) if measured else ()
    return [SectionChange(Change("order of sections", How.MOVED, f"was {was}; is {is_now}"), measured, registers)]


def _headers(old: Image, new: Image) -> list[SectionChange]:
    """Fields of the header that do not follow from the sections."""
    fields = {
        "version of the format": (old.header.version, new.header.version),
        "architecture": (old.header.architecture, new.header.architecture),
        "default memory": (old.header.default_memory_bytes, new.header.default_memory_bytes),
        "default processors": (old.header.default_cpus, new.header.default_cpus),
        "error of the checksum": tuple(f"{image.header.crc32 ^ image.crc32:08x}" for image in (old, new)),
    }
    return [
        SectionChange(Change(name, How.CHANGED, f"{one} -> {other}"), measured=False)
        for name, (one, other) in fields.items()
        if one != other
    ]


def _warnings(old: _Side, new: _Side, differing: set[int]) -> Iterable[str]:
    for name, side in (("first", old), ("second", new)):
        if not side.measured.image.is_undamaged:
            yield f"The checksum of the {name} image does not match: it was damaged or edited, and does not start."
    blind = [index for index in _IMAGE if index not in differing and _covered(old, index) != _covered(new, index)]
    if not blind:
        return
    moved = {start.name for index in blind for start, _ in _covered(old, index) ^ _covered(new, index)}
    names = ", ".join(f"PCR{index}" for index in blind)
    warning = f"SECTION BORDERS MOVED: same {names}, yet these sections differ: {', '.join(sorted(moved))}. "
    if differing.isdisjoint(_IMAGE):
        yield f"{warning}Registers do not cover lengths: no policy and no attestation tells these images apart."
    else:
        yield f"{warning}A policy that names no other register takes one image for the other."


def _covered(side: _Side, index: int) -> set[tuple[SectionStart, bytes]]:
    """The sections under a register as kind, number, size and digest; where they stand in the file does not count."""
    return {
        (replace(section.start, offset=0), section.sha384) for section in side.sections if index in _covers(section)
    }
