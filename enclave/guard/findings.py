"""What a check of a rule document remarks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark. `error`: the document does not do what it says; `warning`: it does, and should have been meant.

    `subject` is the rule, budget, list or example at fault.
    """

    severity: Literal["error", "warning"]
    code: str
    subject: str
    words: str
