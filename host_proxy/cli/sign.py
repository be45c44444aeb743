"""`chancery sign`: have the enclave sign what it understands, and see what it understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Sign a message, typed data or a transaction with your wallet.")
    group.command("message")(message)
    group.command("typed-data")(typed_data)
    group.command("transaction")(transaction)
    app.add_typer(group, name="sign")


Source = Annotated[Path, typer.Argument(help="A JSON file; - reads standard input.", show_default=False)]


def message(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The text to sign.", show_default=False)],
    as_bytes: Annotated[bool, typer.Option("--bytes", help="TEXT is 0x… hex for raw bytes.")] = False,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Sign a personal message (EIP-191)."""
    _sign(context, "Message", {"bytes" if as_bytes else "text": text}, policy, home, as_json=as_json)


def typed_data(
    context: typer.Context,
    source: Source,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Sign typed data (EIP-712) from a JSON file with types, primaryType, domain and message."""
    _sign(context, "TypedData", _load(source), policy, home, as_json=as_json)


def transaction(
    context: typer.Context,
    source: Source,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Sign a transaction (types 0, 1, 2 and 4) from a JSON file; prints it ready to be sent."""
    _sign(context, "Transaction", _load(source), policy, home, as_json=as_json)


def _sign(
    context: typer.Context, kind: str, payload: Any, policy: Path | None, home: Path | None, *, as_json: bool
) -> None:
    with user.acting_in_session(context, home, policy) as (acting, session):
        result = acting.flows.sign(kind, session, payload)
    user.show(result, as_json=as_json, words=lambda: _words(result))


def _words(result: dict[str, Any]) -> str:
    understood = json.dumps(result["understood"], indent=2, ensure_ascii=False)
    names = ("signer", "digest", "signature", "hash", "raw")
    return "\n".join([f"understood {understood}", *(f"{name:10} {result[name]}" for name in names if name in result)])


def _load(source: Path) -> Any:
    try:
        text = Path("/dev/stdin" if str(source) == "-" else source).read_text()
        return json.loads(text)
    except (OSError, ValueError):
        leave(ExitCode.USAGE, f"{source} cannot be read as JSON")
