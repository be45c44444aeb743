"""Exit codes of `chancery`, documented in its help. A number never changes its meaning."""

from enum import IntEnum
from typing import NoReturn

import typer


class ExitCode(IntEnum):
    """What the shell sees; 2 is also what the argument parser uses."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    UNHEALTHY = 5
    HELD = 6

    @property
    def meaning(self) -> str:
        """One phrase for the help."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "wrong usage",
    ExitCode.CONFIGURATION: "configuration refused",
    ExitCode.UNREACHABLE: "nobody answers",
    ExitCode.UNHEALTHY: "not serving",
    ExitCode.HELD: "waits for reviewers",
}


def leave(code: ExitCode, message: str = "") -> NoReturn:
    """Ends the command; `message` goes to standard error."""
    if message:
        typer.echo(message, err=True)
    raise typer.Exit(code)
