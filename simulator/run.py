"""`chancery-sim run`: the whole appliance on this machine, up until Ctrl-C, saying what happens in words."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from simulator.appliance import Appliance

Say = Callable[[str, str], None]

RUNNING_FILE: Final = "running.json"
DEFAULT_STATE: Final = Path(__file__).resolve().parents[1] / ".chancery"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("run")(run)


def run(
    context: typer.Context,
    listen: Annotated[str, typer.Option("--listen", help="Address of the API.")] = "127.0.0.1:8080",
    guard_listen: Annotated[
        str, typer.Option("--guard-listen", help="Address of the guard's API and reviewers' page.")
    ] = "127.0.0.1:8081",
    keep_policy: Annotated[
        bool, typer.Option("--keep-policy", help="Do not let the holders approve the present image.")
    ] = False,
    log: Annotated[Path | None, typer.Option("--log", help="File for the host proxy's JSON log.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say what happens as JSON lines.")] = False,
) -> None:
    """Run two enclaves, instrument and guard, with hosts, share holders, identity provider and mail on this machine.

    Everything is real but the hardware and AWS: the image is measured, the holders release their keys only to that
    measurement, the enclave runs without network. Mails that it sends are shown here.
    """
    try:
        asyncio.run(_run(context.obj.state, (listen, guard_listen), keep_policy=keep_policy, log=log, as_json=as_json))
    except OSError as error:  # also a guard that does not boot in time
        leave(ExitCode.FAILED, f"the appliance cannot start: {error.strerror or error}")


async def _run(state: Path, listen: tuple[str, str], *, keep_policy: bool, log: Path | None, as_json: bool) -> None:
    from host_proxy.errors import HostError
    from host_proxy.logging import Log
    from simulator.appliance import Options, running
    from simulator.places import GuardOptions

    def say(event: str, text: str) -> None:
        typer.echo(json.dumps({"event": event, "text": text}) if as_json else text)

    def on_mail(message: EmailMessage) -> None:
        body = message.get_body(("plain",))
        say("mail", f"\n── mail to {message['To']} ──\n{body.get_content() if body else ''}──")

    def on_event(claims: Mapping[str, Any]) -> None:
        for said in claims["events"].values():
            say("webhook", f"\n── the tenant's server was told ──\n{json.dumps(said, indent=1)}\n──")

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240  before anything runs
    stream = (log or state / "host.log").open("a")
    options = Options(
        listen=listen[0],
        pin=not keep_policy,
        on_mail=on_mail,
        on_event=on_event,
        log=Log(stream),
        on_line=lambda line: say("enclave", line),
        guard=GuardOptions(listen=listen[1]),
    )
    say("starting", "starting: staging and measuring the images …")
    try:
        async with running(state, options) as appliance:
            await _serve(appliance, state, stopping, say)
    except HostError as error:
        leave(ExitCode.FAILED, f"the appliance cannot start: {error}")
    finally:
        (state / RUNNING_FILE).unlink(missing_ok=True)
        stream.close()
    say("stopped", "stopped")


async def _serve(appliance: Appliance, state: Path, stopping: asyncio.Event, say: Say) -> None:
    from simulator.appliance import describe

    addresses = {"url": appliance.url, "login_page": appliance.stand_ins.login_page_url}
    addresses["node"] = appliance.node_url
    if appliance.guard is not None:
        addresses["guard"] = appliance.guard.url
    (state / RUNNING_FILE).write_text(json.dumps(addresses))
    for running in filter(None, (appliance.guard, appliance)):
        whose = "guard " if running is appliance.guard else ""
        for name, value in describe(running.image).items():
            say("image", f"{whose}{name}  {value}")
    waiting = asyncio.create_task(_ready(appliance))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        say("ready", _welcome(appliance) + (_guard_welcome(appliance.guard) if appliance.guard else ""))
        await stopped
    waiting.cancel()


async def _ready(appliance: Appliance) -> None:
    for running in filter(None, (appliance, appliance.guard)):
        await running.wait_until(deadline_s=3600)


def _welcome(appliance: Appliance) -> str:
    from simulator import settings

    return f"""
ready at {appliance.url}

In another terminal (the same programs as in production, with the simulator's trust root):

  .venv/bin/chancery-sim status
  .venv/bin/chancery-sim login --email you@example.com        the code appears here
  .venv/bin/chancery-sim id-token alice > token.txt           or click: {appliance.stand_ins.login_page_url}
  .venv/bin/chancery-sim login --id-token token.txt
  .venv/bin/chancery-sim sign message "hello"
  .venv/bin/chancery-sim session bundle -o proof.bundle
  .venv/bin/chancery-sim verify proof.bundle                   verified, under the simulator's root
  .venv/bin/chancery verify proof.bundle                       refused: not Amazon's root
  .venv/bin/chancery-sim attest verify {appliance.url}/status  the enclave itself, and nitro-attest refuses it

Scopes: {settings.SCOPE} takes what published clients send; {settings.STRICT_SCOPE} mails long codes and signs
no digests; {settings.SEALED_SCOPE} takes logins sealed only. Passkeys are for the site localhost.
Embedded wallets: @0xsequence/waas with rpcServer {appliance.url}, access key {settings.ACCESS_KEY}.
Tenants, invitations (`tenant invite`, `join`) and ID tokens: docs/embedded-wallets.md
A chain of its own (id 31337), where transactions are mined at once: JSON-RPC at {appliance.node_url}
OpenID applications at {settings.ISSUER}, with redirect URI {settings.REDIRECT_URI}:
  {settings.CLIENT_ID} (public, PKCE), {settings.WEB_CLIENT_ID} (secret, PKCE),
  {settings.TEAM_CLIENT_ID} (generated secret, no PKCE); for browsers at {appliance.stand_ins.login_page_url}/authorize
"""


def _guard_welcome(guard: Appliance) -> str:
    from simulator import guard_settings, settings

    page = f"{guard_settings.origin(guard.url)}/review/"
    return f"""
guard at {guard.url}: the second signer of smart wallets in {settings.GUARDED_SCOPE}

  .venv/bin/chancery-sim login --scope {settings.GUARDED_SCOPE} --email you@example.com
  .venv/bin/chancery-sim wallet create --guard {guard.url}
  .venv/bin/chancery-sim guard rules --url {guard.url}
  .venv/bin/chancery-sim reviews list                          and for browsers: {page}

Embedded wallets under it: access key {settings.GUARDED_ACCESS_KEY}, project {settings.GUARDED_SCOPE[1:]}.
Officers {", ".join(guard_settings.OFFICERS)} and reviewers {", ".join(guard_settings.REVIEWERS)} have their keys in
{DEFAULT_STATE.name}/{guard_settings.FOLDER}/. docs/guard.md has a walk-through.

Ctrl-C stops everything; wallets stay in {DEFAULT_STATE.name}/."""
