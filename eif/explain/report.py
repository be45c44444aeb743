"""What `explain` found, as values: a tree of changes, and what they did to the registers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

IMAGE_REGISTERS: Final = (0, 1, 2, 8)


class How(StrEnum):
    """What became of a part from the first image to the second."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, with the differences inside of it."""

    what: str
    """`kernel`, `ramdisk 1`, or a path in a ramdisk; as the image has it, so not fit for a terminal."""
    how: How
    detail: str = ""
    parts: tuple["Change", ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Members that say nothing are left out."""
        value: dict[str, Any] = {"what": self.what, "how": self.how.value}
        if self.detail:
            value["detail"] = self.detail
        if self.parts:
            value["parts"] = [part.to_json() for part in self.parts]
        return value


@dataclass(frozen=True, slots=True)
class SectionChange:
    """A difference of a section or of the header."""

    change: Change
    measured: bool
    """Whether any register covers the part."""
    registers: tuple[int, ...] = ()
    """Which registers differ and cover it. None although measured: see the warnings."""

    def to_json(self) -> dict[str, Any]:
        """The change, and what it did."""
        return self.change.to_json() | {"measured": self.measured, "registers": list(self.registers)}


@dataclass(frozen=True, slots=True)
class Explanation:
    """All differences of two images."""

    first: dict[int, bytes]
    """Registers of the first image; 8 only when it is signed."""
    second: dict[int, bytes]
    warnings: tuple[str, ...]
    """What no reader may overlook."""
    changes: tuple[SectionChange, ...]

    @property
    def changed_registers(self) -> tuple[int, ...]:
        """Of PCR0, PCR1, PCR2 and PCR8, those that differ."""
        return tuple(index for index in IMAGE_REGISTERS if self.first.get(index) != self.second.get(index))

    @property
    def is_same(self) -> bool:
        """Whether there is no difference at all, in what is measured or not."""
        return not self.changes

    @property
    def is_measured_same(self) -> bool:
        """Whether all measured sections are the same, byte for byte and border for border, and so are registers."""
        return not self.changed_registers and not any(change.measured for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        registers = {
            f"PCR{index}": {
                "first": value.hex() if (value := self.first.get(index)) else None,
                "second": value.hex() if (value := self.second.get(index)) else None,
                "changed": index in self.changed_registers,
            }
            for index in IMAGE_REGISTERS
            if index in self.first or index in self.second
        }
        return {
            "same": self.is_same,
            "measuredSame": self.is_measured_same,
            "registers": registers,
            "warnings": list(self.warnings),
            "changes": [change.to_json() for change in self.changes],
        }
