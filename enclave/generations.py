"""Generations of holder keys: the current one seals, earlier ones still open what they sealed (KM-16).

Trust side: enclave. Each generation is one key of every holder, made together, under leases of its own. Rotation puts a
new one on top; what lies under an earlier one is renewed at the next login, or by an administrator, and then the
earlier one goes (ADR 0037).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from enclave.errors import BootError, Refusal
from enclave.holder_key import FIRST_GENERATION, WrappedHolderKey
from enclave.holders import HolderKeys
from protocol import errors, limits


@dataclass(frozen=True, slots=True)
class Generation:
    """The wrapped keys of one generation, and when a newer one took its place (None: it is the current one)."""

    wrapped: tuple[WrappedHolderKey, ...]
    superseded_s: int | None = None

    @property
    def number(self) -> int:
        """1 for the first."""
        return self.wrapped[0].generation


class Generations:
    """The holder keys of all generations in use. `make` gives the holders of one, without keys."""

    def __init__(self, make: Callable[[int], HolderKeys]) -> None:
        self._make: Final = make
        self._keys: dict[int, HolderKeys] = {FIRST_GENERATION: make(FIRST_GENERATION)}
        self._current = FIRST_GENERATION
        self._learn: Callable[[], Awaitable[None]] | None = None

    @property
    def current(self) -> HolderKeys:
        """What seals."""
        return self._keys[self._current]

    def learn_from(self, learn: Callable[[], Awaitable[None]]) -> None:
        """Call `learn`, which adopts what another enclave may have made, when a generation is not known."""
        self._learn = learn

    async def of(self, number: int) -> HolderKeys:
        """The holder keys of a generation; HOLDERS_UNAVAILABLE for one that is not in use."""
        if number not in self._keys and self._learn is not None:
            await self._learn()
        keys = self._keys.get(number)
        if keys is None:
            raise Refusal(errors.HOLDERS_UNAVAILABLE)
        return keys

    def adopt(self, generations: Sequence[Generation]) -> None:
        """Use exactly these generations, the last of which is current. `BootError("holder-keys")`."""
        numbers = [generation.number for generation in generations]
        if not numbers or len(numbers) > limits.MAX_GENERATIONS or numbers != sorted(set(numbers)):
            raise BootError("holder-keys", "the stored generations are out of order")
        keys = {}
        for generation in generations:
            known = self._keys.get(generation.number) or self._make(generation.number)
            if not known.holds(generation.wrapped):
                known.adopt(generation.wrapped)
            keys[generation.number] = known
        for number in self._keys.keys() - keys.keys():
            self._keys[number].close()
        self._keys, self._current = keys, numbers[-1]

    async def found(self) -> tuple[HolderKeys, Generation]:
        """The first generation, before anything lies under one. Otherwise like `provision`."""
        return self.current, Generation(tuple(await self.current.provision()))

    async def provision(self, number: int) -> tuple[HolderKeys, Generation]:
        """A new generation with keys of all holders, not in use yet: `use` it once it is durable, or close its keys.
        `BootError("holders-unavailable")`.
        """
        keys = self._make(number)
        return keys, Generation(tuple(await keys.provision()))

    def use(self, keys: HolderKeys, generations: Sequence[Generation]) -> None:
        """`adopt`, with the open keys of the last generation, which was just made."""
        if self._keys.setdefault(keys.generation, keys) is not keys:  # `learn` was quicker to find it in the store
            keys.close()
        self.adopt(generations)

    def close(self) -> None:
        """End all calls and leases."""
        for keys in self._keys.values():
            keys.close()
