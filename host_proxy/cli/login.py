"""`chancery login`: prove who you are, bind this device's key to your wallet, get a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from host_proxy.client.flows import Flows, Login
    from host_proxy.client.profile import Profile


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("login")(login)


def login(
    context: typer.Context,
    email: Annotated[str | None, typer.Option("--email", help="Send a one-time code to this address.")] = None,
    id_token: Annotated[
        Path | None, typer.Option("--id-token", help="File with an OpenID Connect ID token; - reads standard input.")
    ] = None,
    url: Annotated[str, typer.Option("--url", help="The appliance.")] = user.DEFAULT_URL,
    scope: Annotated[str, typer.Option("--scope", help="The tenant, such as @123.")] = "@123",
    origin: Annotated[
        str, typer.Option("--origin", help="The application for which the session counts.")
    ] = "http://localhost:3000",
    lifetime: Annotated[int | None, typer.Option("--lifetime", help="Seconds; the appliance has a ceiling.")] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Log in by mail or ID token, and get a session for this device.

    The first login creates your wallet; later ones find it again. Every answer is checked against the enclave's
    attestation before it counts.

    Examples: `login --email you@example.com`, `login --id-token token.txt`.
    """
    from host_proxy.client.profile import Profile, save_profile

    if (email is None) == (id_token is None):
        leave(ExitCode.USAGE, "choose one of --email and --id-token")
    profile = Profile(url=url, scope=scope, origin=origin)
    with user.acting(context, home, profile, policy) as acting:
        done = _by_mail(acting.flows, email, lifetime) if email else _by_token(acting.flows, id_token, lifetime)
        session = acting.flows.create_session(lifetime)
        profile = profile.logged_in(done).with_session(session)
        save_profile(acting.home, profile)
    result = {"signer": done.signer, "identity": done.identity, "session": session.session, "expires": session.expires}
    user.show(result, as_json=as_json, words=lambda: _words(profile))


def _by_mail(flows: Flows, email: str, lifetime: int | None) -> Login:
    from host_proxy.client.errors import ServiceRefusal
    from protocol.errors import ANSWER_INCORRECT

    started = flows.start_mail_login(email)
    typer.echo(f"A code is on its way to {email}.", err=True)
    while True:
        code = typer.prompt("Code", err=True)
        try:
            return flows.finish_mail_login(started, code, lifetime)
        except ServiceRefusal as refusal:
            if refusal.error.get("code") != ANSWER_INCORRECT.code:
                raise
            typer.echo("That is not the code. Try again.", err=True)


def _by_token(flows: Flows, path: Path | None, lifetime: int | None) -> Login:
    try:
        return flows.id_token_login(user.read_token(path), lifetime)
    except (ValueError, KeyError, IndexError, TypeError):
        leave(ExitCode.USAGE, f"{path} does not hold an ID token")


def _words(profile: Profile) -> str:
    lines = [f"logged in as {profile.identity}", f"wallet    {profile.signer}", f"session   {profile.session}"]
    return "\n".join(
        [*lines, f"for       {profile.origin} in {profile.scope}", f"until     {user.utc(profile.expires)}"]
    )
