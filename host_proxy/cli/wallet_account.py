"""`chancery wallet create`, `address`, `configuration`, `sign`, and the two steps of every change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import read_json

if TYPE_CHECKING:
    from host_proxy.client.wallet_flows import WalletFlows

JsonFile = Annotated[Path, typer.Argument(help="A JSON file; - reads standard input.", show_default=False)]
Chain = Annotated[int, typer.Option("--chain", help="The chain's id; 0 for a signature that holds on every chain.")]
Approve = Annotated[
    str | None,
    typer.Option("--approve", help="The image hash, as described before: sign without asking.", show_default=False),
]


def register(group: typer.Typer) -> None:
    """Adds the commands that need a login."""
    for command in (create, address, configuration, sign, update, approve_session, revoke_session, confirm):
        group.command(command.__name__.replace("_", "-"))(command)


def create(
    context: typer.Context,
    device: Annotated[str | None, typer.Option("--device", help="Address of this device's own key.")] = None,
    recovery: Annotated[str | None, typer.Option("--recovery", help="Address of a recovery key of yours.")] = None,
    passkey: Annotated[Path | None, typer.Option("--passkey", help="JSON file: requireUserVerification, x, y.")] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Make your smart wallet from the template of the scope, or find the one that you have."""
    key = None if passkey is None else read_json(passkey)
    with _wallet(context, home, policy) as flows:
        result = flows.create(device=device, recovery=recovery, passkey=key)
    made = "made" if result["created"] else "was there already"
    words = [f"wallet {result['address']} ({result['context']}), {made}", *result["words"]]
    user.show(result, as_json=as_json, words=lambda: "\n".join(words))


def address(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Print where your smart wallet is, or will be once it is deployed."""
    with _wallet(context, home, policy) as flows:
        result = flows.address()
    user.show(result, as_json=as_json, words=lambda: f"{result['address']}")


def configuration(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Show who acts for your smart wallet. With --json, `wallet show` and `diff` read the answer."""
    with _wallet(context, home, policy) as flows:
        result = flows.configuration()
    user.show(result, as_json=as_json, words=lambda: _picture(result))


def sign(
    context: typer.Context,
    source: JsonFile,
    chain: Chain,
    signatures: Annotated[
        Path | None, typer.Option("--signatures", help="JSON file: what other signers gave.", show_default=False)
    ] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Sign a payload (type call or message), typed data, or a user operation from a JSON file."""
    value, others = read_json(source), None if signatures is None else read_json(signatures)
    with _wallet(context, home, policy) as flows:
        result = flows.sign(chain, _source_of(value), value, others)
    user.show(result, as_json=as_json, words=lambda: _signed(result, result["understood"]["words"]))


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
    with _wallet(context, home, policy) as flows:
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
    with _wallet(context, home, policy) as flows:
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
    with _wallet(context, home, policy) as flows:
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
    with _wallet(context, home, policy) as flows:
        result = flows.confirm(image_hash, signature)
    user.show(result, as_json=as_json, words=lambda: _picture(result))


@contextmanager
def _wallet(context: typer.Context, home: Path | None, policy: Path | None) -> Iterator[WalletFlows]:
    from host_proxy.client.wallet_flows import WalletFlows

    profile = user.require_profile(home)
    if not profile.has_session:
        leave(ExitCode.USAGE, "the session has expired; get one with `session renew` or `login`")
    with user.acting(context, home, profile, policy) as acting:
        yield WalletFlows(acting.api, profile.session)


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
        return _signed(result["update"], [f"signed the update to {result['imageHash']}"])

    user.show(result, as_json=as_json, words=words)


def _change_words(described: dict[str, Any]) -> list[str]:
    worst = described.get("worstCase")
    lines = [*described.get("session", []), *described["words"], f"image hash {described['imageHash']}"]
    if worst is not None:
        tokens = [f"  of {one['token']}: {one['most'] or 'WITHOUT A LIMIT'}" for one in worst["tokens"]]
        lines += ["at most, in base units:", f"  coins: {worst['native']}", *tokens]
    return lines


def _signed(result: dict[str, Any], words: list[str]) -> str:
    state = "complete" if result["complete"] else f"weight {result['weight']} of {result['threshold']}"
    names = ("wallet", "digest", "signature", "partial", "packed")
    return "\n".join([*words, state, *(f"{name:10} {result[name]}" for name in names if name in result)])


def _picture(result: dict[str, Any]) -> str:
    from evm.errors import EvmError
    from evm.wallet.document import parse_document
    from evm.wallet.picture import picture

    known = {name: result[name] for name in ("configuration", "sessions", "recovery", "address") if name in result}
    try:
        return picture(parse_document(known))
    except EvmError as error:
        leave(ExitCode.FAILED, f"the answer is no wallet configuration ({error.code})")


def _source_of(value: Any) -> str:
    """Which member of the request a JSON value is meant for."""
    if not isinstance(value, dict):
        leave(ExitCode.USAGE, "what is to be signed has to be a JSON object")
    if "primaryType" in value:
        return "typedData"
    if value.get("type") == "call_4337_07":
        return "userOperation"
    return "payload" if "type" in value else "message"
