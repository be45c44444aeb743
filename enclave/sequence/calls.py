"""Calls of a wallet: what none of them may be, and what each does, in words."""

from collections.abc import Mapping
from typing import Any, Final

from enclave.sequence.wallet_records import SmartWallet
from evm.address import checksum
from evm.calldata import understand
from evm.wallet.abi import selector
from evm.wallet.errors import require
from evm.wallet.payload import BehaviorOnError, Call, CallsPayload, Payload
from evm.wallet.values import to_hex

UPDATE_IMAGE_HASH: Final = selector("updateImageHash(bytes32)")

_ON_ERROR: Final[Mapping[BehaviorOnError, str]] = {
    BehaviorOnError.IGNORE: ", and go on if it fails",
    BehaviorOnError.REVERT: "",
    BehaviorOnError.ABORT: ", and stop there if it fails",
}


def validate_call(call: Call, wallet: SmartWallet) -> None:
    """`WalletError` for a delegate call, and for one to the wallet that settles no known configuration (ADR 42)."""
    require(not call.delegate_call, "wallet-call-delegate")
    if call.to == wallet.address and call.data:
        known = {wallet.plan.configuration.image_hash, *(plan.configuration.image_hash for plan in wallet.pending)}
        settles = call.data[:4] == UPDATE_IMAGE_HASH and call.data[4:] in known
        require(settles, "wallet-call-self")


def understood_calls(payload: CallsPayload, wallet: SmartWallet, chain_id: int) -> dict[str, Any]:
    """The calls in JSON and in words."""
    shown, words = [], []
    acting = (*payload.parent_wallets, wallet.address)[0]
    for number, call in enumerate(payload.calls, start=1):
        effects = understand(call.to, call.value, call.data, sender=acting, chain_id=chain_id)
        sentence = effects.words
        if call.to == wallet.address and call.data:
            sentence = f"Settle the configuration {to_hex(call.data[4:])} on this chain"
        only = "only if the call before it failed: " if call.only_fallback else ""
        gas = f", with {call.gas_limit} gas" if call.gas_limit else ""
        words.append(f"{number}. {only}{sentence}{gas}{_ON_ERROR[call.behavior_on_error]}")
        # How the call was understood must hold for the bytes that are signed, so these are shown, too.
        shown.append({"to": checksum(call.to), "value": str(call.value), "data": to_hex(call.data)} | effects.as_json())
    if not payload.calls:
        words.append("Do nothing but use up the nonce")
    return {
        "kind": "calls",
        "space": str(payload.space),
        "nonce": str(payload.nonce),
        "calls": shown,
        "words": [*words, *where(payload, wallet, chain_id)],
    }


def where(payload: Payload, wallet: SmartWallet, chain_id: int) -> list[str]:
    """In whose name, and where, something is signed."""
    chain = f"on chain {chain_id}" if chain_id else "on EVERY chain"
    found = [f"In the name of the wallet {checksum(wallet.address)}, {chain}"]
    if payload.parent_wallets:
        found.append(f"As a signer of {', '.join(map(checksum, payload.parent_wallets))}")
    return found
