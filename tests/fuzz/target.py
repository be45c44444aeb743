"""What a fuzz target is: a parser, the one family of errors that it may raise, and inputs that it takes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_S = 1.0
"""Of processor time for one input, whatever it says."""


class TooSlow(Exception):
    """An input took longer than `MAX_S`."""


@dataclass(frozen=True)
class Target:
    """`run` takes any bytes, and returns or raises one of `refusals`; `seeds` are inputs for which it returns."""

    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]


def exercise(target: Target, data: bytes) -> bool:
    """Whether `data` gave a value and not a refusal. Any other exception passes through: it is a finding."""
    started_s = time.thread_time()
    try:
        target.run(data)
        accepted = True
    except target.refusals:
        accepted = False
    if time.thread_time() - started_s > MAX_S:
        raise TooSlow(len(data))
    return accepted
