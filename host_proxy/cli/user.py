"""What the users' commands share: the profile folder, the verified API, and errors in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from attestation.policy import Policy
    from host_proxy.client.api import Api
    from host_proxy.client.flows import Flows
    from host_proxy.client.profile import Profile

DEFAULT_URL: Final = "http://127.0.0.1:8080"

Home = Annotated[Path | None, typer.Option("--home", help="Folder of the device key and profile.", show_default=False)]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="Accepted images (written by `nitro-attest policy`). Without it any image passes."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class User:
    """A command's view: who this device is, and calls that are verified."""

    home: Path
    profile: Profile
    api: Api
    flows: Flows


def home_folder(home: Path | None) -> Path:
    """The chosen folder, or the usual one of this account."""
    return home or Path(typer.get_app_dir("chancery"))


def require_profile(home: Path | None) -> Profile:
    """The saved profile; leaves with a hint when there is none."""
    from host_proxy.client.profile import load_profile

    try:
        profile = load_profile(home_folder(home))
    except ValueError as error:
        leave(ExitCode.CONFIGURATION, f"{error}: log in again with `login`, or remove {home_folder(home)}")
    if profile is None or not profile.signer:
        leave(ExitCode.USAGE, "this device is not logged in; start with `login`")
    return profile


@contextmanager
def acting(context: typer.Context, home: Path | None, profile: Profile, policy: Path | None) -> Iterator[User]:
    """Calls for `profile`, sealed past the host. Refusals and failures of the calls end the command with their code."""
    from attestation.client import SealedTransport, Service
    from host_proxy.client.api import Api
    from host_proxy.client.device_key import DeviceKey
    from host_proxy.client.errors import ClientError
    from host_proxy.client.flows import Flows
    from host_proxy.client.profile import KEY_FILE

    folder = home_folder(home)
    try:
        device = DeviceKey.load_or_create(folder / KEY_FILE)
    except (OSError, ValueError) as error:
        leave(ExitCode.CONFIGURATION, f"the device key in {folder} cannot be used: {error}")
    roots, image = context.obj.trust_roots, image_policy(policy)
    sealed = SealedTransport(Service(url=profile.url, image=image, roots=tuple(roots)))
    scope, origin = profile.scope, profile.origin
    api = Api(profile.url, device, scope=scope, origin=origin, roots=roots, image=image, transport=sealed)
    try:
        yield User(folder, profile, api, Flows(api, profile.scope))
    except ClientError as error:
        code = ExitCode.UNREACHABLE if error.code == "unreachable" else ExitCode.FAILED
        leave(code, f"{error.code}: {error}")
    finally:
        api.close()


@contextmanager
def acting_in_session(context: typer.Context, home: Path | None, policy: Path | None) -> Iterator[tuple[User, str]]:
    """Calls for the saved profile, and its session; leaves with a hint where it has none."""
    profile = require_profile(home)
    if not profile.has_session:
        leave(ExitCode.USAGE, "the session has expired; get one with `session renew` or `login`")
    with acting(context, home, profile, policy) as found:
        yield found, profile.session


def read_token(path: Path | None) -> str:
    """The ID token in a file; - is standard input. Leaves when there is none."""
    source = Path("/dev/stdin") if path is None or str(path) == "-" else path
    try:
        return source.read_text().strip()
    except (OSError, ValueError):
        leave(ExitCode.USAGE, f"{path} does not hold an ID token")


def utc(seconds: int) -> str:
    """A time for people."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")


def show(value: dict[str, Any], *, as_json: bool, words: Callable[[], str]) -> None:
    """Print a result for a program or for a person."""
    typer.echo(json.dumps(value) if as_json else printable(words()))


def printable(text: str) -> str:
    """What the other end sent, without anything that could steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def image_policy(path: Path | None) -> Policy:
    """The accepted images in a policy file; without one, any image that is not in debug mode."""
    from attestation.cli.policy_file import parse_policy
    from attestation.errors import AttestationError
    from attestation.policy import AnyImage

    if path is None:
        return AnyImage()
    try:
        return parse_policy(path.read_bytes()).policy()
    except OSError:
        leave(ExitCode.CONFIGURATION, f"{path} cannot be read")
    except AttestationError as error:
        leave(ExitCode.CONFIGURATION, f"{path}: {error.text}")
