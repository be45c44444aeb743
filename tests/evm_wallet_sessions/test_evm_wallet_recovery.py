"""Recovery: the tree, what the module takes into its queue, and when it lets a wallet act."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evm.address import Address
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.wallet.compact import to_compact
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload, MessagePayload
from evm.wallet.recovery import queue as queue_format
from evm.wallet.recovery import tree as tree_format
from evm.wallet.recovery import tree_encoding
from evm.wallet.recovery.queue import QueueRequest, verify_queue_request
from evm.wallet.recovery.timelock import queue, ready_at_s, verify_recovery
from evm.wallet.recovery.tree import Branch, Node, RecoveryLeaf, Tree, flat, leaves, trim
from evm.wallet.recovery.tree_encoding import encode_tree, parse_tree, tree_from_json, tree_to_json
from evm.wallet.recovery.words import leaf_words, queued_words, tree_words

from .samples import ADDRESSES, APP, BOB, CALL, CHAIN_ID, NOW_S, OTHER, WALLET, refused

DAY_S = 86_400
LEAF = RecoveryLeaf(APP.address, DAY_S)
OTHERS = RecoveryLeaf(OTHER.address, 0, NOW_S)
NODE = Node(b"\x01" * 32)
LEAVES = st.builds(
    RecoveryLeaf, ADDRESSES, st.integers(0, tree_format.MAX_DELTA_TIME_S), st.integers(0, 2**64 - 1)
) | st.builds(Node, st.binary(min_size=32, max_size=32).filter(any))
TREES = st.recursive(LEAVES, lambda inner: st.builds(Branch, inner, inner), max_leaves=12)
REQUEST = QueueRequest(WALLET, APP.address, CallsPayload((CALL,)), CHAIN_ID)


def signed(request: QueueRequest, key: Any = APP) -> bytes:
    return to_compact(key.sign(request.digest))


VERIFIED = verify_queue_request(REQUEST, signed(REQUEST))


# --- tree ---


@given(TREES)
def test_tree_survives_both_encodings(found: Tree) -> None:
    assert parse_tree(encode_tree(found)) == found
    assert tree_from_json(tree_to_json(found)) == found


@given(st.lists(LEAVES, min_size=2, max_size=9))
def test_flat_tree_splits_in_halves_and_side_by_side_items_fold(members: list[Any]) -> None:
    half = len(members) // 2
    assert flat(members).hash == keccak256(flat(members[:half]).hash + flat(members[half:]).hash)
    folded = members[0].hash
    for member in members[1:]:
        folded = keccak256(folded + member.hash)
    assert parse_tree(b"".join(map(encode_tree, members))).hash == folded


@given(TREES, st.data())
def test_trimmed_tree_shows_one_key_and_has_the_same_hash(found: Tree, data: st.DataObject) -> None:
    signers = [leaf.signer for leaf in leaves(found)]
    if not signers:
        with refused(None, "wallet-recovery-tree-no-such-signer"):
            trim(found, BOB)
        return
    signer = data.draw(st.sampled_from(signers))
    small = trim(found, signer)
    assert small.hash == found.hash
    assert {leaf.signer for leaf in leaves(small)} == {signer}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", None),
        ("00", "InvalidSignatureFlag"),
        ("02", "InvalidSignatureFlag"),
        ("ff", "InvalidSignatureFlag"),
        ("03" + "01" * 31, None),
        ("03" + "00" * 32, None),
        ("01" + "00" * 31, None),
        ("01" + "11" * 30, None),
        ("03" + "01" * 32 + "04000000", None),
        ("03" + "01" * 32 + "04000022" + "03" + "01" * 32, None),
    ],
)
def test_bytes_that_are_no_tree(data: str, reason: str | None) -> None:
    with refused(reason, "wallet-recovery-tree"):
        parse_tree(bytes.fromhex(data))


def test_branch_in_the_first_place_is_neither_written_nor_read() -> None:
    """The contract would hash it with zeros on its left."""
    branch = Branch(LEAF, OTHERS)
    wrapped = b"\x04" + len(encode_tree(branch)).to_bytes(3, "big") + encode_tree(branch)
    assert not encode_tree(Branch(branch, branch)).startswith(b"\x04")
    with refused(None, "wallet-recovery-tree-branch-first"):
        parse_tree(wrapped + encode_tree(LEAF))
    with refused(None, "wallet-recovery-tree-branch-first"):
        parse_tree(encode_tree(LEAF) + b"\x04" + len(wrapped).to_bytes(3, "big") + wrapped)


def test_anybody_could_queue_for_the_zero_address() -> None:
    with refused(None, "wallet-recovery-tree-signer"):
        RecoveryLeaf(Address(bytes(20)), DAY_S)
    nobody = replace(REQUEST, signer=Address(bytes(20)))
    with refused(None, "wallet-recovery-signer"):
        verify_queue_request(nobody, bytes(64))


def test_times_have_the_width_of_the_encoding() -> None:
    full = RecoveryLeaf(BOB, 2**24 - 1, 2**64 - 1)
    assert parse_tree(encode_tree(full)) == full
    for delta_s, timestamp_s in ((2**24, 0), (-1, 0), (0, 2**64), (0, -1)):
        with refused(None, "wallet-recovery-tree"):
            RecoveryLeaf(BOB, delta_s, timestamp_s)


def test_tree_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deepest: Tree = LEAF
    for _ in range(tree_format.MAX_DEPTH):
        deepest = Branch(deepest, NODE)
    assert parse_tree(encode_tree(deepest)) == deepest
    assert tree_from_json(tree_to_json(deepest)) == deepest
    with refused(None, "wallet-recovery-tree-depth"):
        Branch(deepest, NODE)
    with refused(None, "wallet-recovery-tree-depth"):
        parse_tree(encode_tree(deepest) + encode_tree(NODE))
    with refused(None, "wallet-recovery-tree"):
        tree_from_json([tree_to_json(deepest), tree_to_json(NODE)])
    for module in (tree_format, tree_encoding):
        monkeypatch.setattr(module, "MAX_LEAVES", 3)
    assert tree_from_json(tree_to_json(flat([NODE] * 3)))
    with refused(None, "wallet-recovery-tree-leaves-count"):
        flat([NODE] * 4)
    with refused(None, "wallet-recovery-tree-leaves-count"):
        tree_from_json([["0x" + "01" * 32] * 2] * 2)
    data = encode_tree(LEAF)
    monkeypatch.setattr(tree_encoding, "MAX_TREE_BYTES", len(data) - 1)
    with refused(None, "wallet-recovery-tree-bytes"):
        parse_tree(data)


def test_depth_is_refused_before_it_is_followed() -> None:
    data, value = encode_tree(NODE), tree_to_json(NODE)
    for _ in range(900):
        data = encode_tree(NODE) + b"\x04" + len(data).to_bytes(3, "big") + data
        value = [tree_to_json(NODE), value]
    with refused(None, "wallet-recovery-tree-depth"):
        parse_tree(data)
    with refused(None, "wallet-recovery-tree-branch"):
        tree_from_json(value)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "branch"},
        {"more": 1},
        {"signer": "0x00"},
        {"requiredDeltaTime": str(2**24)},
        {"minTimestamp": "-1"},
        {"minTimestamp": None},
    ],
)
def test_json_that_is_no_leaf(changes: dict[str, Any]) -> None:
    with pytest.raises(EvmError):
        tree_from_json(tree_to_json(LEAF) | changes)
    for other in (None, 7, [], [tree_to_json(LEAF)], [tree_to_json(LEAF)] * 3, "0x00"):
        with pytest.raises(EvmError):
            tree_from_json(other)


# --- queue ---


def test_request_is_signed_over_the_recovery_hash_of_wallet_and_chain() -> None:
    plain = to_compact(APP.sign(REQUEST.payload_hash))
    for signature in (plain, signed(REQUEST, OTHER), signed(REQUEST)[:63], bytes(64), b""):
        with refused("InvalidSignature"):
            verify_queue_request(REQUEST, signature)
    for other in (replace(REQUEST, wallet=BOB), replace(REQUEST, chain_id=0), replace(REQUEST, chain_id=1)):
        with refused("InvalidSignature"):
            verify_queue_request(other, signed(REQUEST))


def test_contract_as_recovery_signer_is_asked_after_the_key() -> None:
    asked: list[tuple[Address, bytes, bytes]] = []

    def contract(answer: bool) -> queue_format.ContractSignature:
        def ask(*question: Any) -> bool:
            asked.append(question)
            return answer

        return ask

    verify_queue_request(REQUEST, signed(REQUEST), contract_signature=contract(False))
    assert not asked
    verify_queue_request(REQUEST, b"long or short", contract_signature=contract(True))
    assert asked == [(APP.address, REQUEST.digest, b"long or short")]
    with refused("InvalidSignature"):
        verify_queue_request(REQUEST, b"long or short", contract_signature=contract(False))


def test_signature_is_bounded() -> None:
    most = queue_format.MAX_SIGNATURE_BYTES
    verify_queue_request(REQUEST, bytes(most), contract_signature=lambda *_: True)
    with refused(None, "wallet-recovery-signature-bytes"):
        verify_queue_request(REQUEST, bytes(most + 1), contract_signature=lambda *_: True)
    with refused(None, "wallet-recovery-signature-bytes"):
        REQUEST.calldata(bytes(most + 1))


@pytest.mark.parametrize(
    "payload", [CallsPayload((CALL, Call(BOB))), MessagePayload(b"hi"), ConfigUpdatePayload(b"\1" * 32)]
)
def test_12_calldata_says_whether_the_chain_id_was_signed(payload: Any) -> None:
    """The client library always says that it was."""
    flag_at = 4 + 32 * 5
    for chain_id in (0, 1):
        data = replace(REQUEST, payload=payload, chain_id=chain_id).calldata(bytes(64))
        assert data[:4].hex() == "b05f87db"
        assert int.from_bytes(data[flag_at : flag_at + 32], "big") == (chain_id == 0)


def test_payload_is_queued_once_and_its_first_time_stays() -> None:
    queued = queue({}, VERIFIED, now_s=NOW_S)
    assert queued == {(APP.address, REQUEST.payload_hash): NOW_S}
    with refused("AlreadyQueued"):
        queue(queued, VERIFIED, now_s=NOW_S + 1)


# --- timelock ---


def test_payload_waits_its_time() -> None:
    queued = queue({}, VERIFIED, now_s=NOW_S)
    shown = trim(Branch(LEAF, OTHERS), APP.address)
    with refused("QueueNotReady"):
        verify_recovery(shown, REQUEST.payload_hash, queued, now_s=NOW_S + DAY_S - 1)
    assert verify_recovery(shown, REQUEST.payload_hash, queued, now_s=NOW_S + DAY_S) == Branch(LEAF, OTHERS).hash


def test_what_is_not_queued_or_by_another_key_never_becomes_ready() -> None:
    queued = queue({}, VERIFIED, now_s=NOW_S)
    for shown, payload_hash in ((LEAF, b"\1" * 32), (OTHERS, REQUEST.payload_hash), (NODE, REQUEST.payload_hash)):
        with refused("QueueNotReady"):
            verify_recovery(shown, payload_hash, queued, now_s=2**40)


def test_payload_queued_before_the_keys_first_time_never_becomes_ready() -> None:
    at_edge = RecoveryLeaf(APP.address, 0, NOW_S)
    queued = queue({}, VERIFIED, now_s=NOW_S)
    verify_recovery(at_edge, REQUEST.payload_hash, queued, now_s=NOW_S)
    with refused("QueueNotReady"):
        verify_recovery(replace(at_edge, min_timestamp_s=NOW_S + 1), REQUEST.payload_hash, queued, now_s=2**40)


def test_any_visible_leaf_that_is_ready_will_do() -> None:
    slow, fast = RecoveryLeaf(APP.address, DAY_S), RecoveryLeaf(APP.address, 0)
    queued = queue({}, VERIFIED, now_s=NOW_S)
    found = Branch(slow, fast)
    assert verify_recovery(found, REQUEST.payload_hash, queued, now_s=NOW_S) == found.hash


def test_queue_of_the_future_is_no_queue() -> None:
    with refused("Panic"):
        verify_recovery(LEAF, b"\1" * 32, {(APP.address, b"\1" * 32): NOW_S + 1}, now_s=NOW_S)
    with refused(None, "wallet-recovery-time"):
        queue({}, VERIFIED, now_s=0)


def test_ready_time() -> None:
    assert ready_at_s(LEAF, NOW_S) == NOW_S + DAY_S
    assert ready_at_s(LEAF, 0) is None
    assert ready_at_s(OTHERS, NOW_S - 1) is None


# --- words ---


def test_words_say_who_how_and_how_long() -> None:
    first, second, third, *how = tree_words(Branch(Branch(LEAF, OTHERS), NODE))
    assert "1 day after" in first
    assert "AT ONCE" in second
    assert "before 2025-06-15 15:06:40 UTC" in second
    assert third.endswith(": 1")
    assert "nonce" in how[-1]
    assert "194 days 4 hours 20 minutes 15 seconds" in leaf_words(RecoveryLeaf(BOB, 2**24 - 1))
    assert "Unix time 18446744073709551615" in leaf_words(RecoveryLeaf(BOB, 0, 2**64 - 1))


def test_words_of_a_queued_payload() -> None:
    assert queued_words(LEAF, NOW_S, now_s=NOW_S + 60).endswith("in 23 hours 59 minutes")
    assert "by anyone, since 2025-06-16 15:06:40 UTC" in queued_words(LEAF, NOW_S, now_s=NOW_S + DAY_S)
    assert "never" in queued_words(OTHERS, NOW_S - 1, now_s=NOW_S)
