"""`chancery wallet plan-sends`: transfers of a session's key, held to its caps before anything is signed, offline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.json_file import read_json
from host_proxy.cli.wallet_account import JsonFile

if TYPE_CHECKING:
    from evm.address import Address

_MOST_SENDS = 64
_MOST_LIMITS = 256


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command("plan-sends")(plan)


def plan(source: JsonFile, as_json: user.Json = False) -> None:
    """Plan transfers of a session's key: prints the payload, and what the key signs for each of its calls.

    The file has wallet, session (the `permissions` of the answer that approved it), nonce, sends (token, to, amount),
    and where the chain says so space and usage (totals by usage hash). What the session contract would not take is
    refused here. Nothing is asked of any service.
    """
    from evm.errors import EvmError
    from evm.wallet.errors import WalletError

    value = read_json(source)
    try:
        result = _planned(value)
    except EvmError as error:
        if isinstance(error, WalletError) and error.reason is not None:
            leave(ExitCode.FAILED, f"the session contract would not take this: {error.code} ({error.reason})")
        leave(ExitCode.USAGE, f"the file cannot be read ({error.code})")
    hashes = [f"call {number}     {hash_}" for number, hash_ in enumerate(result["sign"])]
    words = [*result["words"], f"digest     {result['digest']}", *hashes]
    user.show(result, as_json=as_json, words=lambda: "\n".join(words))


def _planned(value: Any) -> dict[str, Any]:
    from evm.address import parse_address
    from evm.fields import hex_word, items, members
    from evm.wallet.operation_hash import Operation
    from evm.wallet.payload import MAX_NONCE, CallsPayload
    from evm.wallet.payload_json import payload_to_json
    from evm.wallet.sessions.call_hash import call_hash
    from evm.wallet.sessions.capped import plan_sends
    from evm.wallet.sessions.chain_state import ChainState
    from evm.wallet.sessions.session_json import permissions_from_json
    from evm.wallet.sessions.session_manager import MAX_SPACE
    from evm.wallet.sessions.words import session_words
    from evm.wallet.values import parse_decimal

    required = ("wallet", "session", "nonce", "sends")
    found = members(value, required=required, optional=("space", "usage"), code="wallet-sends")
    session = permissions_from_json(found["session"])
    used = found.get("usage", {})
    if not isinstance(used, dict) or len(used) > _MOST_LIMITS:
        leave(ExitCode.USAGE, "usage has to be an object of totals by usage hash")
    usage = {hex_word(hash_, "wallet-sends"): parse_decimal(total, "wallet-sends") for hash_, total in used.items()}
    sends = [_send(send) for send in items(found["sends"], most=_MOST_SENDS, code="wallet-sends")]
    payload = CallsPayload(
        plan_sends(session, sends, ChainState(session.chain_id, int(time.time()), usage=usage)),
        space=parse_decimal(found.get("space", 0), "wallet-sends", most=MAX_SPACE),
        nonce=parse_decimal(found["nonce"], "wallet-sends", most=MAX_NONCE),
    )
    digest = Operation(payload, parse_address(found["wallet"]), session.chain_id).digest
    return {
        "payload": payload_to_json(payload),
        "digest": "0x" + digest.hex(),
        "sign": ["0x" + call_hash(digest, index).hex() for index in range(len(payload.calls))],
        "words": session_words(session, usage),
    }


def _send(value: Any) -> tuple[Address, Address, int]:
    from evm.address import parse_address
    from evm.fields import members
    from evm.wallet.values import parse_decimal

    found = members(value, required=("token", "to", "amount"), code="wallet-sends")
    return parse_address(found["token"]), parse_address(found["to"]), parse_decimal(found["amount"], "wallet-sends")
