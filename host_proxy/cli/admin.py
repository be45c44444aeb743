"""`chancery admin`: make an administrator's key, rotate the keys of the share holders, provision client secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from host_proxy.client.admin import Admin
    from host_proxy.client.api import Api
    from host_proxy.client.device_key import DeviceKey

_PAUSE_S: Final = 5.0

KeyFile = Annotated[Path, typer.Option("--key", help="The administrator's private key (PEM).", show_default=False)]
Url = Annotated[str, typer.Option("--url", help="The appliance.")]
Deployment = Annotated[
    str, typer.Option("--deployment", help="Its name in the measured configuration.", show_default=False)
]
KeyRef = Annotated[str, typer.Argument(help="The number of a generation, such as 1.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Rotate the keys of the share holders; provision client secrets.")
    for command in (key, rotate, refresh, cleanup):
        group.command(command.__name__)(command)
    group.command("client-secret")(client_secret)
    app.add_typer(group, name="admin")


def key(
    file: KeyFile,
    name: Annotated[str, typer.Option("--name", help="What the enclave's log will call it.")] = "operations",
) -> None:
    """Print a key as the measured configuration lists it under `admins`; made if the file is not there."""
    wire = load_key(file).wire()
    typer.echo(json.dumps({"name": name, "key_type": wire["keyType"], "address": wire["address"]}))


def rotate(
    context: typer.Context,
    key_ref: KeyRef,
    file: KeyFile,
    deployment: Deployment,
    url: Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Make a new generation of holder keys in the place of the current one, KEY_REF. All holders must allow it."""
    with _admin(context, url, deployment, file, policy) as admin:
        admin.rotate(key_ref)
    typer.echo(f"generation {key_ref} is no longer current")


def refresh(
    context: typer.Context,
    key_ref: KeyRef,
    file: KeyFile,
    deployment: Deployment,
    batch: Annotated[int, typer.Option("--batch", min=1, max=64, help="Accounts in one call.")] = 64,
    url: Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Renew every account that lies under an earlier generation, batch by batch. Can be stopped and repeated."""
    with _admin(context, url, deployment, file, policy) as admin:
        batches = 1
        while not _patiently(lambda: admin.refresh(key_ref, batch)):
            batches += 1
    typer.echo(f"nothing is left under generation {key_ref}, as far as the store tells ({batches} batches)")


def cleanup(
    context: typer.Context,
    file: KeyFile,
    deployment: Deployment,
    url: Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Retire generations that `refresh` has found unused, ten minutes after the rotation or later."""
    with _admin(context, url, deployment, file, policy) as admin:
        retired = admin.cleanup()
    typer.echo(f"retired {retired}; now the holders can take them out of their key policies")


def client_secret(
    context: typer.Context,
    secret: Annotated[
        Path, typer.Argument(help='A file: {"value": "…"} or {"generate_jwt": {…}}.', show_default=False)
    ],
    file: KeyFile,
    deployment: Deployment,
    scope: Annotated[str, typer.Option("--scope", help="The tenant, such as @123.", show_default=False)],
    issuer: Annotated[str, typer.Option("--issuer", help="As the configuration has it.", show_default=False)],
    audience: Annotated[str, typer.Option("--audience", help="The client id.", show_default=False)],
    url: Url = user.DEFAULT_URL,
    policy: user.PolicyFile = None,
) -> None:
    """Give the enclave the secret of an OpenID application, sealed past the host, in place of an earlier one."""
    try:
        value = json.loads(secret.read_bytes())
    except (OSError, ValueError):
        leave(ExitCode.USAGE, f"{secret} does not hold a secret")
    with _admin(context, url, deployment, file, policy) as admin:
        admin.set_client_secret(scope, issuer, audience, value)
    typer.echo(f"{audience} at {issuer} has a secret")


def _patiently(call: Callable[[], bool]) -> bool:
    """`call`, again after a pause while it comes too often for the service."""
    from host_proxy.client.errors import ServiceRefusal
    from protocol.errors import USAGE_LIMIT_EXCEEDED

    while True:
        try:
            return call()
        except ServiceRefusal as refusal:
            if refusal.error.get("code") != USAGE_LIMIT_EXCEEDED.code:
                raise
        time.sleep(_PAUSE_S)


@contextmanager
def _admin(context: typer.Context, url: str, deployment: str, file: Path, policy: Path | None) -> Iterator[Admin]:
    from host_proxy.client.admin import Admin

    with opened_api(context, url, load_key(file), policy) as api:
        yield Admin(api, deployment)


@contextmanager
def opened_api(context: typer.Context, url: str, key: DeviceKey, policy: Path | None) -> Iterator[Api]:
    """Calls that `key` signs, sealed past the host; leaves with a sentence for whatever goes wrong."""
    from attestation.client import SealedTransport, Service
    from host_proxy.client.api import Api
    from host_proxy.client.errors import ClientError

    roots, image = context.obj.trust_roots, user.image_policy(policy)
    sealed = SealedTransport(Service(url=url, image=image, roots=tuple(roots)))
    api = Api(url, key, scope="", origin="", roots=roots, image=image, transport=sealed)
    try:
        yield api
    except ClientError as error:
        leave(ExitCode.UNREACHABLE if error.code == "unreachable" else ExitCode.FAILED, f"{error.code}: {error}")
    finally:
        api.close()


def load_key(file: Path) -> DeviceKey:
    """The key in `file`, made if it is not there; leaves with a sentence for one that cannot be used."""
    from host_proxy.client.device_key import DeviceKey

    try:
        return DeviceKey.load_or_create(file)
    except (OSError, ValueError) as error:
        leave(ExitCode.CONFIGURATION, f"the key in {file} cannot be used: {error}")
