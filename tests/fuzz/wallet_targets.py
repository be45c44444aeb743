"""Targets for what comes in about wallets: configurations, payloads, packed calls, signatures, assertions."""

from collections.abc import Callable
from typing import Any

from evm.address import Address
from evm.errors import EvmError
from evm.wallet.configuration import Configuration
from evm.wallet.configuration_json import (
    configuration_to_json,
    parse_configuration,
    parse_service_configuration,
    service_configuration_to_json,
)
from evm.wallet.context import DEFAULT_CONTEXT
from evm.wallet.deploy import deploy_call, parse_erc6492, wrap_erc6492
from evm.wallet.legacy.v1 import V1Configuration, V1Signer, encode_v1_signature, recover_v1
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.legacy.v2_signature import encode_v2_signature, recover_v2
from evm.wallet.operation_hash import RecoveryPayload, operation_hash
from evm.wallet.packed_calls import pack_calls, parse_packed_calls
from evm.wallet.passkeys.public_key import PasskeyPublicKey, parse_public_key
from evm.wallet.passkeys.signature import (
    PasskeySignature,
    encode_passkey_signature,
    encode_passkey_signature_abi,
    parse_passkey_signature,
)
from evm.wallet.passkeys.verifying import PasskeyModule
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload, MessagePayload
from evm.wallet.payload_json import parse_payload, payload_to_json
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.merging import assemble, merge
from evm.wallet.signature.model import ChainedSignature, Signature, StaticSignature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from evm.wallet.signature.signature_json import parse_leaf_signature, signature_to_json
from evm.wallet.topology import Branch, NestedLeaf, NodeLeaf, SapientLeaf, SignerLeaf, SubdigestLeaf
from evm.wallet.user_operation import parse_user_operation
from protocol import canonical_json
from protocol.errors import ProtocolError
from tests.evm_wallet.samples import KEYS, OPERATION, WALLET, TestChain, address_of, answer, p256, two_of_two
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import encoded

REFUSAL = (EvmError,)
JSON_REFUSAL = (EvmError, ProtocolError)
WORD = b"\x01" * 32
TREE = Branch(NestedLeaf(two_of_two().topology, 2, 1), Branch(SapientLeaf(WALLET, 255, WORD), SubdigestLeaf(WORD)))
WHOLE = Configuration(2, 7, TREE, WALLET)
CALLS = CallsPayload((Call(WALLET, 1, b"data", 2), Call(Address(bytes(20)), data=b"more")), 3, 4)
CHAIN = TestChain()


def _json(parse: Callable[[Any], object]) -> Callable[[bytes], object]:
    return lambda data: parse(canonical_json.parse(data))


def _signature(data: bytes) -> object:
    """Parsed, written again, recovered: one value in all forms."""
    found = parse_signature(data)
    if parse_signature(encode_signature(found)) != found:
        raise AssertionError("a signature does not survive its encoding")
    if isinstance(found, StaticSignature):
        return found
    if isinstance(found, Signature):
        _refusable(lambda: signature_to_json(found))
    return recover(found, OPERATION, CHAIN)


def _refusable(run: Callable[[], object]) -> None:
    try:
        run()
    except EvmError:
        return


def _merge(data: bytes) -> object:
    return merge(two_of_two(), OPERATION, [data, _partial(1)])


def _partial(index: int) -> bytes:
    return encode_signature(assemble(two_of_two(), OPERATION, [answer(KEYS[index], OPERATION)]))


def _chain() -> bytes:
    part = assemble(two_of_two(), OPERATION, [answer(key, OPERATION) for key in KEYS[:2]])
    return encode_signature(ChainedSignature((part,)))


def _packed(data: bytes) -> object:
    found = parse_packed_calls(data, WALLET)
    if parse_packed_calls(pack_calls(found, WALLET), WALLET) != found:
        raise AssertionError("packed calls do not survive their encoding")
    return found


def _payload(value: Any) -> object:
    found = parse_payload(value)
    if parse_payload(payload_to_json(found)) != found:
        raise AssertionError("a payload does not survive its JSON form")
    return operation_hash(found, WALLET, 1)


