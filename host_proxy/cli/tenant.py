"""`chancery tenant`: write a tenant's document, sign it, put it in force; invite people to one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from host_proxy.cli import admin, user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import read_json

_DAY_S: Final = 86_400
_MOST_BYTES: Final = 64 * 1024

Document = Annotated[Path, typer.Argument(help="The tenant's document.", show_default=False)]
Project = Annotated[int, typer.Argument(help="The project's number.", show_default=False)]
Email = Annotated[str, typer.Argument(help="Whom to invite.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Tenants of embedded wallets: documents, approvals, invitations.")
    for command in (write, sign, put, show, invite, invitation):
        group.command(command.__name__)(command)
    app.add_typer(group, name="tenant")


def write(
    scope: Annotated[Path, typer.Argument(help="The tenant's scope, as a JSON file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the document goes.", show_default=False)],
    deployment: admin.Deployment,
    version: Annotated[int, typer.Option("--version", min=1, help="Higher than the one in force.")] = 1,
    pending_s: Annotated[int, typer.Option("--pending", min=60, max=7 * _DAY_S, help="Seconds to sign in.")] = _DAY_S,
) -> None:
    """Write the document of a tenant in its canonical form, for officers to read and sign."""
    from host_proxy.client.tenants import tenant_document

    out.write_bytes(tenant_document(read_json(scope), version=version, deployment=deployment, pending_s=pending_s))


def sign(document: Document, file: admin.KeyFile) -> None:
    """Print an officer's approval of DOCUMENT. Read it first: what is signed is what will hold."""
    from host_proxy.client.tenants import approve

    try:
        typer.echo(json.dumps(approve(_read(document), admin.load_key(file))))
    except (ValueError, KeyError, TypeError):
        leave(ExitCode.USAGE, f"{document} holds no tenant's document")


def put(
    context: typer.Context,
    document: Document,
    approvals: Annotated[list[Path], typer.Argument(help="Files with approvals.", show_default=False)],
    create: Annotated[bool, typer.Option("--create", help="The first document of its project.")] = False,
    url: admin.Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Put DOCUMENT in force with the approvals of a quorum. Who carries them there needs no key of their own."""
    from host_proxy.client.device_key import DeviceKey
    from host_proxy.client.tenants import Tenants

    with admin.opened_api(context, url, DeviceKey.generate(), policy) as api:
        made = Tenants(api, "").put(_read(document), [read_json(each) for each in approvals], create=create)
    typer.echo(f"project {made['projectId']} holds to version {made['version']}")


def show(
    context: typer.Context,
    project: Project,
    file: admin.KeyFile,
    deployment: admin.Deployment,
    url: admin.Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Print what holds for PROJECT, for an officer."""
    from host_proxy.client.tenants import Tenants

    with admin.opened_api(context, url, admin.load_key(file), policy) as api:
        _print(Tenants(api, deployment).show(project))


def invite(
    context: typer.Context,
    project: Project,
    email: Email,
    file: admin.KeyFile,
    deployment: admin.Deployment,
    reference: Annotated[str, typer.Option("--reference", help="Your own word for the person.")] = "",
    url: admin.Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Make an invitation for EMAIL, with the key of an inviter, and print its link."""
    from host_proxy.client.tenants import Tenants

    with admin.opened_api(context, url, admin.load_key(file), policy) as api:
        _print(Tenants(api, deployment).invite(project, email, reference))


def invitation(
    context: typer.Context,
    project: Project,
    email: Email,
    file: admin.KeyFile,
    deployment: admin.Deployment,
    url: admin.Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Print what became of the invitation for EMAIL."""
    from host_proxy.client.tenants import Tenants

    with admin.opened_api(context, url, admin.load_key(file), policy) as api:
        _print(Tenants(api, deployment).invitation(project, email))


def _print(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=1))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        leave(ExitCode.USAGE, f"{path} cannot be read: {error.strerror}")
