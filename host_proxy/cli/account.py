"""`chancery account`: the logins and devices of your wallet; freeze, thaw and delete it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from host_proxy.client.account_flows import AccountFlows


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Logins and devices of your wallet; freeze, thaw and delete it.")
    for command in (show, link, unlink, log_out_others, freeze, unfreeze, delete):
        group.command(command.__name__.replace("_", "-"))(command)
    app.add_typer(group, name="account")


def show(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Show the logins and devices of your account, and whether it is frozen."""
    with _account(context, home, policy) as (_, account):
        result = account.get()
    _show(result, as_json=as_json)


def link(
    context: typer.Context,
    email: Annotated[str | None, typer.Option("--email", help="Send a one-time code to this address.")] = None,
    id_token: Annotated[
        Path | None, typer.Option("--id-token", help="File with an OpenID Connect ID token; - reads standard input.")
    ] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Let another mail address or account of yours log in to the same wallet. Needs a login of the last minutes."""
    from host_proxy.client.flows import mail_proof

    if (email is None) == (id_token is None):
        leave(ExitCode.USAGE, "choose one of --email and --id-token")
    with _account(context, home, policy) as (acting, account):
        if email is not None:
            started = acting.flows.start_mail_login(email)
            typer.echo(f"A code is on its way to {email}.", err=True)
            proof = mail_proof(started, typer.prompt("Code", err=True))
        else:
            proof = acting.flows.id_token_proof(user.read_token(id_token))
        result = account.link(proof)
    _show(result, as_json=as_json)


def unlink(
    context: typer.Context,
    login: Annotated[str, typer.Argument(help="As `account show` writes it.", show_default=False)],
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Close a login and log out the devices that came by it. Needs a login of the last minutes; the last one stays."""
    with _account(context, home, policy) as (_, account):
        result = account.unlink(login)
    _show(result, as_json=as_json)


def log_out_others(
    context: typer.Context,
    device: Annotated[
        list[str] | None, typer.Option("--device", help="Only this one, as `account show` writes it; repeatable.")
    ] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Log out all devices but this one. Counts from the next request on."""
    with _account(context, home, policy) as (_, account):
        result = account.remove_devices(device or None)
    _show(result, as_json=as_json)


def freeze(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Stop all signing with your wallet at once, on every device."""
    with _account(context, home, policy) as (_, account):
        result = account.freeze()
    _show(result, as_json=as_json)


def unfreeze(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Let a frozen account thaw, after the delay of the deployment. Log in again first."""
    with _account(context, home, policy) as (_, account):
        result = account.unfreeze()
    _show(result, as_json=as_json)


def delete(
    context: typer.Context,
    signer: Annotated[str, typer.Argument(help="The wallet's address, spelled out.", show_default=False)],
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Delete the wallet for good: whatever it holds is lost. It must have been frozen for the deployment's delay."""
    with _account(context, home, policy) as (_, account):
        result = account.delete(signer)
    user.show(result, as_json=as_json, words=lambda: f"deleted {result['signer']}")


@contextmanager
def _account(
    context: typer.Context, home: Path | None, policy: Path | None
) -> Iterator[tuple[user.User, AccountFlows]]:
    from host_proxy.client.account_flows import AccountFlows

    with user.acting(context, home, user.require_profile(home), policy) as acting:
        yield acting, AccountFlows(acting.api)


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    user.show(result, as_json=as_json, words=lambda: "\n".join(_words(result)))


def _words(result: dict[str, Any]) -> Iterator[str]:
    yield f"wallet   {result['signer']}"
    state = result["state"]
    if "frozenSince" in result:
        state += f" since {user.utc(result['frozenSince'])}"
    if "thawsAt" in result:
        state += f", until {user.utc(result['thawsAt'])}"
    yield f"state    {state}"
    for login in result["logins"]:
        yield f"login    {login['login']}{'  (this device)' if login['current'] else ''}"
    for device in result["devices"]:
        yield f"device   {device}"
