"""Sessions, attestations and recovery against the published library and the deployed contracts: the shared vectors."""

import json
from typing import Any

import coincurve
import pytest

from evm.address import Address
from evm.signature import Signature, parse_recoverable
from evm.wallet.attestation import attestation_from_json, parse_attestation, verify_attestation
from evm.wallet.compact import parse_compact, to_compact
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation, RecoveryPayload, operation_hash
from evm.wallet.payload import CallsPayload
from evm.wallet.payload_json import parse_payload
from evm.wallet.recovery import tree_encoding as recovery
from evm.wallet.recovery.queue import RECOVERY_MODULE, QueueRequest, verify_queue_request
from evm.wallet.recovery.timelock import queue, verify_recovery
from evm.wallet.recovery.tree import Branch, Node, RecoveryLeaf, flat, trim
from evm.wallet.recovery.tree import leaves as leaves_of_recovery
from evm.wallet.sessions import configuration
from evm.wallet.sessions.assembly import CallSigned, ExplicitCallSignature, ImplicitCallSignature, assemble
from evm.wallet.sessions.call_hash import call_hash, call_hash_dev, call_hash_rc3
from evm.wallet.sessions.chain_state import ChainState
from evm.wallet.sessions.configuration import Tree, image_hash, leaves
from evm.wallet.sessions.permission import parse_permissions
from evm.wallet.sessions.session_json import (
    permissions_from_json,
    permissions_to_json,
    tree_from_json,
    tree_to_json,
)
from evm.wallet.sessions.session_manager import SessionManager, verify_session
from evm.wallet.sessions.session_sig import parse_session_signature
from evm.wallet.sessions.tree_encoding import encode_tree, parse_tree
from tests.vectors import folder

FOLDER = folder("wallet-v3")
TIME_S = 1_750_000_000  # of the session and invalid vectors


def vectors(kind: str) -> list[Any]:
    found = json.loads((FOLDER / f"{kind}.json").read_text())["vectors"]
    return [pytest.param(vector, id=vector["id"]) for vector in found]


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def address(text: str) -> Address:
    return Address(raw(text))


def lower(value: Any) -> Any:
    """JSON with addresses in small letters: in these forms their case says nothing."""
    return json.loads(json.dumps(value).lower())


def sign(key: str, digest: bytes) -> bytes:
    by = parse_recoverable(coincurve.PrivateKey(raw(key)).sign_recoverable(digest, hasher=None))
    return to_compact(by)


@pytest.mark.parametrize("vector", vectors("permission"))
def test_permission(vector: dict[str, Any]) -> None:
    session = permissions_from_json(vector["permissions"])
    assert lower(permissions_to_json(session)) == lower(vector["permissions"])
    assert session.encoded == raw(vector["encoded"])
    assert parse_permissions(session.encoded) == session
    assert image_hash(session) == raw(vector["leafHash"])
    assert session.value_usage_hash == raw(vector["valueUsageHash"])
    assert [each.encoded for each in session.permissions[:4]] == list(map(raw, vector["permissionEncodings"]))
    for wanted in vector["usageHashes"]:
        permission = session.permissions[wanted["permission"]]
        assert permission.rules[wanted["rule"]].cumulative == wanted["cumulative"]
        assert permission.usage_hash(session.signer, wanted["rule"]) == raw(wanted["hash"])


@pytest.mark.parametrize("vector", vectors("attestation"))
def test_attestation(vector: dict[str, Any]) -> None:
    attestation = attestation_from_json(vector["attestation"])
    assert lower(attestation.as_json()) == lower(vector["attestation"])
    assert attestation.encoded == raw(vector["encoded"])
    assert parse_attestation(attestation.encoded) == attestation
    assert attestation.hash == raw(vector["hash"])
    assert attestation.magic(address(vector["wallet"])) == raw(vector["magic"])
    given = vector["identitySignature"]
    assert sign(vector["identityKey"], attestation.hash) == raw(given["compact"])
    signature = parse_compact(raw(given["compact"]))
    assert signature == Signature(int(given["r"], 16), int(given["s"], 16), given["yParity"])
    signed = verify_attestation(attestation, signature, address(vector["identitySigner"]))
    assert signed.encoded == raw(vector["encoded"]) + raw(given["compact"])


def build(steps: dict[str, Any], blacklist: list[Address]) -> Tree:
    tree = configuration.new_tree(list(map(address, steps["identitySigners"])), blacklist)
    for session in steps["explicitSessions"]:
        tree = configuration.add(tree, permissions_from_json(session))
    if steps["removed"]:
        tree = configuration.remove_session(tree, address(steps["removed"]))
    return tree


