"""`chancery guard`: hands over to `chancery-guard`, a program of its own (ADR 48).

Rules are evaluated by the enclave's code, which the host does not import; whoever writes rules installs it beside this.
"""

import os
import shutil
import sys
from pathlib import Path

import typer

from host_proxy.cli.exit_codes import ExitCode, leave

PROGRAM = "chancery-guard"
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("guard", context_settings=_PASSED_ON, add_help_option=False)(guard)


def guard(context: typer.Context) -> None:
    """Try out the rules of a guard on files, offline: check, explain, replay, diff."""
    program = shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or shutil.which(PROGRAM)
    if program is None:
        leave(ExitCode.FAILED, f"{PROGRAM} is not installed; it comes with the `enclave` extra of this package.")
    os.execv(program, [PROGRAM, *(context.args or ["--help"])])  # noqa: S606  # no shell: the arguments stay as they are
