"""`chancery guard`: the officers' commands of a guard, and the way to `chancery-guard`, a program of its own (ADR 48).

Rules are evaluated by the enclave's code, which the host does not import; whoever writes rules installs it beside this.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import typer

from host_proxy.cli import guard_rules
from host_proxy.cli.exit_codes import ExitCode, leave

PROGRAM: Final = "chancery-guard"
OFFLINE: Final = {
    "check": "Lint a rule document, or judge a request by it (a dry run). Offline.",
    "lint": "Say what is wrong with a rule document, and run its examples. Offline.",
    "explain": "Say in words what rules mean, or what a request does. Offline.",
    "replay": "Judge recorded decisions anew: what flips. Offline.",
    "diff": "What two rule documents answer differently. Offline.",
}
_PASSED_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Try out, approve and activate the rules of a guard.")
    for name, what in OFFLINE.items():
        group.command(name, help=what, context_settings=_PASSED_ON, add_help_option=False)(_handed_over(name))
    guard_rules.register(group)
    app.add_typer(group, name="guard")


def _handed_over(name: str) -> Callable[[typer.Context], None]:
    def hand_over(context: typer.Context) -> None:
        program = shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or shutil.which(PROGRAM)
        if program is None:
            leave(ExitCode.FAILED, f"{PROGRAM} is not installed; it comes with the `enclave` extra of this package.")
        os.execv(program, [PROGRAM, name, *context.args])  # noqa: S606  # no shell: the arguments stay as they are

    return hand_over
