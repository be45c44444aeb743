"""`chancery wallet create`, `address`, `configuration`, `sign`, `attest` and recovery: what logins do for wallets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.guard_rules import DEFAULT_URL, guard_at
from host_proxy.cli.json_file import read_json
from host_proxy.cli.wallet_guard import (
    Cosigner,
    GuardPolicy,
    GuardUrl,
    cancelling_payload,
    cosigner,
    on_terminal,
    payload_of,
)

if TYPE_CHECKING:
    from host_proxy.client.wallet_flows import WalletFlows

JsonFile = Annotated[Path, typer.Argument(help="A JSON file; - reads standard input.", show_default=False)]
Chain = Annotated[int, typer.Option("--chain", help="The chain's id; 0 for a signature that holds on every chain.")]
Signatures = Annotated[
    Path | None, typer.Option("--signatures", help="JSON file: what other signers gave.", show_default=False)
]


def register(group: typer.Typer) -> None:
    """Adds the commands that need a login."""
    for command in (create, address, configuration, sign, attest, queue_recovery, cancel_recovery):
        group.command(command.__name__.replace("_", "-"))(command)
    group.command("register")(register_at_guard)


def create(
    context: typer.Context,
    device: Annotated[str | None, typer.Option("--device", help="Address of this device's own key.")] = None,
    recovery: Annotated[str | None, typer.Option("--recovery", help="Address of a recovery key of yours.")] = None,
    passkey: Annotated[Path | None, typer.Option("--passkey", help="JSON file: requireUserVerification, x, y.")] = None,
    guard: GuardUrl = None,
    guard_policy: GuardPolicy = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Make your smart wallet from the template of the scope, or find the one that you have; show it to its guard."""
    key = None if passkey is None else read_json(passkey)
    with acting_wallet(context, home, policy) as flows, cosigner(context, guard, guard_policy) as second:
        result = flows.create(device=device, recovery=recovery, passkey=key)
        if second is not None:
            second.register(flows)
    made = "made" if result["created"] else "was there already"
    words = [f"wallet {result['address']} ({result['context']}), {made}", *result["words"]]
    user.show(result, as_json=as_json, words=lambda: "\n".join(words))


