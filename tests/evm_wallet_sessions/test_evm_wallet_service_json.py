"""Session and recovery trees as the state service keeps them."""

from typing import Any

import pytest
from hypothesis import given

from evm.errors import EvmError
from evm.keccak import keccak256
from evm.wallet import generic_tree
from evm.wallet.recovery import service_json as recovery
from evm.wallet.recovery import tree as recovery_tree
from evm.wallet.sessions import service_json as sessions
from evm.wallet.sessions.configuration import Tree, image_hash

from .samples import APP, TREES, refused, tree
from .test_evm_wallet_recovery import TREES as RECOVERY_TREES

HASH = "0x" + "01" * 32


def generic_hash(value: Any) -> bytes:
    """As the service hashes what it keeps, knowing nothing about it."""
    if isinstance(value, str):
        return bytes.fromhex(value[2:])
    if isinstance(value, dict):
        return keccak256(bytes.fromhex(value["data"][2:]))
    first, *rest = map(generic_hash, value)
    for each in rest:
        first = keccak256(first + each)
    return first


@given(TREES)
def test_session_tree_survives_and_has_the_same_hash_there(found: Tree) -> None:
    kept = sessions.tree_to_service(found)
    assert generic_hash(kept) == image_hash(found)
    assert sessions.tree_from_service(kept) == found


@given(RECOVERY_TREES)
def test_recovery_tree_survives_and_has_the_same_hash_there(found: recovery_tree.Tree) -> None:
    kept = recovery.tree_to_service(found)
    assert generic_hash(kept) == found.hash
    assert recovery.tree_from_service(kept) == found


def test_recovery_branch_of_three_folds() -> None:
    three = [HASH, recovery.tree_to_service(recovery_tree.RecoveryLeaf(APP.address, 1)), HASH]
    assert recovery.tree_from_service(three).hash == generic_hash(three)


@pytest.mark.parametrize("parse", [sessions.tree_from_service, recovery.tree_from_service])
@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        [HASH],
        "0x01",
        {},
        {"data": "0x"},
        {"data": 1},
        {"data": "0x00"},
        {"data": "0x05" + "11" * 20},
        {"data": "0x04" + "11" * 19},
        {"data": "0x04" + "11" * 21},
        {"data": "0x03" + "11" * 19},
        {"data": "0x04" + "11" * 20, "more": 1},
        {"data": "0x" + recovery_tree.RecoveryLeaf(APP.address, 1).preimage.hex() + "00"},
        {"data": "0x" + recovery_tree.RecoveryLeaf(APP.address, 1).preimage.hex()[:-2]},
        {"data": "0x" + recovery_tree.LEAF_PREFIX.hex() + "11" * 20 + "ff" * 64},
    ],
)
def test_json_that_is_no_tree(parse: Any, value: Any) -> None:
    with pytest.raises(EvmError):
        parse(value)


def test_tree_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = HASH
    for _ in range(generic_tree.MAX_DEPTH):
        deep = [deep, HASH]
    assert sessions.tree_from_service(deep)
    with refused(None, "wallet-generic-tree-branch"):
        sessions.tree_from_service([deep, HASH])
    monkeypatch.setattr(generic_tree, "MAX_LEAVES", 3)
    assert sessions.tree_from_service([HASH, [HASH, HASH]])
    with refused(None, "wallet-generic-tree-leaves-count"):
        sessions.tree_from_service([[HASH, HASH], [HASH, HASH]])
    leaf = sessions.tree_to_service(tree())[1]
    monkeypatch.setattr(generic_tree, "MAX_LEAF_BYTES", 3)
    with pytest.raises(EvmError):
        sessions.tree_from_service(leaf)
