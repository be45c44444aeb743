"""`chancery wallet update`, `approve-session`, `revoke-session`, `confirm`: the next configuration, in two steps."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import read_json
from host_proxy.cli.wallet_account import JsonFile, acting_wallet, picture_of, signed_words
from host_proxy.cli.wallet_guard import Cosigner, GuardPolicy, GuardUrl, cosigner

if TYPE_CHECKING:
    from host_proxy.client.wallet_flows import WalletFlows

Approve = Annotated[
    str | None,
    typer.Option("--approve", help="The image hash, as described before: sign without asking.", show_default=False),
]


def register(group: typer.Typer) -> None:
    """Adds the commands."""
    for command in (update, approve_session, revoke_session, confirm):
        group.command(command.__name__.replace("_", "-"))(command)


def update(
    context: typer.Context,
    source: JsonFile,
    approve: Approve = None,
    guard: GuardUrl = None,
    guard_policy: GuardPolicy = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Change the configuration by one step from a JSON file: shows what it changes, asks, and signs exactly that."""
    change = read_json(source)
    with acting_wallet(context, home, policy) as flows, cosigner(context, guard, guard_policy) as second:
        result = _in_two_steps(flows, "UpdateConfiguration", approve, as_json=as_json, change=change)
        result = _with_guard(flows, second, home, result)
    _show_change(result, as_json=as_json)


def approve_session(
    context: typer.Context,
    source: JsonFile,
    approve: Approve = None,
    guard: GuardUrl = None,
    guard_policy: GuardPolicy = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Grant an explicit session from a JSON file: shows its rules and the most it can move, asks, and signs.

    The file has `permissions` of the library, or caps: signer, chainId, until, and sends of token, to, perTransaction
    and total.
    """
    value = read_json(source)
    asked = {"capped" if isinstance(value, dict) and "sends" in value else "permissions": value}
    with acting_wallet(context, home, policy) as flows, cosigner(context, guard, guard_policy) as second:
        result = _in_two_steps(flows, "ApproveSession", approve, as_json=as_json, **asked)
        result = _with_guard(flows, second, home, result)
    _show_change(result, as_json=as_json)


def revoke_session(
    context: typer.Context,
    signer: Annotated[str, typer.Argument(help="Address of the session's key.", show_default=False)],
    approve: Approve = None,
    guard: GuardUrl = None,
    guard_policy: GuardPolicy = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """End the session of a key; a key without one is barred from implicit sessions."""
    with acting_wallet(context, home, policy) as flows, cosigner(context, guard, guard_policy) as second:
        result = _in_two_steps(flows, "RevokeSession", approve, as_json=as_json, signer=signer)
        result = _with_guard(flows, second, home, result)
    _show_change(result, as_json=as_json)


def confirm(
    context: typer.Context,
    image_hash: Annotated[str, typer.Argument(help="Of the pending configuration.", show_default=False)],
    signature: Annotated[str | None, typer.Argument(help="The complete signature, 0x hex.", show_default=False)] = None,
    guard: GuardUrl = None,
    guard_policy: GuardPolicy = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Take up an update that the guard has signed, too; or have it sign with --guard, in place of SIGNATURE."""
    if (signature is None) == (guard is None):
        leave(ExitCode.USAGE, "give the complete signature, or --guard to get it")
    with acting_wallet(context, home, policy) as flows, cosigner(context, guard, guard_policy) as second:
        if second is None:
            result = flows.confirm(image_hash, signature or "")
        else:
            result = _finish(flows, second, _Draft.read(home, image_hash))
    user.show(result, as_json=as_json, words=lambda: picture_of(result))


@dataclass(frozen=True, slots=True)
class _Draft:
    """An update that the login has signed and the guard has not, kept beside the device's key: signing it again would
    make another one.
    """

    path: Path
    update: dict[str, Any]

    @classmethod
    def write(cls, home: Path | None, image_hash: str, update: dict[str, Any]) -> _Draft:
        """Keep it."""
        path = cls._path(home, image_hash)
        path.write_text(json.dumps(update))
        return cls(path, update)

    @classmethod
    def read(cls, home: Path | None, image_hash: str) -> _Draft:
        """What was kept; leaves where nothing was."""
        path = cls._path(home, image_hash)
        if not path.is_file():
            leave(ExitCode.USAGE, f"no update to {image_hash} was begun on this device with --guard")
        return cls(path, read_json(path))

    @staticmethod
    def _path(home: Path | None, image_hash: str) -> Path:
        if not re.fullmatch("0x[0-9a-f]{64}", image_hash):
            leave(ExitCode.USAGE, "an image hash is 0x and 64 hexadecimal digits")
        return user.home_folder(home) / f"update-{image_hash[2:18]}.json"


def _finish(flows: WalletFlows, guard: Cosigner, draft: _Draft) -> dict[str, Any]:
    """The update with the guard's signature, taken up, and known to the guard."""
    result = flows.confirm(draft.update["imageHash"], guard.whole_update(flows, draft.update))
    guard.register(flows)
    draft.path.unlink()
    return result


def _in_two_steps(
    flows: WalletFlows, method: str, approve: str | None, *, as_json: bool, **members: Any
) -> dict[str, Any]:
    """Described and, once its image hash is approved, signed. For programs that is two calls of the command."""
    if approve is not None:
        return flows.change(method, approve, **members)
    described = flows.change(method, None, **members)
    if as_json:
        return described
    typer.echo(user.printable("\n".join(_change_words(described))))
    if not typer.confirm("Sign exactly this?"):
        leave(ExitCode.FAILED, "nothing was signed")
    return flows.change(method, described["imageHash"], **members)


def _with_guard(
    flows: WalletFlows, guard: Cosigner | None, home: Path | None, result: dict[str, Any]
) -> dict[str, Any]:
    """`result`, an answer of `_in_two_steps`; where it was signed and a guard has to sign, too, taken up as well."""
    if guard is None or not result["signed"] or result["update"]["complete"]:
        return result
    update = {name: result["update"][name] for name in ("wallet", "digest", "signer", "signature", "leaf")}
    draft = _Draft.write(home, result["imageHash"], update | {"imageHash": result["imageHash"]})
    typer.echo(f"if the guard does not sign now, later: `wallet confirm {result['imageHash']} --guard …`", err=True)
    _finish(flows, guard, draft)
    return result | {"confirmed": True}


def _show_change(result: dict[str, Any], *, as_json: bool) -> None:
    def words() -> str:
        done = ["it is in force, and the guard knows it"] if result.get("confirmed") else []
        return signed_words(result["update"], [f"signed the update to {result['imageHash']}", *done])

    user.show(result, as_json=as_json, words=words)


def _change_words(described: dict[str, Any]) -> list[str]:
    worst = described.get("worstCase")
    lines = [*described.get("session", []), *described["words"], f"image hash {described['imageHash']}"]
    if worst is not None:
        tokens = [f"  of {one['token']}: {one['most'] or 'WITHOUT A LIMIT'}" for one in worst["tokens"]]
        lines += ["at most, in base units:", f"  coins: {worst['native']}", *tokens]
    return lines
