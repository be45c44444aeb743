"""What a wallet's login is asked to sign: decoded once, put into words, and held to what its contracts allow.

Beyond the contracts' own rules (ADR 42): no delegate calls, for their code would be the wallet's; no calls of the
wallet to itself but the one that settles an update the wallet knows of; no preimage of which nobody can tell what it
means, unless the scope grants to sign what nobody can read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final

from enclave.config import Right
from enclave.sequence.calls import understood_calls, validate_call, where
from enclave.sequence.wallet_records import SmartWallet
from evm.address import checksum
from evm.delegations.delegation_type import is_delegation
from evm.effects.effect_json import effect_to_json
from evm.effects.effect_words import tree_words
from evm.effects.model import Effect
from evm.effects.reading import (
    effects_of_message,
    effects_of_payload,
    effects_of_typed_data,
    effects_of_user_operation,
)
from evm.errors import EvmError
from evm.message import parse_message
from evm.typed_data import parse_typed_data
from evm.wallet.context import ENTRY_POINT
from evm.wallet.erc1271 import message_payload, personal_preimage, typed_data_preimage
from evm.wallet.errors import WalletError, require
from evm.wallet.operation_hash import Operation, RecoveryPayload
from evm.wallet.payload import (
    MAX_NONCE,
    CallsPayload,
    ConfigUpdatePayload,
    DigestPayload,
    MessagePayload,
    Payload,
)
from evm.wallet.payload_json import parse_payload
from evm.wallet.user_operation import parse_user_operation
from evm.wallet.values import parse_decimal, to_hex
from evm.words import printable
from protocol import limits

SOURCES: Final = frozenset({"payload", "message", "typedData", "userOperation"})

Effects = tuple[Effect, ...]

_CODE: Final = "wallet-asked"


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation of a wallet, and what it means. `rights` are those that it takes, all of them."""

    operation: Operation
    understood: dict[str, Any]
    rights: tuple[Right, ...] = ("sign_payload",)


def parse_asked(params: dict[str, Any], wallet: SmartWallet, second: ModuleType) -> Asked:
    """The operation in `chainId` and one of `payload`, `message`, `typedData`, `userOperation`; `nextNonce` is
    optional.

    `second` is `evm.cross_check`: another implementation has to arrive at the same digests (SE-16).
    """
    named = [name for name in sorted(SOURCES) if params.get(name) is not None]
    require(len(named) == 1, f"{_CODE}-source")
    chain_id = parse_chain_id(params.get("chainId"))
    asked = _PARSERS[named[0]](params[named[0]], wallet, chain_id, second)
    operation = asked.operation
    if params.get("nextNonce") is not None:
        _validate_nonce(operation.payload, parse_decimal(params["nextNonce"], "wallet-calls-nonce", most=MAX_NONCE))
    if not isinstance(operation.payload, DigestPayload):  # a digest has no document that another could hash
        second.check_wallet_payload(operation.payload, operation.wallet, chain_id)
    return asked


def _validate_nonce(payload: Payload, next_nonce: int) -> None:
    """`WalletError` unless the calls have the nonce that the chain, by the caller's word, takes next."""
    expected = isinstance(payload, CallsPayload) and payload.nonce == next_nonce
    require(expected, "wallet-calls-nonce-not-next", "BadNonce")


def parse_chain_id(value: object) -> int:
    """A chain id as a number or decimal text; 0 stands for every chain, and has to be said."""
    return parse_decimal(value, "wallet-chain-id")


def operation_of(payload: Payload, wallet: SmartWallet, chain_id: int) -> Operation:
    """The operation of a wallet on one chain, or on every chain."""
    return Operation(payload, wallet.address, chain_id, no_chain_id=chain_id == 0)


def parse_calls(value: object) -> CallsPayload:
    """Calls in the library's form, and no other payload."""
    payload = parse_payload(value)
    if not isinstance(payload, CallsPayload):
        raise WalletError(f"{_CODE}-kind")
    return payload


def asked_calls(payload: CallsPayload, wallet: SmartWallet, chain_id: int) -> Asked:
    """Calls, held to the rules."""
    require(len(payload.calls) <= limits.MAX_WALLET_CALLS, "wallet-calls-count")
    for call in payload.calls:
        validate_call(call, wallet)
    understood = understood_calls(payload, wallet, chain_id)
    return _asked(payload, wallet, chain_id, understood, effects_of_payload(payload, wallet.address, chain_id))


def _parse_payload(value: object, wallet: SmartWallet, chain_id: int, _second: ModuleType) -> Asked:
    payload = parse_payload(value)
    if isinstance(payload, RecoveryPayload):
        raise WalletError("wallet-asked-recovery")  # queued by a method of its own
    if isinstance(payload, CallsPayload):
        return asked_calls(payload, wallet, chain_id)
    if isinstance(payload, MessagePayload):
        return _asked_preimage(payload, wallet, chain_id)
    if isinstance(payload, ConfigUpdatePayload):
        raise WalletError("wallet-asked-config-update")  # by its parts, never by a hash of them
    return _opaque(payload, wallet, chain_id, "digest", f"a hash of something unknown: {to_hex(payload.digest)}")


