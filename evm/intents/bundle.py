"""The bundle that an intent means: every field of it follows from the intent, so every field can be compared.

Signers build the bundle themselves. Where somebody else built one (the original's builder, or whoever asks a guard),
`validate_bundle` says which field is not what the user signed. The original compares nonce, target, value, data and
`delegateCall`; here gas limit, behaviour on error, chain, wallet and order of the calls count, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from evm.address import ADDRESS_BYTES, Address
from evm.fields import hex_bytes, items, members
from evm.intents.errors import IntentError, require
from evm.intents.fields import address, boolean, network, number
from evm.intents.transactions import MAX_TRANSACTIONS
from evm.intents.wallet_data import SendTransaction
from evm.keccak import keccak256
from evm.wallet.legacy.digests import NONCE_BITS, LegacyCall, bundle_digest, bundle_nonce
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import BehaviorOnError, Call, CallsPayload
from protocol import limits

_RESULT: Final = ("chainID", "nonce", "transactions")
_CALL: Final = ("to", "value", "gasLimit", "data", "delegateCall", "revertOnError")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Calls of one wallet on one chain, under one nonce. Wallets of both generations sign the same bundle."""

    chain_id: int
    wallet: Address
    space: int
    nonce: int
    calls: tuple[Call, ...]

    @property
    def operation(self) -> Operation:
        """What a wallet of the third generation signs."""
        return Operation(CallsPayload(self.calls, self.space, self.nonce), self.wallet, self.chain_id)

    @property
    def legacy_digest(self) -> bytes:
        """The digest for a wallet of the second generation, not yet bound to chain and wallet."""
        return bundle_digest(self.legacy_calls, self.legacy_nonce)

    @property
    def legacy_calls(self) -> tuple[LegacyCall, ...]:
        """The calls as a wallet of the second generation has them."""
        return tuple(map(_legacy, self.calls))

    @property
    def legacy_nonce(self) -> int:
        """Space and nonce in one number."""
        return bundle_nonce(self.space, self.nonce)

    def as_json(self) -> dict[str, Any]:
        """The form in which the original's builder answers, and relayers take it."""
        return {
            "chainID": str(self.chain_id),
            "nonce": hex(self.legacy_nonce),
            "transactions": [_call_as_json(call) for call in self.calls],
        }


def nonce_space(identifier: str) -> int:
    """The nonce space of an identifier: its first nonce is used, so an identifier can be used once on each chain."""
    return int.from_bytes(keccak256(identifier.encode())[:ADDRESS_BYTES], "big")


def bundle_of(intent: SendTransaction) -> Bundle:
    """The bundle that the intent means: all gas forwarded, and all of it undone when one call fails."""
    calls = tuple(transaction.call(intent.wallet) for transaction in intent.transactions)
    return Bundle(intent.chain_id, intent.wallet, nonce_space(intent.identifier), 0, calls)


def validate_bundle(bundle: Bundle, intent: SendTransaction) -> None:
    """Raises `bundle-` with the field in which `bundle` is not the one that the intent means."""
    meant = bundle_of(intent)
    require(bundle.chain_id == meant.chain_id, "bundle-chain-id")
    require(bundle.wallet == meant.wallet, "bundle-wallet")
    require((bundle.space, bundle.nonce) == (meant.space, meant.nonce), "bundle-nonce")
    require(len(bundle.calls) == len(meant.calls), "bundle-calls-count")
    for found, expected in zip(bundle.calls, meant.calls, strict=True):
        _validate_call(found, expected)
    require(bundle == meant, "bundle-differs")  # whatever field may be added one day


def _validate_call(found: Call, expected: Call) -> None:
    require(found.to == expected.to, "bundle-to")
    require(found.value == expected.value, "bundle-value")
    require(found.data == expected.data, "bundle-data")
    require(found.gas_limit == expected.gas_limit, "bundle-gas-limit")
    require(found.delegate_call is expected.delegate_call, "bundle-delegate-call")
    require(found.only_fallback is expected.only_fallback, "bundle-only-fallback")
    require(found.behavior_on_error == expected.behavior_on_error, "bundle-behavior-on-error")


def bundle_from_operation(operation: Operation) -> Bundle:
    """A bundle from what a wallet of the third generation is asked to sign; refused unless it is calls of one chain."""
    payload = operation.payload
    if not isinstance(payload, CallsPayload):
        raise IntentError("bundle-kind")
    require(not operation.no_chain_id, "bundle-chain-id")
    require(payload.parent_wallets == (), "bundle-parents")
    return Bundle(operation.chain_id, operation.wallet, payload.space, payload.nonce, payload.calls)


def parse_bundle(value: object, wallet: Address) -> Bundle:
    """A bundle of `wallet` in the form of the original's builder: numbers are decimal or 0x text."""
    found = members(value, required=_RESULT, code="bundle-members")
    nonce = number(found["nonce"], "bundle-nonce")
    calls = items(found["transactions"], most=MAX_TRANSACTIONS, code="bundle-calls-count")
    return Bundle(
        chain_id=network(found["chainID"], "bundle-chain-id"),
        wallet=wallet,
        space=nonce >> NONCE_BITS,
        nonce=nonce & (2**NONCE_BITS - 1),
        calls=tuple(map(_parse_call, calls)),
    )


def _parse_call(value: object) -> Call:
    found: Mapping[str, Any] = members(value, required=_CALL, code="bundle-call-members")
    reverts = boolean(found["revertOnError"], "bundle-behavior-on-error")
    return Call(
        to=address(found["to"], "bundle-to"),
        value=number(found["value"], "bundle-value"),
        data=hex_bytes(found["data"], "bundle-data", most=limits.MAX_CALLDATA_BYTES),
        gas_limit=number(found["gasLimit"], "bundle-gas-limit"),
        delegate_call=boolean(found["delegateCall"], "bundle-delegate-call"),
        behavior_on_error=BehaviorOnError.REVERT if reverts else BehaviorOnError.IGNORE,
    )


def _legacy(call: Call) -> LegacyCall:
    """The call as the second generation has it, which knows neither fallback calls nor `ABORT`."""
    require(not call.only_fallback, "bundle-only-fallback")
    require(call.behavior_on_error is not BehaviorOnError.ABORT, "bundle-behavior-on-error")
    return LegacyCall(
        target=call.to,
        value=call.value,
        data=call.data,
        gas_limit=call.gas_limit,
        delegate_call=call.delegate_call,
        revert_on_error=call.behavior_on_error is BehaviorOnError.REVERT,
    )


def _call_as_json(call: Call) -> dict[str, Any]:
    legacy = _legacy(call)
    return {
        "to": "0x" + legacy.target.hex(),
        "value": hex(legacy.value),
        "gasLimit": hex(legacy.gas_limit),
        "data": "0x" + legacy.data.hex(),
        "delegateCall": legacy.delegate_call,
        "revertOnError": legacy.revert_on_error,
    }
