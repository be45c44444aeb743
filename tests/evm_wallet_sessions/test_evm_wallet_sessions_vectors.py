"""Sessions, attestations and recovery against the published library and the deployed contracts: the shared vectors."""

import json
from typing import Any

import coincurve
import pytest

from evm.address import Address
from evm.signature import Signature, parse_recoverable
from evm.wallet.attestation import attestation_from_json, parse_attestation, verify_attestation
from evm.wallet.compact import parse_compact, to_compact
from evm.wallet.sessions import configuration
from evm.wallet.sessions.configuration import Tree, image_hash, leaves
from evm.wallet.sessions.permission import parse_permissions
from evm.wallet.sessions.session_json import (
    permissions_from_json,
    permissions_to_json,
    tree_from_json,
    tree_to_json,
)
from evm.wallet.sessions.tree_encoding import encode_tree, parse_tree
from tests.vectors import folder

FOLDER = folder("wallet-v3")


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
    assert (signature.r, signature.s, signature.y_parity) == (
        int(given["r"], 16),
        int(given["s"], 16),
        given["yParity"],
    )
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