@pytest.mark.parametrize("vector", vectors("session-config"))
def test_session_config(vector: dict[str, Any]) -> None:
    tree = tree_from_json(vector["topology"])
    configuration.validate_configuration(tree)
    assert lower(tree_to_json(tree)) == lower(vector["topology"])
    blacklist = [
        entry for leaf in leaves(tree) if isinstance(leaf, configuration.Blacklist) for entry in leaf.addresses
    ]
    assert build(vector["steps"], blacklist) == tree
    assert list(map(image_hash, leaves(tree))) == list(map(raw, vector["leafHashes"]))
    assert image_hash(tree) == raw(vector["imageHash"])
    assert encode_tree(tree) == raw(vector["encoded"])
    assert parse_tree(encode_tree(tree)) == tree


def call_signed(call: dict[str, Any], digest: bytes, identity: dict[str, str]) -> CallSigned:
    """The signature of the vector's key on a call hash, made here from its private key."""
    if "explicit" in call:
        key = call["explicit"]
        signature = parse_compact(sign(key["privateKey"], digest))
        return ExplicitCallSignature(address(key["signer"]), key["permissionIndex"], signature)
    key = call["implicit"]
    attestation = attestation_from_json(key["attestation"])
    signed_attestation = parse_compact(sign(identity["privateKey"], attestation.hash))
    signed = verify_attestation(attestation, signed_attestation, address(identity["address"]))
    return ImplicitCallSignature(signed, parse_compact(sign(key["privateKey"], digest)))


@pytest.mark.parametrize("vector", vectors("session-signature"))
def test_session_signature(vector: dict[str, Any]) -> None:
    wallet, chain_id = address(vector["wallet"]), vector["chainId"]
    payload = parse_payload(vector["payload"])
    assert isinstance(payload, CallsPayload)
    assert operation_hash(payload, wallet, chain_id) == raw(vector["payloadHash"])
    tree = tree_from_json(vector["topology"])
    calls = []
    for index, call in enumerate(vector["calls"]):
        digest = call_hash(operation_hash(payload, wallet, chain_id), index)
        assert digest == raw(call["hash"])
        assert call_hash_rc3(payload, index, chain_id) == raw(call["hashRc3"])
        assert call_hash_dev(payload, index, chain_id) == raw(call["hashDev"])
        calls.append(call_signed(call, digest, vector["identity"]))
        assert to_compact(calls[-1].signature) == raw(call["sessionSignature"])
    signature = assemble(tree, calls, address(vector["identity"]["address"]))
    assert signature.encoded == raw(vector["encoded"])
    assert parse_session_signature(signature.encoded) == signature

    operation = Operation(payload, wallet, chain_id)
    verified = verify_session(signature, operation, ChainState(chain_id, TIME_S))
    assert verified.image_hash == image_hash(tree) == raw(vector["imageHash"])
    assert set(verified.signers) == set(map(address, vector["explicitSigners"] + vector["implicitSigners"]))
    assert [request.index for request in verified.open_requests] == [
        index for index, call in enumerate(vector["calls"]) if "implicit" in call
    ]
    answers = {request.index: request.attestation.magic(wallet) for request in verified.open_requests}
    answered = verify_session(signature, operation, ChainState(chain_id, TIME_S, implicit_results=answers))
    assert not answered.open_requests


@pytest.mark.parametrize("vector", [each for each in vectors("invalid") if each.values[0]["check"] == "session"])
def test_session_that_the_contract_refuses(vector: dict[str, Any]) -> None:
    wallet, payload = address(vector["wallet"]), parse_payload(vector["payload"])
    unwilling = dict.fromkeys(range(8), bytes(32)) if vector["error"] == "InvalidImplicitResult" else {}
    state = ChainState(int(vector["chainId"]), int(vector["timestamp"]), implicit_results=unwilling)
    assert not isinstance(payload, RecoveryPayload)
    with pytest.raises(WalletError) as refused:
        SessionManager(state).recover(Operation(payload, wallet, state.chain_id), raw(vector["signature"]))
    assert refused.value.reason == vector["error"]


