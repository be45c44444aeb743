"""Payloads in JSON: the client library's form, and the EIP-712 document that is shown to a signer.

`{"type": "call" | "message" | "config-update" | "digest", ..., "parentWallets"?: [...], "recovery"?: true}`; integers
are decimal text.
"""

from typing import Any, Final, TypeAlias

from evm.address import Address, checksum, parse_address
from evm.fields import hex_bytes, hex_word, items, members
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import RECOVERY_DOMAIN, WALLET_DOMAIN, RecoveryPayload
from evm.wallet.payload import (
    MAX_CALLS,
    MAX_NONCE,
    MAX_PARENT_WALLETS,
    MAX_PAYLOAD_BYTES,
    MAX_SPACE,
    BehaviorOnError,
    Call,
    CallsPayload,
    ConfigUpdatePayload,
    DigestPayload,
    MessagePayload,
    Payload,
)
from evm.wallet.values import parse_bool, parse_decimal, to_hex

_Members: TypeAlias = tuple[tuple[str, str], ...]

_CODE: Final = "wallet-payload"
_FIELDS: Final = {
    "call": ("space", "nonce", "calls"),
    "message": ("message",),
    "config-update": ("imageHash",),
    "digest": ("digest",),
}
_CALL_FIELDS: Final = ("to", "value", "data", "gasLimit", "delegateCall", "onlyFallback", "behaviorOnError")
_BEHAVIORS: Final = {behavior.name.lower(): behavior for behavior in BehaviorOnError}

_CALL_MEMBERS: Final = (
    ("to", "address"),
    ("value", "uint256"),
    ("data", "bytes"),
    ("gasLimit", "uint256"),
    ("delegateCall", "bool"),
    ("onlyFallback", "bool"),
    ("behaviorOnError", "uint256"),
)
_WALLETS: Final = ("wallets", "address[]")
_CALLS_MEMBERS: Final = (("calls", "Call[]"), ("space", "uint256"), ("nonce", "uint256"), _WALLETS)
_MESSAGE_MEMBERS: Final = (("message", "bytes"), _WALLETS)
_CONFIG_UPDATE_MEMBERS: Final = (("imageHash", "bytes32"), _WALLETS)


def parse_payload(value: object) -> Payload | RecoveryPayload:
    """The payload in its JSON form; `EvmError` for unknown, missing or malformed members."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise WalletError("wallet-payload-type")
    found = members(value, required=("type", *_FIELDS[kind]), optional=("parentWallets", "recovery"), code=_CODE)
    parents = items(found.get("parentWallets", []), most=MAX_PARENT_WALLETS, code="wallet-parents")
    payload = _parse_body(kind, found, tuple(map(parse_address, parents)))
    return RecoveryPayload(payload) if parse_bool(found.get("recovery", False), _CODE) else payload


def payload_to_json(payload: Payload | RecoveryPayload) -> dict[str, Any]:
    """The library's form of `payload`."""
    if isinstance(payload, RecoveryPayload):
        return payload_to_json(payload.payload) | {"recovery": True}
    match payload:
        case CallsPayload():
            calls = [_call_to_json(call) for call in payload.calls]
            found = {"type": "call", "space": str(payload.space), "nonce": str(payload.nonce), "calls": calls}
        case MessagePayload():
            found = {"type": "message", "message": to_hex(payload.message)}
        case ConfigUpdatePayload():
            found = {"type": "config-update", "imageHash": to_hex(payload.image_hash)}
        case DigestPayload():
            found = {"type": "digest", "digest": to_hex(payload.digest)}
    if payload.parent_wallets:
        found["parentWallets"] = list(map(checksum, payload.parent_wallets))
    return found


def typed_data(payload: Payload | RecoveryPayload, wallet: Address, chain_id: int) -> dict[str, Any]:
    """The EIP-712 document whose digest `operation_hash` is; a bare digest has none, for its message is unknown."""
    domain, inner = WALLET_DOMAIN, payload
    if isinstance(inner, RecoveryPayload):
        domain, inner = RECOVERY_DOMAIN, inner.payload
    name, types, message = _document(inner)
    message["wallets"] = list(map(checksum, inner.parent_wallets))
    return {
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": chain_id,
            "verifyingContract": checksum(wallet),
        },
        "types": {
            struct: [{"name": member, "type": type_} for member, type_ in declared]
            for struct, declared in types.items()
        },
        "primaryType": name,
        "message": message,
    }


def _parse_body(kind: str, found: dict[str, Any], parents: tuple[Address, ...]) -> Payload:
    match kind:
        case "call":
            calls = items(found["calls"], most=MAX_CALLS, code="wallet-calls-count")
            return CallsPayload(
                calls=tuple(map(parse_call, calls)),
                space=parse_decimal(found["space"], "wallet-calls-space", most=MAX_SPACE),
                nonce=parse_decimal(found["nonce"], "wallet-calls-nonce", most=MAX_NONCE),
                parent_wallets=parents,
            )
        case "message":
            message = hex_bytes(found["message"], "wallet-message-bytes", most=MAX_PAYLOAD_BYTES)
            return MessagePayload(message, parents)
        case "config-update":
            return ConfigUpdatePayload(hex_word(found["imageHash"], "wallet-image-hash"), parents)
    return DigestPayload(hex_word(found["digest"], "wallet-digest"), parents)


def parse_call(value: object) -> Call:
    """One call, all of its members given."""
    found = members(value, required=_CALL_FIELDS, code="wallet-call")
    behavior = found["behaviorOnError"]
    require(isinstance(behavior, str) and behavior in _BEHAVIORS, "wallet-call-behavior")
    return Call(
        to=parse_address(found["to"], "wallet-call-to"),
        value=parse_decimal(found["value"], "wallet-call-value"),
        data=hex_bytes(found["data"], "wallet-call-data", most=MAX_PAYLOAD_BYTES),
        gas_limit=parse_decimal(found["gasLimit"], "wallet-call-gas-limit"),
        delegate_call=parse_bool(found["delegateCall"], "wallet-call"),
        only_fallback=parse_bool(found["onlyFallback"], "wallet-call"),
        behavior_on_error=_BEHAVIORS[behavior],
    )


def _call_to_json(call: Call) -> dict[str, Any]:
    return {
        "to": checksum(call.to),
        "value": str(call.value),
        "data": to_hex(call.data),
        "gasLimit": str(call.gas_limit),
        "delegateCall": call.delegate_call,
        "onlyFallback": call.only_fallback,
        "behaviorOnError": call.behavior_on_error.name.lower(),
    }


def _document(payload: Payload) -> tuple[str, dict[str, _Members], dict[str, Any]]:
    """Primary type, declared types and message, all but the parent wallets."""
    match payload:
        case CallsPayload():
            calls = [
                _call_to_json(call) | {"behaviorOnError": str(int(call.behavior_on_error))} for call in payload.calls
            ]
            types: dict[str, _Members] = {"Calls": _CALLS_MEMBERS, "Call": _CALL_MEMBERS}
            return "Calls", types, {"calls": calls, "space": str(payload.space), "nonce": str(payload.nonce)}
        case MessagePayload():
            return "Message", {"Message": _MESSAGE_MEMBERS}, {"message": to_hex(payload.message)}
        case ConfigUpdatePayload():
            types = {"ConfigUpdate": _CONFIG_UPDATE_MEMBERS}
            return "ConfigUpdate", types, {"imageHash": to_hex(payload.image_hash)}
    raise WalletError("wallet-digest-has-no-document")