def register_at_guard(
    context: typer.Context,
    guard: Annotated[str, typer.Option("--guard", help="The guard.")] = DEFAULT_URL,
    guard_policy: GuardPolicy = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Show a guard the wallet's present configuration: whoever signs in it counts for the guard from then on."""
    with acting_wallet(context, home, policy) as flows, guard_at(context, guard, guard_policy) as second:
        result = Cosigner(second, on_terminal).register(flows)
    user.show(result, as_json=as_json, words=lambda: f"for {result['address']} count {', '.join(result['signers'])}")


def address(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Print where your smart wallet is, or will be once it is deployed."""
    with acting_wallet(context, home, policy) as flows:
        result = flows.address()
    user.show(result, as_json=as_json, words=lambda: f"{result['address']}")


def configuration(
    context: typer.Context, policy: user.PolicyFile = None, home: user.Home = None, as_json: user.Json = False
) -> None:
    """Show who acts for your smart wallet. With --json, `wallet show` and `diff` read the answer."""
    with acting_wallet(context, home, policy) as flows:
        result = flows.configuration()
    user.show(result, as_json=as_json, words=lambda: picture_of(result))


def sign(
    context: typer.Context,
    source: JsonFile,
    chain: Chain,
    signatures: Signatures = None,
    guard: GuardUrl = None,
    guard_policy: GuardPolicy = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only ask the guard what it would say, and why; it draws on no budget.")
    ] = False,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Sign a payload (type call or message), typed data, or a user operation from a JSON file; with --guard, have the
    guard sign it, too, which makes the signature complete.
    """
    if dry_run and guard is None:
        leave(ExitCode.USAGE, "--dry-run asks a guard: name it with --guard")
    value, others = read_json(source), None if signatures is None else read_json(signatures)
    kind = _source_of(value)
    with acting_wallet(context, home, policy) as flows, cosigner(context, guard, guard_policy) as second:
        result = flows.sign(chain, kind, value, others)
        if second is not None and dry_run:
            _show_judged(second.judged(payload_of(kind, value), chain, result), as_json=as_json)
        if second is not None and not result["complete"]:
            leaf = second.leaf(payload_of(kind, value), chain, result)
            result = flows.sign(chain, kind, value, [*(others or []), leaf])
    user.show(result, as_json=as_json, words=lambda: signed_words(result, result["understood"]["words"]))


def attest(
    context: typer.Context,
    signer: Annotated[str, typer.Argument(help="Address of the session's key.", show_default=False)],
    redirect_url: Annotated[str | None, typer.Option("--redirect-url", help="Of the application's origin.")] = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Attest the key of an implicit session, for the application that this login is for."""
    with acting_wallet(context, home, policy) as flows:
        result = flows.attest(signer, redirect_url)
    words = [*result["words"], f"encoded    {result['encoded']}"]
    user.show(result, as_json=as_json, words=lambda: "\n".join(words))


def queue_recovery(
    context: typer.Context,
    source: JsonFile,
    chain: Chain,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Queue calls (a payload of type call) for recovery, where your login is a recovery key of the wallet."""
    payload = read_json(source)
    with acting_wallet(context, home, policy) as flows:
        result = flows.queue_recovery(chain, payload)
    calls = [f"{name:10} {result[name]['to']} {result[name]['data']}" for name in ("queue", "execute")]
    words = [*result["understood"]["words"], *calls]
    user.show(result, as_json=as_json, words=lambda: "\n".join(words))


def cancel_recovery(
    context: typer.Context,
    chain: Chain,
    nonce: Annotated[str, typer.Option("--nonce", help="Of what was queued.")],
    space: Annotated[str, typer.Option("--space", help="Of what was queued.")] = "0",
    signatures: Signatures = None,
    guard: GuardUrl = None,
    guard_policy: GuardPolicy = None,
    policy: user.PolicyFile = None,
    home: user.Home = None,
    as_json: user.Json = False,
) -> None:
    """Sign calls of nothing with the nonce of what was queued, so that it can never be done."""
    others = None if signatures is None else read_json(signatures)
    with acting_wallet(context, home, policy) as flows, cosigner(context, guard, guard_policy) as second:
        result = flows.cancel_recovery(chain, space, nonce, others)
        if second is not None and not result["complete"]:
            leaf = second.leaf(cancelling_payload(space, nonce), chain, result)
            result = flows.cancel_recovery(chain, space, nonce, [*(others or []), leaf])
    user.show(result, as_json=as_json, words=lambda: signed_words(result, result["understood"]["words"]))


@contextmanager
def acting_wallet(context: typer.Context, home: Path | None, policy: Path | None) -> Iterator[WalletFlows]:
    """The wallet calls of the saved session; leaves with a hint when there is none."""
    from host_proxy.client.wallet_flows import WalletFlows

    with user.acting_in_session(context, home, policy) as (acting, session):
        yield WalletFlows(acting.api, session)


def signed_words(result: dict[str, Any], words: list[str]) -> str:
    """The answer of a signing method for a person."""
    state = "complete" if result["complete"] else f"weight {result['weight']} of {result['threshold']}"
    names = ("wallet", "digest", "signature", "partial", "packed")
    return "\n".join([*words, state, *(f"{name:10} {result[name]}" for name in names if name in result)])


def picture_of(result: dict[str, Any]) -> str:
    """The answer of a method that shows a configuration, for a person."""
    from evm.errors import EvmError
    from evm.wallet.document import parse_document
    from evm.wallet.picture import picture

    known = {name: result[name] for name in ("configuration", "sessions", "recovery", "address") if name in result}
    try:
        return picture(parse_document(known))
    except EvmError as error:
        leave(ExitCode.FAILED, f"the answer is no wallet configuration ({error.code})")


def _show_judged(judged: dict[str, Any], *, as_json: bool) -> NoReturn:
    """What a guard would decide; ends the command with what a signature would have ended with."""
    user.show(judged, as_json=as_json, words=lambda: "\n".join(judged["words"]))
    leave({"allow": ExitCode.OK, "review": ExitCode.HELD}.get(judged["outcome"], ExitCode.FAILED))


def _source_of(value: Any) -> str:
    """Which member of the request a JSON value is meant for."""
    if not isinstance(value, dict):
        leave(ExitCode.USAGE, "what is to be signed has to be a JSON object")
    if "primaryType" in value:
        return "typedData"
    if value.get("type") == "call_4337_07":
        return "userOperation"
    return "payload" if "type" in value else "message"
