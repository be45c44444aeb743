"""Exit codes of `chancery-eif`, documented in its help. A number never changes its meaning."""

from enum import IntEnum
from typing import Final, NoReturn

import typer

from eif.errors import EifError


class ExitCode(IntEnum):
    """What the shell sees; 2 is also what the argument parser uses."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREADABLE = 3

    @property
    def meaning(self) -> str:
        """One phrase for the help."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    ExitCode.OK: "done, or no difference",
    ExitCode.REFUSED: "refused, or different",
    ExitCode.USAGE: "wrong usage",
    ExitCode.UNREADABLE: "a file cannot be read or written",
}

_BY_ERROR: Final = {"input-unreadable": ExitCode.UNREADABLE, "output-unwritable": ExitCode.UNREADABLE}


def of_error(error: EifError) -> ExitCode:
    """The exit code of a command that ended with `error`."""
    return _BY_ERROR.get(error.code, ExitCode.REFUSED)


def leave(code: ExitCode, message: str = "") -> NoReturn:
    """Ends the command; `message` goes to standard error."""
    if message:
        typer.echo(message, err=True)
    raise typer.Exit(code)
