"""The life of an enclave as a table: booting, serving, halted. Halted is final."""

import enum
from typing import Final


class Phase(enum.Enum):
    """`booting`: keys are not there yet. `serving`: methods run. `halted`: it must not go on; only status answers."""

    BOOTING = "booting"
    SERVING = "serving"
    HALTED = "halted"


_NEXT: Final = {
    Phase.BOOTING: {Phase.SERVING, Phase.HALTED},
    Phase.SERVING: {Phase.HALTED},
    Phase.HALTED: {Phase.HALTED},
}


class Phases:
    """The current phase and, once halted, why."""

    def __init__(self) -> None:
        self.phase = Phase.BOOTING
        self.reason = ""

    def enter(self, phase: Phase, reason: str = "") -> None:
        """Go to `phase`; `RuntimeError` when the table does not allow it. The first reason stays."""
        if phase not in _NEXT[self.phase]:
            raise RuntimeError(f"{self.phase.value} -> {phase.value}")
        if self.phase is not Phase.HALTED:
            self.phase, self.reason = phase, reason

    @property
    def serving(self) -> bool:
        """Whether methods run."""
        return self.phase is Phase.SERVING
