"""What configures a guard beside what every enclave has: its rules, and who may change them."""

from typing import Annotated, Literal

import msgspec

from enclave.config.admin import AdminKey, validate_quorum
from enclave.config.fields import Measured
from enclave.config.second_factors import SecondFactors, validate_second_factors
from enclave.errors import BootError


class SecondGeneration(Measured, frozen=True, kw_only=True):
    """For wallets of the second generation the guard is a contract wallet: its key or `beside` sign for it, one of two.

    `suffix`: whether a signature ends in its type, which the published client adds by itself only where it was told to.
    """

    beside: Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
    suffix: bool = True


class Guard(Measured, frozen=True, kw_only=True):
    """The rules that are measured with the image; later ones need a higher version and `quorum` of the officers.

    Without officers the rules are those of the image, and nobody can freeze them.
    """

    rules: msgspec.Raw
    """A rule document (docs/guard.md)."""
    officers: Annotated[tuple[AdminKey, ...], msgspec.Meta(max_length=16)] = ()
    quorum: int = 0
    wallets: Literal["any", "registered"] = "any"
    """Whether wallets are served that have shown no configuration."""
    second_generation: SecondGeneration | None = None
    """Without it the guard is an account for wallets of that generation, too."""
    second_factors: SecondFactors | None = None
    """Without it none are kept, and what the rules want a second factor for is refused."""


def validate_guard(guard: Guard) -> None:
    """`BootError("config-guard-…")` for rules that cannot be used, or a quorum that cannot be met or is one person."""
    from enclave.guard.compiling import compile_rules  # an instrument has no rules, and starts without this
    from enclave.guard.document import parse_document
    from enclave.guard.errors import RulesError

    try:
        compile_rules(parse_document(bytes(guard.rules)))
    except RulesError as error:
        raise BootError("config-guard-rules", f"{error.code}: {error.sentence}") from None
    if guard.second_factors is not None:
        validate_second_factors(guard.second_factors)
    if guard.officers or guard.quorum:
        validate_quorum(guard.officers, guard.quorum, "config-guard-quorum")
