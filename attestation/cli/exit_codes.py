"""Exit codes of `nitro-attest`. A number never changes its meaning; nothing unchecked ever ends with 0."""

from enum import IntEnum
from typing import Final

from attestation.errors import AttestationError


class ExitCode(IntEnum):
    """What the shell sees."""

    VERIFIED = 0
    REFUSED = 1
    USAGE = 2
    UNREADABLE = 3
    INCOMPLETE = 4

    @property
    def meaning(self) -> str:
        """One phrase for the help."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    ExitCode.VERIFIED: "verified",
    ExitCode.REFUSED: "refused",
    ExitCode.USAGE: "wrong usage, or a policy that is not well formed",
    ExitCode.UNREADABLE: "the input cannot be reached or read",
    ExitCode.INCOMPLETE: "verified, but something that was asked for could not be checked",
}

_BY_ERROR: Final = {
    "input-unreadable": ExitCode.UNREADABLE,
    "input-unreachable": ExitCode.UNREADABLE,
    "policy-malformed": ExitCode.USAGE,
}

UNCHECKED: Final = frozenset({"cross-check-unavailable", "content-unbound", "revocation-unknown"})
"""Errors that say "could not be checked", as opposed to "does not hold"."""


def of_error(error: AttestationError) -> ExitCode:
    """The exit code of a command that ended with `error`."""
    return _BY_ERROR.get(error.code, ExitCode.REFUSED)
