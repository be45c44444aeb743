"""The explanation as a tree for a terminal. Everything that comes from an image is quoted: it may hold escapes."""

from collections.abc import Iterator, Sequence
from typing import Final

from eif.explain.report import IMAGE_REGISTERS, Change, Explanation, How, SectionChange

_MAX_SHOWN: Final = 50
"""Parts of one change; `--json` has all."""
_MARKS: Final = {How.ADDED: "+", How.REMOVED: "-", How.CHANGED: "~", How.MOVED: ">"}


def render(explanation: Explanation) -> str:
    """Lines that end with a newline: the verdict, warnings, registers, and the tree."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield _verdict(explanation)
    for warning in explanation.warnings:
        yield f"!! {warning}"
    for index in IMAGE_REGISTERS:
        one, other = explanation.first.get(index), explanation.second.get(index)
        if one is None and other is None:
            continue
        if one == other:
            yield f"  PCR{index} same     {_short(one)}"
        else:
            yield f"  PCR{index} CHANGED  {_short(one)} -> {_short(other)}"
    for change in explanation.changes:
        yield from _tree([change.change], "", _effect(change))


def _verdict(explanation: Explanation) -> str:
    if explanation.is_same:
        return "SAME: the images do not differ."
    if explanation.changed_registers:
        return "DIFFERENT: " + ", ".join(f"PCR{index}" for index in explanation.changed_registers) + " changed."
    if explanation.is_measured_same:
        return "DIFFERENT in what no register measures; PCR0, PCR1, PCR2 and PCR8 are the same."
    return "DIFFERENT, although PCR0, PCR1, PCR2 and PCR8 are the same."


def _short(value: bytes | None) -> str:
    return "not signed" if value is None else f"{value.hex()[:16]}…"


def _effect(change: SectionChange) -> str:
    if change.registers:
        return "  => " + ", ".join(f"PCR{index}" for index in change.registers)
    return "  => no register, see the warning" if change.measured else "  (not measured)"


def _tree(changes: Sequence[Change], indent: str, effect: str = "") -> Iterator[str]:
    for change in changes[:_MAX_SHOWN]:
        detail = f": {printable(change.detail)}" if change.detail else ""
        yield f"{indent}{_MARKS[change.how]} {printable(change.what)} {change.how.value}{detail}{effect}"
        yield from _tree(change.parts, f"{indent}    ")
    if len(changes) > _MAX_SHOWN:
        yield f"{indent}… and {len(changes) - _MAX_SHOWN} more; --json lists all"


def printable(text: str) -> str:
    """`text` without anything that a terminal would act upon, or that reads in another direction."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
