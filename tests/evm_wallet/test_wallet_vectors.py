"""Every vector of the shared kinds: what the compiled contracts, or the client library, made of the same input."""

from typing import Any

import coincurve
import pytest

from evm.address import ZERO_ADDRESS, checksum
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.typed_data import parse_typed_data
from evm.wallet.compact import to_compact
from evm.wallet.configuration import has_invalid_values, reachable_weight, validate_safety
from evm.wallet.configuration_json import (
    configuration_to_json,
    parse_configuration,
    parse_service_configuration,
    parse_topology,
    service_configuration_to_json,
    topology_to_json,
)
from evm.wallet.context import CONTEXTS, DEFAULT_CONTEXT, extensions_of, parse_context
from evm.wallet.default_wallet import Guard, Module, default_configuration
from evm.wallet.deploy import deploy_call, parse_erc6492, wrap_erc6492
from evm.wallet.erc1271 import digest_payload, message_payload, personal_preimage, typed_data_preimage
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation, RecoveryPayload, operation_hash
from evm.wallet.packed_calls import pack_calls, parse_packed_calls
from evm.wallet.passkeys.public_key import parse_public_key
from evm.wallet.passkeys.signature import (
    encode_passkey_signature,
    encode_passkey_signature_abi,
    parse_passkey_signature,
    passkey_signature,
)
from evm.wallet.passkeys.verifying import PasskeyModule
from evm.wallet.payload import CallsPayload, DigestPayload, MessagePayload, with_parent
from evm.wallet.payload_json import parse_payload, payload_to_json, typed_data
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import LeafSignature
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.merging import assemble, collected_weight, merge
from evm.wallet.signature.model import ChainedSignature, Signature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from evm.wallet.signature.signature_json import parse_leaf_signature, signature_to_json
from evm.wallet.signature.verifying import verify_signature
from evm.wallet.topology import SignerLeaf, depth, flat_tree
from evm.wallet.user_operation import parse_user_operation

from .samples import B, TestChain, lowered, p256, sign, vectors

Vector = dict[str, Any]
DOMAIN_TYPES = {
    "name": "string",
    "version": "string",
    "chainId": "uint256",
    "verifyingContract": "address",
    "salt": "bytes32",
}


def each(kind: str) -> pytest.MarkDecorator:
    """The test once for every vector of a kind."""
    return pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in vectors(kind)])


def operation(vector: Vector) -> Operation:
    payload = parse_payload(vector["payload"])
    assert not isinstance(payload, RecoveryPayload)
    found = Operation(payload, B(vector["wallet"]), vector["chainId"], vector.get("noChainId", False))
    assert found.digest == B(vector["digest"])
    return found


def handed_over(vector: Vector) -> LeafSignature:
    """A leaf signature of a vector in the hand-over form."""
    kind = vector["type"]
    body: Vector = {name: vector[name] for name in ("type", "r", "s", "yParity", "data") if name in vector}
    if kind in ("erc1271", "sapient", "sapient_compact"):
        body["address"] = vector["address"]
    owner = "imageHash" if kind.startswith("sapient") else "address"
    return parse_leaf_signature({owner: vector[owner], "signature": body})


@each("config")
def test_configuration(vector: Vector) -> None:
    found = parse_configuration(vector["config"])
    assert found.topology.hash == B(vector["topologyHash"])
    assert found.image_hash == B(vector["imageHash"])
    addresses = {name: checksum(context.wallet_address(found.image_hash)) for name, context in CONTEXTS.items()}
    assert addresses == vector["addresses"]
    deploy = deploy_call(DEFAULT_CONTEXT, found.image_hash)
    assert (deploy.to, deploy.data) == (B(vector["deploy"]["to"]), B(vector["deploy"]["data"]))
    assert lowered(configuration_to_json(found)) == lowered(vector["config"])
    assert parse_service_configuration(service_configuration_to_json(found)) == found


