"""`chancery wallet update`, `approve-session`, `revoke-session`, `confirm`: the next configuration, in two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import read_json
from host_proxy.cli.wallet_account import JsonFile, acting_wallet, picture_of, signed_words

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
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Change the configuration by one step from a JSON file: shows what it changes, asks, and signs exactly that."""
    change = read_json(source)
    with acting_wallet(context, home, policy) as flows:
        result = _in_two_steps(flows, "UpdateConfiguration", approve, as_json=as_json, change=change)
    _show_change(result, as_json=as_json)


def approve_session(
    context: typer.Context,
    source: JsonFile,
    approve: Approve = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Grant an explicit session from a JSON file: shows its rules and the most it can move, asks, and signs."""
    permissions = read_json(source)
    with acting_wallet(context, home, policy) as flows:
        result = _in_two_steps(flows, "ApproveSession", approve, as_json=as_json, permissions=permissions)
    _show_change(result, as_json=as_json)


def revoke_session(
    context: typer.Context,
    signer: Annotated[str, typer.Argument(help="Address of the session's key.", show_default=False)],
    approve: Approve = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """End the session of a key; a key without one is barred from implicit sessions."""
    with acting_wallet(context, home, policy) as flows:
        result = _in_two_steps(flows, "RevokeSession", approve, as_json=as_json, signer=signer)
    _show_change(result, as_json=as_json)


def confirm(
    context: typer.Context,
    image_hash: Annotated[str, typer.Argument(help="Of the pending configuration.", show_default=False)],
    signature: Annotated[str, typer.Argument(help="The complete signature, 0x hex.", show_default=False)],
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Take up an update that the guard has signed, too."""
    with acting_wallet(context, home, policy) as flows:
        result = flows.confirm(image_hash, signature)
    user.show(result, as_json=as_json, words=lambda: picture_of(result))


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


def _show_change(result: dict[str, Any], *, as_json: bool) -> None:
    def words() -> str:
        return signed_words(result["update"], [f"signed the update to {result['imageHash']}"])

    user.show(result, as_json=as_json, words=words)


def _change_words(described: dict[str, Any]) -> list[str]:
    worst = described.get("worstCase")
    lines = [*described.get("session", []), *described["words"], f"image hash {described['imageHash']}"]
    if worst is not None:
        tokens = [f"  of {one['token']}: {one['most'] or 'WITHOUT A LIMIT'}" for one in worst["tokens"]]
        lines += ["at most, in base units:", f"  coins: {worst['native']}", *tokens]
    return lines
