"""`chancery session`: show, renew, revoke, and take along as a proof bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Show, renew and revoke sessions; write a proof bundle.")
    group.command("list")(list_sessions)
    group.command("renew")(renew)
    group.command("revoke")(revoke)
    group.command("bundle")(bundle)
    app.add_typer(group, name="session")


def list_sessions(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """List the devices of your account and their sessions."""
    with user.acting(context, home, user.require_profile(home), policy) as acting:
        result = acting.flows.list_sessions()
    user.show(result, as_json=as_json, words=lambda: "\n".join(_device_words(device) for device in result["devices"]))


def renew(
    context: typer.Context,
    lifetime: Annotated[int | None, typer.Option("--lifetime", help="Seconds; it ends with the login.")] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Get a new session while the login lasts."""
    from host_proxy.client.profile import save_profile

    profile = user.require_profile(home)
    with user.acting(context, home, profile, policy) as acting:
        session = acting.flows.create_session(lifetime)
        save_profile(acting.home, profile.with_session(session))
    user.show(asdict(session), as_json=as_json, words=lambda: f"session {session.session}")


def revoke(
    context: typer.Context,
    device: Annotated[str | None, typer.Option("--device", help="`keyType:address`, as `list` shows it.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="One session; without it the whole login.")] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Revoke a session, or log a device out. Counts from the next request on; without options it is this device."""
    with user.acting(context, home, user.require_profile(home), policy) as acting:
        result = acting.flows.revoke(device, session)
    user.show(result, as_json=as_json, words=lambda: "revoked")


def bundle(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("proof.bundle"),
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Leave out who you are.")] = False,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Write a proof that this device's key belongs to your identity, which verifies offline.

    It holds a fresh attestation document and your session attestation; `verify` checks it.
    """
    from attestation.bundle import Bundle, IdentityOpening
    from host_proxy.client.flows import require_b64u

    profile = user.require_profile(home)
    if not profile.has_session:
        leave(ExitCode.USAGE, "the session has expired; get one with `session renew` or `login`")
    opening = None if anonymous else IdentityOpening(require_b64u(profile.salt), profile.scope, profile.identity)
    with user.acting(context, home, profile, policy) as acting:
        made = Bundle(acting.flows.binding_document(), require_b64u(profile.attestation), opening)
    try:
        output.write_bytes(made.encode())
    except OSError:
        leave(ExitCode.FAILED, f"{output} cannot be written")
    user.show({"bundle": str(output)}, as_json=as_json, words=lambda: f"wrote {output}")


def _device_words(device: dict[str, Any]) -> str:
    marks = [mark for mark, holds in (("this device", device["current"]), ("logged in", device["live"])) if holds]
    lines = [f"{device['device'][:42]}…  {', '.join(marks) or 'not logged in'}"]
    for session in device["sessions"]:
        state = "revoked" if session["revoked"] else f"until {session['expires']}"
        lines.append(f"  {session['session']}  {session['origin']}  {state}")
    return "\n".join(lines)
