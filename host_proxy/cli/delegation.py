"""`chancery delegation`: what may be spent while you are away: shown, granted, listed, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import read_json
from host_proxy.cli.pins import mismatches

if TYPE_CHECKING:
    from host_proxy.client.delegation_flows import DelegationFlows

Source = Annotated[Path, typer.Argument(help="A JSON file; - reads standard input.", show_default=False)]
Hash = Annotated[str, typer.Argument(help="Of the delegation, 0x hex.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Grant and take back payments while you are away.")
    group.command("supported")(supported)
    group.command("grant")(grant)
    group.command("list")(list_)
    group.command("revoke")(revoke)
    group.command("authorize")(authorize)
    group.command("check")(check)
    app.add_typer(group, name="delegation")


def supported(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Show which permissions can be asked for, on which chains, and how much at the most."""
    with _acting(context, home, policy) as flows:
        result = flows.supported()

    def words() -> str:
        lines = [f"{kind:28} on chains {', '.join(at['chainIds'])}" for kind, at in result["permissions"].items()]
        for chain in result["chains"]:
            lines += [
                f"chain {chain['chainId']}: of {caps['asset']} {caps['grant']} a grant, {caps['account']} in all"
                for caps in chain["caps"]
            ]
        return "\n".join(lines)

    user.show(result, as_json=as_json, words=words)


def grant(
    context: typer.Context,
    source: Source,
    approve: Annotated[str | None, typer.Option("--approve", help="The hash, as shown: sign without asking.")] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Grant a permission (ERC-7715) from a JSON file: shows what it costs at the most, asks, and signs exactly that.

    The file has the permission request of an application, or `delegation` and `chainId`.
    """
    value = read_json(source)
    asked = value if isinstance(value, dict) and "delegation" in value else {"permission": value}
    with _acting(context, home, policy) as flows:
        if approve is None:
            shown = flows.request(asked)
            if as_json:
                user.show(shown, as_json=True, words=lambda: "")
                return
            typer.echo(user.printable("\n".join(_shown_words(shown))))
            if not typer.confirm("Sign exactly this?"):
                leave(ExitCode.FAILED, "nothing was signed")
            approve = shown["hash"]
        result = flows.grant(approve)
    user.show(result, as_json=as_json, words=lambda: _granted_words(result))


def list_(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """List what you have granted and has not expired."""
    with _acting(context, home, policy) as flows:
        result = flows.list()

    def words() -> str:
        lines = [
            f"{one['hash']} {one['state']:8} chain {one['chainId']}, at most {one['exposure']} until {one['expiresAt']}"
            for one in result["delegations"]
        ]
        return "\n".join(lines) or "nothing is granted"

    user.show(result, as_json=as_json, words=words)


def revoke(
    context: typer.Context,
    hash_: Hash,
    fees: Annotated[
        Path | None, typer.Option("--fees", help="JSON file: nonce, gas, maxFeePerGas, maxPriorityFeePerGas.")
    ] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Take a grant back. It ends on the chain, by a call that this prints, or signs where there are fees."""
    paid = None if fees is None else read_json(fees)
    with _acting(context, home, policy) as flows:
        result = flows.revoke(hash_, paid)

    def words() -> str:
        call = result["call"]
        lines = [f"revoked    {result['hash']}", f"to         {call['to']}", f"data       {call['data']}"]
        return "\n".join([*lines, *([f"raw        {result['transaction']['raw']}"] if "transaction" in result else [])])

    user.show(result, as_json=as_json, words=words)


def authorize(
    context: typer.Context,
    source: Source,
    account_nonce: Annotated[str, typer.Option("--account-nonce", help="The account's next nonce, 0x hex.")],
    sends_itself: Annotated[bool, typer.Option("--sends-itself", help="The account sends it itself.")] = False,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Let your account take on a contract's code (EIP-7702), from a JSON file with chainId, address and nonce."""
    value = read_json(source)
    with _acting(context, home, policy) as flows:
        result = flows.authorize(value, account_nonce, sends_itself=sends_itself)

    def words() -> str:
        signed = [f"{name:10} {value}" for name, value in result["authorization"].items()]
        return "\n".join([*result["understood"]["words"], *signed])

    user.show(result, as_json=as_json, words=words)


def check(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="URL of a node of the chain.", show_default=False)],
    chain: Annotated[int, typer.Option("--chain", help="The chain's id.")],
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Hold the contracts that the measured configuration pins for a chain against the code that a node has there."""
    with _acting(context, home, policy) as flows:
        chains = flows.supported()["chains"]
    pinned = next((each for each in chains if int(each["chainId"], 16) == chain), None)
    if pinned is None:
        leave(ExitCode.FAILED, f"nothing is configured for chain {chain}")
    found = mismatches(node, pinned)
    words = "\n".join(found) or "every contract has the code that was pinned"
    user.show({"chainId": pinned["chainId"], "mismatches": found}, as_json=as_json, words=lambda: words)
    if found:
        raise typer.Exit(ExitCode.FAILED.value)


@contextmanager
def _acting(context: typer.Context, home: Path | None, policy: Path | None) -> Iterator[DelegationFlows]:
    """The delegation calls of the saved session; leaves with a hint when there is none."""
    from host_proxy.client.delegation_flows import DelegationFlows

    with user.acting_in_session(context, home, policy) as (acting, session):
        yield DelegationFlows(acting.api, session)


def _shown_words(shown: dict[str, Any]) -> list[str]:
    outstanding = shown["outstanding"]
    lines = [*shown["understood"]["words"]]
    if shown["adjusted"]:
        lines.append("This is less than what was asked for")
    if outstanding is not None:
        lines.append(f"Earlier grants can still cost {outstanding['account']} of {outstanding['atMost']} base units")
    return [*lines, f"hash {shown['hash']}"]


def _granted_words(result: dict[str, Any]) -> str:
    names = ("hash", "signature", "context", "delegationManager")
    return "\n".join(f"{name:17} {result[name]}" for name in names)
