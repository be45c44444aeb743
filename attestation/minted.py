"""How a type says "only my module makes me" (AT-16): parsed documents come from the parser, verdicts from the verifier.

A dataclass that derives from `Minted` takes an `InitVar` named `mint` and hands it to `require_mint`. The module keeps
its mint object private, so that code elsewhere can neither construct, `replace`, copy nor unpickle a value.
This stops mistakes, not code that is out to cheat inside its own process.
"""

from typing import Never


class Minted:
    """Base of values that one module makes. A verdict is made, not moved: copying and pickling are refused."""

    __slots__ = ()

    def __reduce_ex__(self, _: object) -> Never:
        raise TypeError(f"{type(self).__name__} cannot be copied or serialized")


def require_mint(given: object, mint: object) -> None:
    """`TypeError` unless the constructor was called with the module's own mint object."""
    if given is not mint:
        raise TypeError("this value is made by its own module only")
