"""A payload as the contracts hand it to one another: the ABI form of `Payload.Decoded` and of its calls."""

from evm.wallet.abi import Tail, array, dynamic, encode, word
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload, DigestPayload, MessagePayload, Payload

_NO_HASH = bytes(32)


def call_abi(call: Call) -> Tail:
    """`Payload.Call`: to, value, data, gasLimit, delegateCall, onlyFallback, behaviorOnError."""
    return Tail(
        encode(
            word(call.to),
            word(call.value),
            dynamic(call.data),
            word(call.gas_limit),
            word(call.delegate_call),
            word(call.only_fallback),
            word(call.behavior_on_error),
        )
    )


def payload_abi(payload: Payload, *, no_chain_id: bool) -> Tail:
    """`Payload.Decoded`: kind, noChainId, calls, space, nonce, message, imageHash, digest, parentWallets.

    What a kind does not have is zero or empty.
    """
    calls: tuple[Call, ...] = ()
    space, nonce, message, image_hash, digest = 0, 0, b"", _NO_HASH, _NO_HASH
    match payload:
        case CallsPayload():
            calls, space, nonce = payload.calls, payload.space, payload.nonce
        case MessagePayload():
            message = payload.message
        case ConfigUpdatePayload():
            image_hash = payload.image_hash
        case DigestPayload():
            digest = payload.digest
    return Tail(
        encode(
            word(payload.kind),
            word(no_chain_id),
            array(*map(call_abi, calls)),
            word(space),
            word(nonce),
            dynamic(message),
            image_hash,
            digest,
            array(*map(word, payload.parent_wallets)),
        )
    )