@pytest.mark.parametrize("vector", vectors("session-config"))
def test_session_config_minimised(vector: dict[str, Any]) -> None:
    tree = tree_from_json(vector["topology"])
    for wanted in vector["minimised"]:
        small = configuration.minimise(
            tree,
            signers=list(map(address, wanted["explicitSigners"])),
            identity_signer=address(wanted["identitySigner"]),
            implicit=bool(wanted["implicitSigners"]),
        )
        assert lower(tree_to_json(small)) == lower(wanted["topology"])
        assert encode_tree(small) == raw(wanted["encoded"])
        assert image_hash(small) == raw(vector["imageHash"])


@pytest.mark.parametrize("vector", vectors("recovery"))
def test_recovery_tree(vector: dict[str, Any]) -> None:
    tree = recovery.tree_from_json(vector["tree"])
    assert lower(recovery.tree_to_json(tree)) == lower(vector["tree"])
    found = list(leaves_of_recovery(tree))
    assert [leaf.hash for leaf in found] == list(map(raw, vector["leafHashes"]))
    assert found == list(map(recovery.leaf_from_json, vector["leaves"]))
    if not isinstance(tree, Branch) or Node not in (type(tree.left), type(tree.right)):  # some hide a part
        assert flat(found) == tree
    assert tree.hash == raw(vector["imageHash"])
    assert recovery.encode_tree(tree) == raw(vector["encoded"])
    assert recovery.parse_tree(raw(vector["encoded"])) == tree
    for wanted in vector["trimmed"]:
        small = trim(tree, address(wanted["signer"]))
        assert lower(recovery.tree_to_json(small)) == lower(wanted["tree"])
        assert recovery.encode_tree(small) == raw(wanted["encoded"])
        assert recovery.parse_tree(raw(wanted["encoded"])) == small
        assert small.hash == tree.hash


@pytest.mark.parametrize("vector", [each for each in vectors("recovery") if "queue" in each.values[0]])
def test_recovery_queue(vector: dict[str, Any]) -> None:
    wanted = vector["queue"]
    payload = parse_payload(wanted["payload"])
    assert not isinstance(payload, RecoveryPayload)
    chain_id = 0 if wanted["noChainId"] else wanted["chainId"]
    request = QueueRequest(address(wanted["wallet"]), address(wanted["signer"]), payload, chain_id)
    assert request.payload_hash == raw(wanted["payloadHash"])
    assert request.digest == raw(wanted["recoveryPayloadHash"])
    assert sign(wanted["privateKey"], request.digest) == raw(wanted["signature"])
    verified = verify_queue_request(request, raw(wanted["signature"]))
    if "calldata" in wanted:
        assert address(wanted["to"]) == RECOVERY_MODULE
        assert request.calldata(verified.signature) == raw(wanted["calldata"])

    tree = recovery.tree_from_json(vector["tree"])
    leaf = next(leaf for leaf in leaves_of_recovery(tree) if leaf.signer == request.signer)
    now_s = max(leaf.min_timestamp_s, 1)
    queued = queue({}, verified, now_s=now_s)
    shown = recovery.parse_tree(recovery.encode_tree(trim(tree, leaf.signer)))
    ready_s = now_s + leaf.required_delta_s
    assert verify_recovery(shown, request.payload_hash, queued, now_s=ready_s) == raw(vector["imageHash"])


@pytest.mark.parametrize("vector", [each for each in vectors("invalid") if each.values[0]["check"] == "recovery-queue"])
def test_queue_request_that_the_contract_refuses(vector: dict[str, Any]) -> None:
    payload = parse_payload(vector["payload"])
    assert not isinstance(payload, RecoveryPayload)
    request = QueueRequest(address(vector["wallet"]), address(vector["signer"]), payload, vector["chainId"])
    with pytest.raises(WalletError) as refused:
        verify_queue_request(request, raw(vector["signature"]))
    assert refused.value.reason == vector["error"]


@pytest.mark.parametrize("vector", vectors("default-wallet"))
def test_trees_of_a_new_wallet(vector: dict[str, Any]) -> None:
    """The module trees in the wallet kit's default configuration."""
    if vector.get("sessions"):
        tree = tree_from_json(vector["sessions"]["topology"])
        assert configuration.new_tree(configuration.identity_signers(tree)) == tree
        assert image_hash(tree) == raw(vector["sessions"]["imageHash"])
    if vector.get("recovery"):
        wanted = vector["recovery"]
        leaf = RecoveryLeaf(address(wanted["signer"]), int(wanted["requiredDeltaTime"]), int(wanted["minTimestamp"]))
        assert leaf.hash == raw(wanted["imageHash"])