@each("config")
def test_safety_of_a_configuration(vector: Vector) -> None:
    found = parse_configuration(vector["config"])
    assert has_invalid_values(found) == vector["invalidValues"]
    assert depth(found.topology) == vector["maximumDepth"]
    assert reachable_weight(found.topology) == int(vector["maxWeight"])
    verdict = "ok"
    try:
        validate_safety(found)
    except WalletError as refusal:
        verdict = refusal.code.removeprefix("wallet-config-")
    assert verdict == vector["safety"]


@each("flat-tree")
def test_flat_tree(vector: Vector) -> None:
    found = flat_tree([parse_topology(leaf) for leaf in vector["leaves"]])
    assert found == parse_topology(vector["topology"])
    assert found.hash == B(vector["hash"])
    assert lowered(topology_to_json(found)) == lowered(vector["topology"])


@each("default-wallet")
def test_default_wallet(vector: Vector) -> None:
    def module(name: str) -> Module | None:
        found = vector[name]
        return found and Module(B(found["module"]), B(found["imageHash"]))

    given = vector["guard"]
    found = default_configuration(
        [parse_topology(leaf) for leaf in vector["loginSigners"]],  # type: ignore[misc]
        [SignerLeaf(B(address), 1) for address in vector["deviceSigners"]],
        guard=given and Guard(B(given["wallet"]), B(given["sessions"]), B(given["recovery"])),
        sessions=module("sessions"),
        recovery=module("recovery"),
        checkpoint=int(vector["config"]["checkpoint"]),
    )
    assert found == parse_configuration(vector["config"])
    assert found.image_hash == B(vector["imageHash"])
    assert checksum(DEFAULT_CONTEXT.wallet_address(found.image_hash)) == vector["address"]
    validate_safety(found)


@each("address")
def test_address(vector: Vector) -> None:
    context = parse_context(vector["context"])
    expected = tuple(B(vector[name]) for name in ("factory", "stage1", "stage2", "creationCode"))
    assert (context.factory, context.stage1, context.stage2, context.creation_code) == expected
    assert checksum(context.wallet_address(B(vector["imageHash"]))) == vector["address"]
    deploy = deploy_call(context, B(vector["imageHash"]))
    assert (deploy.to, deploy.data) == (B(vector["deploy"]["to"]), B(vector["deploy"]["data"]))
    assert extensions_of(context)


@each("payload")
def test_payload(vector: Vector) -> None:
    payload, wallet = parse_payload(vector["payload"]), B(vector["wallet"])
    assert operation_hash(payload, wallet, vector["chainId"]) == B(vector["digest"])
    if "typedData" in vector:
        assert lowered(typed_data(payload, wallet, vector["chainId"])) == lowered(vector["typedData"])
    without_empty = {name: value for name, value in vector["payload"].items() if value != [] or name == "calls"}
    assert lowered(payload_to_json(payload)) == lowered(without_empty)
    inner = payload.payload if isinstance(payload, RecoveryPayload) else payload
    if isinstance(inner, CallsPayload):
        assert list(inner.call_hashes) == [B(digest) for digest in vector["callHashes"]]


@each("payload")
def test_document_of_a_payload_has_its_digest(vector: Vector) -> None:
    """The typed data that a person is shown, hashed by the code that hashes any typed data."""
    document = typed_data(parse_payload(vector["payload"]), B(vector["wallet"]), vector["chainId"])
    declared = [{"name": name, "type": DOMAIN_TYPES[name]} for name in document["domain"]]
    document["types"] = document["types"] | {"EIP712Domain": declared}
    assert parse_typed_data(document).digest == B(vector["digest"])


@each("packed-calls")
def test_packed_calls(vector: Vector) -> None:
    payload = parse_payload(vector["payload"])
    assert isinstance(payload, CallsPayload)
    wallet = B(vector["self"]) if vector["self"] else None
    assert pack_calls(payload, wallet) == B(vector["encoded"])
    minimal = B(vector.get("minimal") or vector["encoded"])
    assert pack_calls(payload, wallet, minimal=True) == minimal
    for packed in (B(vector["encoded"]), minimal):
        assert parse_packed_calls(packed, wallet or ZERO_ADDRESS) == payload


