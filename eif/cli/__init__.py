"""The command line `chancery-eif`. Each group of commands is a module of this package with a `register(app)`.

Bodies of commands import what they need when they run, so that `--help` stays quick.
"""

from typing import Any, Final

import typer
from typer.core import TyperGroup

from eif.cli import build_commands, exit_codes, image_commands, policy_commands
from eif.errors import EifError

COMMANDS: Final = (
    build_commands,  # build, boot
    image_commands,  # describe, measure, sign, explain, pcr
    policy_commands,  # policy generate, lint, diff
)
_EPILOG: Final = "Exit codes: " + " · ".join(f"{code.value} {code.meaning}" for code in exit_codes.ExitCode)


class _Group(TyperGroup):
    """Turns the package's errors into one sentence and an exit code, whatever command they come from."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except EifError as error:
            exit_codes.leave(exit_codes.of_error(error), f"REFUSED ({error.code}): {error.text}")


def build_app() -> typer.Typer:
    """The program."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # half of the time that --help takes
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def chancery_eif() -> None:
        """Enclave images: what they contain, what they measure, and why two of them differ.

        Registers name an image only together: compare PCR0, PCR1 and PCR2. Metadata, flags and signatures are in no
        register of these three, and are labelled so.
        """

    for command in COMMANDS:
        command.register(app)
    return app


def main() -> None:
    """The console script `chancery-eif`."""
    build_app()()
