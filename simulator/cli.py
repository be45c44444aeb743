"""`chancery-sim`: the users' commands of `chancery` under the simulator's trust root, and the simulator's own.

This is the only program that accepts the simulator's root; the shipped ones know Amazon's alone (AT-20, SM-01).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from attestation.roots import TrustRoot
from host_proxy.cli import USER_COMMANDS, build_app
from host_proxy.cli.exit_codes import ExitCode, leave
from simulator import boot, demo, reviews, run


@dataclass(frozen=True, slots=True)
class SimulatorContext:
    """What commands find in `typer.Context.obj`."""

    state: Path

    @property
    def trust_roots(self) -> tuple[TrustRoot, ...]:
        """The root under which the appliance of this state folder attests; none before it was made."""
        from simulator.stand_ins import read_root

        root = read_root(self.state)
        return () if root is None else (root,)


def id_token(
    context: typer.Context, user: Annotated[str, typer.Argument(help="Any name.", show_default=False)]
) -> None:
    """Print an ID token for USER, as the login page of the running simulator hands it out after a click."""
    from simulator.browser import sign_in

    try:
        page = json.loads((context.obj.state / run.RUNNING_FILE).read_text())["login_page"]
    except (OSError, ValueError, KeyError):
        leave(ExitCode.UNREACHABLE, "the simulator is not running; start it with `run`")
    typer.echo(sign_in(page, user))


def join(
    context: typer.Context, link: Annotated[str, typer.Argument(help="As `tenant invite` gave it.", show_default=False)]
) -> None:
    """Open the invitation of LINK and log in by mail, as its page would; the code appears where `run` runs."""
    from simulator import settings
    from simulator.invitations import Page

    try:
        url = json.loads((context.obj.state / run.RUNNING_FILE).read_text())["url"]
    except (OSError, ValueError, KeyError):
        leave(ExitCode.UNREACHABLE, "the simulator is not running; start it with `run`")
    try:
        page = Page(url, settings.ACCESS_KEY, settings.ORIGIN)
        wallet = page.join(link, lambda email: str(typer.prompt(f"Code that was mailed to {email}")))
    except (ValueError, KeyError) as error:
        leave(ExitCode.FAILED, f"nobody has joined: {error}")
    typer.echo(f"wallet {wallet}")


def attest(context: typer.Context) -> None:
    """Run `nitro-attest` under the simulator's root: `attest verify http://127.0.0.1:8080/status`, `attest --help`."""
    from attestation.cli import run as nitro_attest

    raise typer.Exit(nitro_attest(context.args, context.obj.trust_roots))


def build() -> typer.Typer:
    """The program."""
    app = build_app((), USER_COMMANDS)

    @app.callback()
    def chancery_sim(
        context: typer.Context,
        state: Annotated[Path, typer.Option("--state", help="Folder of keys, wallets and roots.")] = run.DEFAULT_STATE,
    ) -> None:
        """Chancery on this machine, without AWS: a simulator that enforces what the real services enforce.

        `run` starts everything and stays up; `demo` does the main job once and ends. The other commands are those of
        `chancery` with one difference: they accept the simulator's trust root, and no other.
        """
        context.obj = SimulatorContext(state)

    app.command("id-token")(id_token)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command("attest", context_settings=passed_on)(attest)
    run.register(app)
    reviews.register(app)
    app.command("join")(join)
    demo.register(app)
    boot.register(app)
    return app


def main() -> None:
    """The console script `chancery-sim`."""
    build()()