def _parse_message(value: object, wallet: SmartWallet, chain_id: int, second: ModuleType) -> Asked:
    message = parse_message(value)
    second.check_message(message)
    effects = effects_of_message(message, wallet.address)
    return _asked_message(personal_preimage(message.data), message.understood(), effects, wallet, chain_id)


def _parse_typed_data(value: object, wallet: SmartWallet, chain_id: int, second: ModuleType) -> Asked:
    document = parse_typed_data(value)
    if not isinstance(value, dict):
        raise EvmError("typed-members")
    require(not is_delegation(document), f"{_CODE}-delegation")
    second.check_typed_data(document, value)
    effects = effects_of_typed_data(document, wallet.address)
    return _asked_message(typed_data_preimage(document), document.understood(), effects, wallet, chain_id)


def _parse_user_operation(value: object, wallet: SmartWallet, chain_id: int, _second: ModuleType) -> Asked:
    operation = parse_user_operation(value, wallet.address)
    require(chain_id > 0, "wallet-chain-id")
    takes = wallet.plan.context.name.endswith("_4337") and operation.entry_point == ENTRY_POINT
    require(takes, "wallet-user-op-entry-point", "InvalidEntryPoint")
    calls = asked_calls(operation.calls, wallet, chain_id).understood
    understood = {
        "kind": "user-operation",
        "entryPoint": checksum(operation.entry_point),
        "paymaster": None if operation.paymaster is None else checksum(operation.paymaster.address),
        "calls": calls["calls"],
    }
    head = f"Have the entry point {checksum(operation.entry_point)} carry out"
    words = [head, *calls["words"]]
    if operation.factory is not None:
        words.append(f"It first calls the factory {checksum(operation.factory.address)}")
    effects = effects_of_user_operation(operation, chain_id)
    return _asked_message(operation.message(chain_id), understood | {"words": words}, effects, wallet, chain_id)


def _asked_message(
    preimage: bytes, understood: dict[str, Any], effects: Effects, wallet: SmartWallet, chain_id: int
) -> Asked:
    payload = message_payload(preimage)
    words = [*understood["words"], *where(payload, wallet, chain_id)]
    return _asked(payload, wallet, chain_id, understood | {"words": words}, effects)


def _asked_preimage(payload: MessagePayload, wallet: SmartWallet, chain_id: int) -> Asked:
    """A message that was given as the bytes that verifiers hash."""
    text = _readable(payload.message)
    if text is None:
        return _opaque(payload, wallet, chain_id, "message", f"{len(payload.message)} bytes of unknown meaning")
    understood = {"kind": "message", "bytes": len(payload.message), "text": text}
    words = [f"Sign the text {printable(text)}", *where(payload, wallet, chain_id)]
    effects = effects_of_payload(payload, wallet.address, chain_id)
    return _asked(payload, wallet, chain_id, understood | {"words": words}, effects)


def _readable(preimage: bytes) -> str | None:
    """The text of a personal message, or of a message that is nothing but text."""
    head, _, rest = preimage.partition(b"\n")
    if head == b"\x19Ethereum Signed Message:":
        size = len(str(len(rest)))
        # The length is decimal text without a mark at its end: the one that fits is taken, as a verifier would.
        bodies = [rest[n:] for n in range(1, size + 1) if personal_preimage(rest[n:]) == preimage]
        preimage = bodies[0] if bodies else b"\x19"
    try:
        text = preimage.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\n\t" for char in text) else None


def _opaque(payload: Payload, wallet: SmartWallet, chain_id: int, kind: str, what: str) -> Asked:
    understood = {"kind": kind, "words": [f"Sign {what}", *where(payload, wallet, chain_id)]}
    effects = effects_of_payload(payload, wallet.address, chain_id)
    asked = _asked(payload, wallet, chain_id, understood, effects)
    return replace(asked, rights=("sign_payload", "sign_digest"))


def _asked(payload: Payload, wallet: SmartWallet, chain_id: int, understood: dict[str, Any], effects: Effects) -> Asked:
    """With its effects: what stands inside multicalls, permits and the like, which the words of a call only name."""
    shown = {"effects": [effect_to_json(effect) for effect in effects], "effectWords": tree_words(effects)}
    return Asked(operation_of(payload, wallet, chain_id), understood | shown)


_Parser = Callable[[Any, SmartWallet, int, ModuleType], Asked]
_PARSERS: Final[Mapping[str, _Parser]] = {
    "payload": _parse_payload,
    "message": _parse_message,
    "typedData": _parse_typed_data,
    "userOperation": _parse_user_operation,
}
