"""Python's garbage collector, once the host runs."""

import gc
from typing import Final

_ALLOCATIONS: Final = 20_000
"""More than the interpreter's own 700: a request makes hundreds of objects, and hardly any that refer to each other."""


def settle() -> None:
    """What the process holds by now stays to its end, and is not walked through again. Once in a process."""
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 20)