@each("ecdsa")
def test_ecdsa(vector: Vector) -> None:
    key, digest = coincurve.PrivateKey(B(vector["privateKey"])), B(vector["digest"])
    assert to_compact(sign(key, digest)) == B(vector["hash"]["compact"])
    personal = PersonalMessage(digest, None).digest
    assert personal == B(vector["ethSign"]["digest"])
    assert to_compact(sign(key, personal)) == B(vector["ethSign"]["compact"])


@each("signature")
def test_signature(vector: Vector) -> None:
    configuration, signed = parse_configuration(vector["config"]), operation(vector)
    given = [handed_over(signature) for signature in vector["signatures"]]
    signature = assemble(configuration, signed, given, B(vector.get("checkpointerData", "0x")))
    encoded = encode_signature(signature)
    assert encoded == B(vector["encoded"])
    assert parse_signature(encoded) == signature
    found = recover(signature, signed, TestChain())
    assert found.image_hash == B(vector["imageHash"]) == configuration.image_hash
    assert found.weight == int(vector["weight"])
    assert collected_weight(signature.items) in (found.weight, 0 if not given else None)
    if "decoded" in vector:
        assert lowered(signature_to_json(signature)) == lowered(vector["decoded"])
    if found.weight >= configuration.threshold:
        assert verify_signature(encoded, signed, configuration.image_hash, TestChain()).operation == signed
    else:
        with pytest.raises(WalletError, match="wallet-signature-weight-low"):
            verify_signature(encoded, signed, configuration.image_hash, TestChain())


@each("chained")
def test_chained_signature(vector: Vector) -> None:
    parts: list[Signature] = []
    for part in vector["newestFirst"]:
        configuration = parse_configuration(part["config"])
        assert configuration.image_hash == B(part["imageHash"])
        signed = operation({**vector, **part, "payload": part["signs"]})
        data = B(vector["checkpointerData"]) if configuration.checkpointer and "checkpointerData" in vector else b""
        oldest = part is vector["newestFirst"][-1]
        given = [handed_over(signature) for signature in part["signatures"]]
        parts.append(assemble(configuration, signed, given, data if oldest else b""))
    chained = ChainedSignature(tuple(parts))
    encoded = encode_signature(chained)
    assert encoded == B(vector["encoded"])
    assert parse_signature(encoded) == chained
    whole = operation(vector)
    found = recover(chained, whole, TestChain())
    assert (found.image_hash, found.digest) == (B(vector["rootImageHash"]), B(vector["digest"]))
    assert verify_signature(encoded, whole, B(vector["rootImageHash"]), TestChain()).operation.digest == whole.digest


@each("merge")
def test_merging(vector: Vector) -> None:
    configuration, signed = parse_configuration(vector["config"]), operation(vector)
    ours, guard = handed_over(vector["ours"]), handed_over(vector["guard"])
    cases = {"none": [], "onlyOurs": [ours], "onlyGuard": [guard], "both": [guard, ours]}
    for name, given in cases.items():
        assert encode_signature(assemble(configuration, signed, given)) == B(vector[name]), name
    partial = [B(vector[name]) for name in ("none", "onlyOurs", "onlyGuard")]
    assert merge(configuration, signed, partial) == B(vector["both"]) == merge(configuration, signed, partial[::-1])
    assert verify_signature(B(vector["both"]), signed, configuration.image_hash, TestChain())


