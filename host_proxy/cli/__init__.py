"""The command line `chancery`. Each command is a module of this package with a `register(app)`.

Trust side: host and users. `build_app` takes the trust roots that verifying commands accept, so that the simulator's
own command line is the same program under another root; no option or variable changes them (AT-20).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final

import typer

from attestation.roots import AMAZON, TrustRoot
from host_proxy.cli import (
    account,
    admin,
    delegation,
    exit_codes,
    guard,
    login,
    run,
    session,
    sign,
    status,
    tenant,
    verify,
    wallet,
)

USER_COMMANDS: Final = (status, login, session, account, sign, verify, wallet, delegation, guard, admin, tenant)
COMMANDS: Final = (run, *USER_COMMANDS)
_EPILOG: Final = "Exit codes: " + " · ".join(f"{code.value} {code.meaning}" for code in exit_codes.ExitCode)


@dataclass(frozen=True, slots=True)
class CliContext:
    """What commands find in `typer.Context.obj`."""

    trust_roots: tuple[TrustRoot, ...]


def build_app(trust_roots: Sequence[TrustRoot], commands: Sequence[ModuleType] = COMMANDS) -> typer.Typer:
    """The program of these commands, accepting attestation documents under `trust_roots`."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: what draws boxes takes longer to load than everything else
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def chancery(context: typer.Context) -> None:
        """Chancery: a self-hosted signing appliance for AWS Nitro Enclaves.

        The host proxy (run, status) carries bytes to and from the enclave and is trusted by nobody.
        A user's device (login, session, sign) checks the attestation of every answer; verify checks a proof offline.
        Add --json to any command for output that programs read.
        """
        context.obj = CliContext(tuple(trust_roots))

    for command in commands:
        command.register(app)
    return app


def main() -> None:
    """The console script `chancery`: Amazon's root and no other."""
    build_app((AMAZON,))()
