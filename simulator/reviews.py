"""`chancery-sim reviews`: the guard's queue for people at a terminal, with the passkeys of the simulated reviewers.

Nothing like it is in `chancery`: people decide with passkeys that a browser keeps, on the reviewers' page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from simulator.reviewing import ReviewDesk

As = Annotated[str, typer.Option("--as", help="The reviewer: rita, ravi or rosa.")]
Id = Annotated[str, typer.Argument(help="As the guard named it.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Decide on what the simulated guard holds for review.")
    group.command("list")(list_)
    for command in (show, approve, refuse):
        group.command(command.__name__)(command)
    app.add_typer(group, name="reviews")


def list_(context: typer.Context, by: As = "rita", as_json: user.Json = False) -> None:
    """List what waits, and what has ended."""
    with _desk(context, by) as desk:
        found = desk.queue()
    user.show({"reviews": found}, as_json=as_json, words=lambda: "\n".join(map(_line, found)) or "nothing is held")


def show(context: typer.Context, id_: Id, by: As = "rita", as_json: user.Json = False) -> None:
    """Show one held request: what it does, what held it, what it would leave of the budgets."""
    with _desk(context, by) as desk:
        found = desk.read(id_)
    told = json.loads(found["statement"])
    words = [
        f"{found['state']}, held by {told['heldBy']} for wallet {told['wallet']}",
        *told["words"],
        *found["budgets"],
    ]
    user.show(found, as_json=as_json, words=lambda: "\n".join(words))


def approve(context: typer.Context, id_: Id, by: As) -> None:
    """Approve it. As many reviewers as the rules ask for have to."""
    with _desk(context, by) as desk:
        typer.echo(desk.decide(id_, "approve"))


def refuse(context: typer.Context, id_: Id, by: As) -> None:
    """Refuse it. One refusal is enough."""
    with _desk(context, by) as desk:
        typer.echo(desk.decide(id_, "refuse"))


@contextmanager
def _desk(context: typer.Context, name: str) -> Iterator[ReviewDesk]:
    from attestation.client import SealedTransport, Service
    from attestation.policy import AnyImage
    from host_proxy.client.api import Caller
    from host_proxy.client.errors import ClientError
    from simulator import guard_settings
    from simulator.reviewing import ReviewDesk
    from simulator.run import RUNNING_FILE

    if name not in guard_settings.REVIEWERS:
        leave(ExitCode.USAGE, f"there is no reviewer {name}; there are {', '.join(guard_settings.REVIEWERS)}")
    try:
        url = json.loads((context.obj.state / RUNNING_FILE).read_text())["guard"]
    except (OSError, ValueError, KeyError):
        leave(ExitCode.UNREACHABLE, "the simulator is not running; start it with `run`")
    roots, image = context.obj.trust_roots, AnyImage()
    sealed = SealedTransport(Service(url=url, image=image, roots=roots))
    caller = Caller(url, roots=roots, image=image, transport=sealed)
    passkey = guard_settings.passkey(context.obj.state, name)
    try:
        yield ReviewDesk(caller, passkey, guard_settings.origin(url))
    except ClientError as error:
        leave(ExitCode.FAILED, f"{error.code}: {error}")
    finally:
        caller.close()


def _line(review: dict[str, Any]) -> str:
    return f"{review['id']}  {review['state']:9} {review['heldBy']}  {review['wallet']}"
