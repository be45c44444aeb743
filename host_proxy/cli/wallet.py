"""`chancery wallet show` and `diff`: a smart wallet's configuration, read from a file and explained offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user, wallet_account, wallet_changes, wallet_sends
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import file_name, read_json

if TYPE_CHECKING:
    from evm.wallet.document import WalletDocument

Source = Annotated[Path, typer.Argument(help="A JSON file; - reads standard input.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Explain, make, sign for and change a smart wallet.")
    group.command("show")(show)
    group.command("diff")(diff)
    wallet_account.register(group)
    wallet_changes.register(group)
    wallet_sends.register(group)
    app.add_typer(group, name="wallet")


def show(source: Source, as_json: user.Json = False) -> None:
    """Show who can sign for a wallet, what applications may do and move at most, and how recovery works.

    FILE is a configuration in the JSON of Sequence's library or state service, the answer of `wallet configuration`, or
    a session or recovery tree alone. Nothing is asked of any service.
    """
    from evm.wallet.picture import picture

    document = load(source)
    user.show(_as_json(document), as_json=as_json, words=lambda: picture(document))


def diff(
    old: Annotated[Path, typer.Argument(help="The file of before; - reads standard input.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="The file of after.", show_default=False)],
    as_json: user.Json = False,
) -> None:
    """Show what a wallet's next configuration changes: signers, weights, sessions, recovery keys."""
    from evm.wallet.picture import difference, draw

    nodes = difference(load(old), load(new))
    words = "\n\n".join("\n".join(draw(node)) for node in nodes) or "Both say the same"
    listed = [{"about": node.text, "changes": [child.text for child in node.children]} for node in nodes]
    user.show({"same": not nodes, "differences": listed}, as_json=as_json, words=lambda: words)


def load(source: Path) -> WalletDocument:
    """The document in a file; leaves with a sentence about what is wrong with it."""
    from evm.wallet.document import parse_document
    from evm.wallet.faults import explain_fault

    value = read_json(source)
    fault = explain_fault(value)
    if fault is not None:
        leave(ExitCode.USAGE, user.printable(f"{file_name(source)}: {fault}"))
    return parse_document(value)


def _as_json(document: WalletDocument) -> dict[str, Any]:
    from evm.wallet.picture import draw, mismatches, sections, worst_cases

    found: dict[str, Any] = {"careful": mismatches(document)}
    if document.configuration is not None:
        found["imageHash"] = "0x" + document.configuration.image_hash.hex()
    if document.sessions is not None:
        found["worstCases"] = worst_cases(document.sessions)
    return found | {"words": [line for node in sections(document) for line in draw(node)]}
