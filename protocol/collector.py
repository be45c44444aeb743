"""Python's garbage collector, in processes that have come up; the same for enclave and host."""

import gc
from typing import Final

_ALLOCATIONS: Final = 20_000
"""More than the interpreter's own 700: a request makes hundreds of objects, and hardly any that refer to each other."""


def settle() -> None:
    """What the process holds by now stays to its end: the collector need not walk through all of it again and again.

    A tenth of the time of a signature went there. To be called once in a process, when everything is loaded.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 20)