@each("nested-wallet")
def test_wallet_as_signer_of_a_wallet(vector: Vector) -> None:
    payload, chain_id = parse_payload(vector["payload"]), vector["chainId"]
    assert not isinstance(payload, RecoveryPayload)
    known, outer = {}, Operation(payload, B(vector["parent"]), chain_id)
    names = [name for name in ("parent", "middle", "child") if name in vector]
    for name in names:
        wallet, configuration = B(vector[name]), parse_configuration(vector[f"{name}Config"])
        known[wallet] = configuration.image_hash
        assert configuration.image_hash == B(vector["imageHashes"][name])
        if name == "child" and "ERC-1271" in vector["note"]:
            outer = Operation(DigestPayload(outer.digest), wallet, chain_id)
        elif name != "parent":
            outer = Operation(with_parent(outer.payload, outer.wallet), wallet, chain_id)
        assert outer.digest == B(vector[f"{name}Digest"])
    signed = Operation(payload, B(vector["parent"]), chain_id)
    contracts = KnownContracts(chain_id, known)
    assert verify_signature(B(vector["encoded"]), signed, known[signed.wallet], contracts).operation == signed
    stranger = KnownContracts(chain_id, {**known, B(vector["child"]): bytes(32)})
    with pytest.raises(WalletError) as caught:
        verify_signature(B(vector["encoded"]), signed, known[signed.wallet], stranger)
    assert caught.value.reason in ("InvalidSapientSignature", "InvalidERC1271Signature")


@each("erc1271")
def test_message_for_others(vector: Vector) -> None:
    source = vector["source"]
    if source["kind"] == "typed-data":
        document = source["typedData"]
        declared = [{"name": n, "type": t} for n, t in DOMAIN_TYPES.items() if n in document["domain"]]
        types = document["types"] | {"EIP712Domain": declared}
        preimage = typed_data_preimage(parse_typed_data(document | {"types": types}))
    else:
        preimage = personal_preimage(source["text"].encode() if source["kind"] == "text" else B(source["bytes"]))
    assert preimage == B(vector["message"])
    assert keccak256(preimage) == B(vector["hash"])
    for payload in (message_payload(preimage), digest_payload(preimage)):
        for parent in vector.get("parentWallets", ()):
            payload = with_parent(payload, B(parent))  # type: ignore[assignment]
        assert operation_hash(payload, B(vector["wallet"]), vector["chainId"]) == B(vector["digest"])


@each("erc6492")
def test_signature_of_a_wallet_to_come(vector: Vector) -> None:
    configuration, context = parse_configuration(vector["config"]), parse_context(vector["context"])
    wallet = context.wallet_address(configuration.image_hash)
    assert wallet == B(vector["wallet"])
    signed = Operation(MessagePayload(B(vector["message"])), wallet, vector["chainId"])
    assert signed.digest == B(vector["digest"])
    verify_signature(B(vector["signature"]), signed, configuration.image_hash, TestChain())
    deploy = deploy_call(context, configuration.image_hash)
    assert wrap_erc6492(B(vector["signature"]), deploy) == B(vector["wrapped"])
    assert parse_erc6492(B(vector["wrapped"])) == (B(vector["signature"]), deploy)


@each("passkey")
def test_passkey(vector: Vector) -> None:
    key = parse_public_key(vector["publicKey"])
    assert key.root == B(vector["root"])
    assert key.metadata == (B(vector["metadataHash"]) if "metadataHash" in vector else None)
    client_data = vector["clientDataJSON"].encode()
    found = passkey_signature(key, B(vector["authenticatorData"]), client_data, B(vector["r"]), B(vector["s"]))
    assert (found.challenge_index, found.type_index) == (vector["challengeIndex"], vector["typeIndex"])
    assert encode_passkey_signature(found) == B(vector["encoded"])
    for encoded in (B(vector["encoded"]), encode_passkey_signature_abi(found)):
        assert parse_passkey_signature(encoded) == found
        assert PasskeyModule(p256).recover(B(vector["digest"]), encoded) == key.root


@each("userop")
def test_user_operation(vector: Vector) -> None:
    wallet, chain_id = B(vector["wallet"]), vector["chainId"]
    found = parse_user_operation(vector["payload"], wallet)
    assert found.message(chain_id) == B(vector["message"])
    assert found.user_op_hash(chain_id) == B(vector["userOpHash"])
    signed = Operation(found.payload(chain_id), wallet, chain_id)
    assert signed.digest == B(vector["digest"])
    assert lowered(found.to_json(B(vector["signature"]))) == lowered(vector["userOperation"])
    image_hash = parse_configuration(vector["config"]).image_hash
    assert verify_signature(B(vector["signature"]), signed, image_hash, TestChain()).image_hash == image_hash
