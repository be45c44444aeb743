"""`chancery guard rules`, `approve`, `activate`, `freeze`, `decisions`: what a guard's officers do.

An approval is made offline, on each officer's own machine, and is a small file; whoever has enough of them activates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import read_json

if TYPE_CHECKING:
    from host_proxy.client.device_key import DeviceKey
    from host_proxy.client.guard import Approval, GuardClient

DEFAULT_URL: Final = "http://127.0.0.1:8081"

Rules = Annotated[Path, typer.Argument(help="A rule document (JSON).", show_default=False)]
KeyFile = Annotated[Path, typer.Option("--key", help="The officer's private key (PEM).", show_default=False)]
Deployment = Annotated[
    str, typer.Option("--deployment", help="The guard's name in its measured configuration.", show_default=False)
]
Url = Annotated[str, typer.Option("--url", help="The guard.")]


def register(group: typer.Typer) -> None:
    """Adds the commands."""
    for command in (rules, approve, activate, freeze, decisions):
        group.command(command.__name__)(command)


def rules(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the document to this file.")] = None,
    url: Url = DEFAULT_URL,
    policy: user.PolicyFile = None,
    as_json: user.Json = False,
) -> None:
    """Show the rules in force: their document, version and hash, and the address that signs under them."""
    import hashlib

    with guard_at(context, url, policy) as guard:
        found = guard.rules()
    if out is not None:
        out.write_bytes(found.document)
    told = {
        "signer": found.signer,
        "version": found.version,
        "sha256": hashlib.sha256(found.document).hexdigest(),
        "frozen": found.frozen,
        "document": found.document.decode(),
    }
    where = [found.document.decode()] if out is None else [f"written to {out}"]
    state = f"version {told['version']}, sha256 {told['sha256']}{', FROZEN' if found.frozen else ''}"
    user.show(
        told, as_json=as_json, words=lambda: "\n".join([*where, f"guard     {found.signer}", f"rules     {state}"])
    )


def approve(
    source: Rules,
    key: KeyFile,
    deployment: Deployment,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Default: beside the key, `….approval.json`.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Approve that exactly this rule document comes into force. Offline. Read `guard explain` before."""
    from host_proxy.client import guard

    document, officer = _document(source), _officer(key)
    approval = guard.approve(guard.ACTIVATE, deployment, document, officer)
    typer.echo(f"{source}: version {approval.version} for {deployment}, sha256 {approval.sha256}")
    if not yes and not typer.confirm("Approve exactly this?"):
        leave(ExitCode.FAILED, "nothing was signed")
    target = out or key.with_suffix(".approval.json")
    target.write_text(json.dumps(approval.as_json(), indent=1) + "\n")
    typer.echo(f"written to {target}; give it to whoever activates the rules")


def activate(
    context: typer.Context,
    source: Rules,
    approvals: Annotated[list[Path], typer.Argument(help="Files that `approve` wrote.", show_default=False)],
    url: Url = DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Put rules in force that enough officers have approved. It also ends a freeze."""
    document = _document(source)
    given = [_approval(path, source, document) for path in approvals]
    with guard_at(context, url, policy) as guard:
        version = guard.activate(document, given)
    typer.echo(f"rules of version {version} are in force")


def freeze(
    context: typer.Context,
    key: KeyFile,
    deployment: Deployment,
    url: Url = DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Have the guard sign nothing any more, until higher rules are activated. Any one officer can."""
    from host_proxy.client.guard import FREEZE
    from host_proxy.client.guard import approve as signed

    officer = _officer(key)
    with guard_at(context, url, policy) as guard:
        guard.freeze(signed(FREEZE, deployment, guard.rules().document, officer))
    typer.echo("frozen: the guard signs nothing")


def decisions(
    context: typer.Context,
    key: KeyFile,
    deployment: Deployment,
    out: Annotated[Path, typer.Option("--out", "-o", help="For `guard replay` and `diff`.", show_default=False)],
    reviews: Annotated[
        Path | None, typer.Option("--reviews", help="Write the reviewers' signed decisions to this file.")
    ] = None,
    url: Url = DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Fetch the newest recorded decisions, one on each line, for an officer."""
    from host_proxy.client.guard import READ
    from host_proxy.client.guard import approve as signed

    officer = _officer(key)
    with guard_at(context, url, policy) as guard:
        found = guard.decisions(signed(READ, deployment, guard.rules().document, officer))
    out.write_text("".join(f"{line}\n" for line in found["lines"]))
    if reviews is not None:
        reviews.write_text("".join(f"{json.dumps(made)}\n" for made in found["reviews"]))
    typer.echo(f"{len(found['lines'])} decisions written to {out}; {len(found['reviews'])} of reviewers")


@contextmanager
def guard_at(context: typer.Context, url: str, policy: Path | None) -> Iterator[GuardClient]:
    """A verified guard, sealed past its host. Refusals and failures end the command, in words."""
    from attestation.client import SealedTransport, Service
    from host_proxy.client.api import Caller
    from host_proxy.client.errors import ClientError, ServiceRefusal
    from host_proxy.client.guard import GuardClient
    from host_proxy.client.guard_words import HELD, in_words

    roots, image = tuple(context.obj.trust_roots), user.image_policy(policy)
    caller = Caller(
        url, roots=roots, image=image, transport=SealedTransport(Service(url=url, image=image, roots=roots))
    )
    try:
        yield GuardClient(caller)
    except ServiceRefusal as refusal:
        held = str(refusal.error.get("cause", "")).startswith(HELD)
        leave(ExitCode.HELD if held else ExitCode.FAILED, user.printable(in_words(refusal)))
    except ClientError as error:
        leave(ExitCode.UNREACHABLE if error.code == "unreachable" else ExitCode.FAILED, f"{error.code}: {error}")
    finally:
        caller.close()


def _document(source: Path) -> bytes:
    from host_proxy.client.guard import version_of

    read_json(source)  # leaves with a sentence about what is wrong
    document = source.read_bytes()
    try:
        version_of(document)
    except ValueError:
        leave(ExitCode.USAGE, f"{source}: a rule document has a `version`; this has none")
    return document


def _officer(path: Path) -> DeviceKey:
    from host_proxy.client.device_key import DeviceKey

    try:
        return DeviceKey.load(path)
    except FileNotFoundError:
        leave(ExitCode.USAGE, f"{path}: there is no such key; officers make theirs with `admin key --key {path}`")
    except (OSError, ValueError) as error:
        leave(ExitCode.CONFIGURATION, f"the key in {path} cannot be used: {error}")


def _approval(path: Path, source: Path, document: bytes) -> Approval:
    from host_proxy.client.guard import parse_approval

    try:
        approval = parse_approval(read_json(path))
    except ValueError:
        leave(ExitCode.USAGE, f"{path} is no approval; `guard approve` writes them")
    if not approval.is_about(document):
        leave(
            ExitCode.USAGE,
            f"{path} approves version {approval.version} with sha256 {approval.sha256}, and {source} has another: "
            "the document was changed after it was approved, or is another one",
        )
    return approval