def _assertion() -> PasskeySignature:
    return PasskeySignature(PasskeyPublicKey(WORD, WORD, True, WORD), bytes(37), b'{"type":"x"}', 5, 1, WORD, WORD)


def _user_operation() -> dict[str, Any]:
    calls = payload_to_json(CallsPayload(CALLS.calls))["calls"]
    gas = ("callGasLimit", "verificationGasLimit", "preVerificationGas", "maxFeePerGas", "maxPriorityFeePerGas")
    numbers = dict.fromkeys((*gas, "space", "nonce"), "1")
    return {"type": "call_4337_07", "calls": calls, "entrypoint": "0x" + "11" * 20, **numbers}


def _v1() -> bytes:
    return encode_v1_signature(V1Configuration(1, (V1Signer(WALLET, 1), V1Signer(address_of(KEYS[0]), 2))), {})


def _v2() -> bytes:
    tree = Branch(SignerLeaf(WALLET, 1), NestedLeaf(Branch(NodeLeaf(WORD), SubdigestLeaf(WORD)), 1, 1))
    return encode_v2_signature(V2Configuration(1, 2, tree), {WALLET: b"data\x03"})


def _leaf_signature() -> dict[str, Any]:
    body = {"type": "erc1271", "address": "0x" + "aa" * 20, "data": "0x01"}
    return {"address": "0x" + "aa" * 20, "signature": body}


def _public_key() -> dict[str, Any]:
    word = "0x" + WORD.hex()
    return {"x": word, "y": word, "requireUserVerification": False, "metadata": {"credentialId": "id"}}


TARGETS = {
    "wallet_configuration": Target(
        _json(lambda value: parse_configuration(value).image_hash),
        JSON_REFUSAL,
        lambda: [encoded(configuration_to_json(WHOLE))],
    ),
    "wallet_service_configuration": Target(
        _json(lambda value: parse_service_configuration(value).image_hash),
        JSON_REFUSAL,
        lambda: [encoded(service_configuration_to_json(WHOLE))],
    ),
    "wallet_payload": Target(
        _json(_payload),
        JSON_REFUSAL,
        lambda: [
            encoded(payload_to_json(payload))
            for payload in (CALLS, RecoveryPayload(MessagePayload(b"text")), ConfigUpdatePayload(WORD, (WALLET,)))
        ],
    ),
    "wallet_packed_calls": Target(
        _packed, REFUSAL, lambda: [pack_calls(CALLS, WALLET, minimal=m) for m in (False, True)]
    ),
    "wallet_signature": Target(
        _signature,
        REFUSAL,
        lambda: [_partial(0), _chain(), b"\x82", encode_signature(assemble(WHOLE, OPERATION, [], bytes(64)))],
    ),
    "wallet_partial_signature": Target(_merge, REFUSAL, lambda: [_partial(0), _partial(1)]),
    "wallet_leaf_signature": Target(_json(parse_leaf_signature), JSON_REFUSAL, lambda: [encoded(_leaf_signature())]),
    "wallet_erc6492": Target(
        parse_erc6492, REFUSAL, lambda: [wrap_erc6492(b"signature", deploy_call(DEFAULT_CONTEXT, WORD))]
    ),
    "wallet_passkey_key": Target(_json(parse_public_key), JSON_REFUSAL, lambda: [encoded(_public_key())]),
    "wallet_passkey_signature": Target(
        parse_passkey_signature,
        REFUSAL,
        lambda: [encode_passkey_signature(_assertion()), encode_passkey_signature_abi(_assertion())],
    ),
    "wallet_passkey_assertion": Target(lambda data: PasskeyModule(p256).recover(WORD, data), REFUSAL, list),
    "wallet_user_operation": Target(
        _json(lambda value: parse_user_operation(value, WALLET).user_op_hash(1)),
        JSON_REFUSAL,
        lambda: [encoded(_user_operation())],
    ),
    "wallet_v1_signature": Target(lambda data: recover_v1(data, WORD, lambda *_: True), REFUSAL, lambda: [_v1()]),
    "wallet_v2_signature": Target(
        lambda data: recover_v2(data, WORD, WALLET, 1, lambda *_: True), REFUSAL, lambda: [_v2()]
    ),
}
