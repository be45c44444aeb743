"""Waiting times between attempts: doubling from a first value up to a cap, forgotten after success."""


class Backoff:
    """`next_s()` gives the coming wait in seconds; `reset()` starts over."""

    def __init__(self, *, first_s: float, cap_s: float) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._wait_s = first_s

    def next_s(self) -> float:
        """The wait before the coming attempt."""
        wait_s = self._wait_s
        self._wait_s = min(2 * wait_s, self._cap_s)
        return wait_s

    def reset(self) -> None:
        """The last attempt held."""
        self._wait_s = self._first_s
