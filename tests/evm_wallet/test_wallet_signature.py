"""Rules of signatures that vectors show only in passing: chains, checkpointers, approvals, merging, hand-over forms."""

from dataclasses import replace
from typing import Any

import pytest

from evm.address import ZERO_ADDRESS, Address, checksum
from evm.errors import EvmError
from evm.wallet.compact import to_compact
from evm.wallet.configuration import Configuration
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import ConfigUpdatePayload
from evm.wallet.signature.contracts import NoContracts, Snapshot, StaticApproval
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import (
    LeafSignature,
    contract_signature,
    fill,
    key_signature,
    sapient_signature,
)
from evm.wallet.signature.merging import assemble, collected_weight, leaf_signatures, merge
from evm.wallet.signature.model import (
    ChainedSignature,
    KeySignature,
    SapientSignature,
    Signature,
    StaticSignature,
)
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from evm.wallet.signature.signature_json import parse_leaf_signature, parse_service_signature
from evm.wallet.signature.verifying import verify_signature, verify_static_signature
from evm.wallet.topology import Branch, NestedLeaf, NodeLeaf, SapientLeaf, SignerLeaf

from .samples import KEYS, NOW_S, OPERATION, WALLET, TestChain, address_of, answer, sign, two_of_two

NOBODY = NoContracts()
CHECKPOINTER = Address(b"\xc4" * 20)
STRANGER = Address(b"\x55" * 20)


def refusal(make: Any, *arguments: Any, **named: Any) -> WalletError:
    with pytest.raises(WalletError) as caught:
        make(*arguments, **named)
    return caught.value


def guarded(checkpoint: int) -> Configuration:
    """One key and a checkpointer."""
    return Configuration(1, checkpoint, SignerLeaf(address_of(KEYS[0]), 1), CHECKPOINTER)


def snapshot(image_hash: bytes, checkpoint: int) -> bytes:
    """What makes the echoing checkpointer name a configuration."""
    return image_hash + checkpoint.to_bytes(32, "big")


# --- checkpointers ---


@pytest.mark.parametrize(
    ("known", "at", "accepted"),
    [
        (bytes(32), 99, True),  # switched off
        (guarded(5).image_hash, 5, True),  # the same
        (b"\x01" * 32, 4, True),  # an older one
        (b"\x01" * 32, 5, False),
        (b"\x01" * 32, 6, False),
    ],
)
def test_checkpointer_has_a_word_on_a_plain_signature(known: bytes, at: int, accepted: bool) -> None:
    configuration = guarded(5)
    signature = assemble(configuration, OPERATION, [answer(KEYS[0], OPERATION)], snapshot(known, at))
    if accepted:
        assert recover(signature, OPERATION, TestChain()).image_hash == configuration.image_hash
    else:
        assert refusal(recover, signature, OPERATION, TestChain()).reason == "UnusedSnapshot"
    assert refusal(recover, signature, OPERATION, NOBODY).code == "wallet-contract-unknown"


@pytest.mark.parametrize(
    ("known", "at", "accepted"),
    [
        (bytes(32), 99, True),
        ("new", 7, True),
        ("old", 5, True),
        (b"\x01" * 32, 4, True),
        (b"\x01" * 32, 5, False),
        (b"\x01" * 32, 6, False),
    ],
)
def test_checkpointer_of_the_oldest_configuration_speaks_for_a_chain(known: Any, at: int, accepted: bool) -> None:
    new, old = two_of_two(checkpoint=7), guarded(5)
    named = {"new": new.image_hash, "old": old.image_hash}.get(known, known)
    signature = chain([new, old], snapshot(named, at))
    assert parse_signature(encode_signature(signature)) == signature
    if accepted:
        assert recover(signature, OPERATION, TestChain()).image_hash == old.image_hash
    else:
        assert refusal(recover, signature, OPERATION, TestChain()).reason == "UnusedSnapshot"


def test_newer_configuration_of_a_chain_names_its_checkpointer_without_asking_it() -> None:
    new, old = guarded(7), two_of_two(checkpoint=5)
    signature = chain([new, old])
    data = encode_signature(signature)
    assert parse_signature(data) == signature
    assert verify_signature(data, OPERATION, old.image_hash, NOBODY)
    asked = replace(signature.parts[0], checkpointer_data=b"data")
    assert refusal(ChainedSignature, (asked, *signature.parts[1:])).code == "wallet-signature-chain-checkpointer"


def test_oldest_configuration_cannot_bring_a_checkpointer_that_is_not_asked() -> None:
    """In the contract's loop the last part's own address would be taken, without a question to it."""
    signature = chain([two_of_two(checkpoint=7), guarded(5)], snapshot(bytes(32), 0))
    newer, oldest = (encode_signature(part) for part in signature.parts)
    head = oldest[:1] + CHECKPOINTER + oldest[1 + 20 + 3 + 64 :]
    data = b"\x01" + b"".join(len(part).to_bytes(3, "big") + part for part in (newer, head))
    assert refusal(parse_signature, data).code == "wallet-signature-chain-checkpointer"


def chain(newest_first: list[Configuration], data: bytes = b"") -> ChainedSignature:
    parts, payload = [], OPERATION.payload
    for configuration in newest_first:
        operation = Operation(payload, WALLET, 1, no_chain_id=payload is not OPERATION.payload)
        keys = KEYS[: configuration.threshold]
        oldest = configuration is newest_first[-1]
        given = [answer(key, operation) for key in keys]
        parts.append(assemble(configuration, operation, given, data if oldest else b""))
        payload = ConfigUpdatePayload(configuration.image_hash)
    return ChainedSignature(tuple(parts))


# --- chains ---


def test_chain_of_five_holds_and_each_broken_link_is_refused() -> None:
    configurations = [two_of_two(checkpoint=checkpoint) for checkpoint in (9, 8, 6, 5, 0)]
    signature = chain(configurations)
    root = configurations[-1].image_hash
    found = verify_signature(encode_signature(signature), OPERATION, root, NOBODY)
    assert found.operation == OPERATION
    for index in range(1, 5):
        without = ChainedSignature(signature.parts[:index] + signature.parts[index + 1 :])
        code = "wallet-signature-image-hash"
        assert refusal(verify_signature, encode_signature(without), OPERATION, root, NOBODY).code == code


def test_chain_reports_the_weight_of_the_oldest_and_the_digest_of_the_payload() -> None:
    signature = chain([two_of_two(checkpoint=2), replace(two_of_two(checkpoint=1), threshold=1)])
    found = recover(signature, OPERATION, NOBODY)
    assert (found.threshold, found.weight, found.checkpoint, found.digest) == (1, 1, 1, OPERATION.digest)


# --- forms ---


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("80", None),
        ("82", None),
        ("8000", "wallet-signature-length"),
        ("81", "wallet-signature-unused-bits"),
        ("c0", "wallet-signature-unused-bits"),
        ("03", "wallet-signature-unused-bits"),
        ("05", "wallet-signature-unused-bits"),
        ("0400", "wallet-signature-short"),
        ("000131" + "00" * 32, "wallet-signature-unused-bits"),
        ("000151" + "00" * 32, "wallet-signature-unused-bits"),
        ("000181" + "00" * 32, "wallet-signature-unused-bits"),
        ("0001b0", "wallet-signature-flag"),
        ("0001f0", "wallet-signature-flag"),
        ("000101" + "00" * 63, "wallet-signature-short"),
        ("000111" + "00" * 19, "wallet-signature-short"),
        ("00014105", "wallet-signature-short"),
        ("000125" + "00" * 20 + "05", "wallet-signature-short"),
        ("4000", "wallet-signature-short"),
        ("01000001", "wallet-signature-short"),
        ("0100000180", "wallet-signature-unused-bits"),
        ("0100000101", "wallet-signature-chain-nested"),
    ],
)
def test_form_of_a_signature(data: str, code: str | None) -> None:
    if code is None:
        assert isinstance(parse_signature(bytes.fromhex(data)), StaticSignature)
    else:
        assert refusal(parse_signature, bytes.fromhex(data)).code == code


# --- approvals in storage ---


class Approving(TestChain):
    """A wallet that approved of one digest."""

    def __init__(self, digest: bytes, approval: StaticApproval) -> None:
        self.digest, self.given = digest, approval

    def static_signature(self, wallet: Address, digest: bytes, /) -> StaticApproval:  # type: ignore[override]
        return self.given if (wallet, digest) == (WALLET, self.digest) else StaticApproval(Address(bytes(20)), 0)


def test_static_signature_holds_until_its_time_and_for_its_caller() -> None:
    anyone = Approving(OPERATION.digest, StaticApproval(Address(bytes(20)), NOW_S + 1))
    found = verify_static_signature(b"\x80", OPERATION, anyone, caller=STRANGER, now_s=NOW_S)
    assert found == OPERATION
    late = refusal(verify_static_signature, b"\x80", OPERATION, anyone, caller=STRANGER, now_s=NOW_S + 1)
    assert late.reason == "InvalidStaticSignatureExpired"
    everywhere = refusal(verify_static_signature, b"\x82", OPERATION, anyone, caller=STRANGER, now_s=NOW_S)
    assert everywhere.reason == "InvalidStaticSignatureExpired"
    someone = Approving(OPERATION.digest, StaticApproval(WALLET, NOW_S + 1))
    assert verify_static_signature(b"\x80", OPERATION, someone, caller=WALLET, now_s=NOW_S)
    other = refusal(verify_static_signature, b"\x80", OPERATION, someone, caller=STRANGER, now_s=NOW_S)
    assert other.reason == "InvalidStaticSignatureWrongCaller"


def test_static_and_other_signatures_are_not_taken_for_one_another() -> None:
    assert refusal(verify_signature, b"\x80", OPERATION, bytes(32), NOBODY).code == "wallet-signature-static"
    data = encode_signature(assemble(two_of_two(), OPERATION, []))
    found = refusal(verify_static_signature, data, OPERATION, NOBODY, caller=WALLET, now_s=0)
    assert found.code == "wallet-signature-not-static"
    unknown = refusal(verify_static_signature, b"\x80", OPERATION, NOBODY, caller=WALLET, now_s=0)
    assert unknown.code == "wallet-contract-unknown"


# --- filling and merging ---


def test_signer_listed_twice_counts_twice() -> None:
    leaf = SignerLeaf(address_of(KEYS[0]), 3)
    signature = assemble(Configuration(6, 0, Branch(leaf, leaf)), OPERATION, [answer(KEYS[0], OPERATION)])
    assert recover(signature, OPERATION, NOBODY).weight == 6


def test_answer_of_another_key_or_to_another_question_is_refused() -> None:
    other = Operation(OPERATION.payload, WALLET, 2)
    forged = LeafSignature(address_of(KEYS[0]), KeySignature(0, to_compact(sign(KEYS[1], OPERATION.digest))))
    for given in (answer(KEYS[0], other), forged):
        assert refusal(assemble, two_of_two(), OPERATION, [given]).code == "wallet-leaf-signature"
    stranger = answer(KEYS[5], OPERATION)
    assert refusal(assemble, two_of_two(), OPERATION, [stranger]).code == "wallet-leaf-signer-unknown"


def test_sapient_answer_needs_the_image_hash_of_its_leaf() -> None:
    configuration = Configuration(1, 0, SapientLeaf(WALLET, 1, b"\x01" * 32))
    wrong = sapient_signature(WALLET, b"\x02" * 32, b"", compact=False)
    assert refusal(assemble, configuration, OPERATION, [wrong]).code == "wallet-leaf-signer-unknown"
    assert refusal(LeafSignature, WALLET, SapientSignature(WALLET, 1, b"")).code == "wallet-leaf-signature"
    assert refusal(LeafSignature, WALLET, KeySignature(1, bytes(64)), bytes(32)).code == "wallet-leaf-signature"


def test_nested_weight_counts_from_its_threshold_on() -> None:
    tree = NestedLeaf(Branch(SignerLeaf(address_of(KEYS[0]), 1), SignerLeaf(address_of(KEYS[1]), 1)), 7, 2)
    half = fill(tree, [answer(KEYS[0], OPERATION)])
    whole = fill(tree, [answer(key, OPERATION) for key in KEYS[:2]])
    assert (collected_weight(half), collected_weight(whole)) == (0, 7)


@pytest.mark.parametrize(
    "changed",
    [
        replace(two_of_two(), threshold=1),
        two_of_two(checkpoint=1),
        replace(two_of_two(), checkpointer=CHECKPOINTER),
        Configuration(2, 0, Branch(SignerLeaf(address_of(KEYS[0]), 2), SignerLeaf(address_of(KEYS[1]), 1))),
        Configuration(2, 0, Branch(SignerLeaf(STRANGER, 1), SignerLeaf(address_of(KEYS[1]), 1))),
        Configuration(2, 0, SignerLeaf(address_of(KEYS[0]), 1)),
        Configuration(2, 0, Branch(NodeLeaf(bytes(32)), SignerLeaf(address_of(KEYS[1]), 1))),
    ],
)
def test_partial_signature_of_another_configuration_is_not_merged(changed: Configuration) -> None:
    partial = encode_signature(assemble(two_of_two(), OPERATION, [answer(KEYS[0], OPERATION)]))
    found = refusal(merge, changed, OPERATION, [partial])
    assert found.code in ("wallet-merge-configuration", "wallet-leaf-signature")


def test_hidden_part_is_merged_with_the_shown_one() -> None:
    """Another signer may have replaced what it did not sign by its hash."""
    configuration = Configuration(2, 0, Branch(two_of_two().topology, NestedLeaf(two_of_two().topology, 1, 1)))
    full = encode_signature(assemble(configuration, OPERATION, [answer(KEYS[0], OPERATION)]))
    hidden = Signature(2, 0, (*two_of_two_items(), NodeLeaf(NestedLeaf(two_of_two().topology, 1, 1).hash)))
    merged = merge(configuration, OPERATION, [encode_signature(hidden), full])
    expected = assemble(configuration, OPERATION, [answer(key, OPERATION) for key in KEYS[:2]])
    assert merged == encode_signature(expected)
    lying = Signature(2, 0, (*two_of_two_items(), NodeLeaf(bytes(32))))
    assert refusal(merge, configuration, OPERATION, [encode_signature(lying)]).code == "wallet-merge-configuration"


def two_of_two_items() -> tuple[Any, ...]:
    return fill(two_of_two().topology, [answer(KEYS[1], OPERATION)])


def test_only_signatures_of_one_configuration_merge() -> None:
    chained = encode_signature(chain([two_of_two(checkpoint=1), two_of_two()]))
    for data in (chained, b"\x80"):
        assert refusal(merge, two_of_two(), OPERATION, [data]).code == "wallet-merge-kind"
    everywhere = replace(OPERATION, no_chain_id=True)
    partial = assemble(two_of_two(), everywhere, [])
    assert refusal(leaf_signatures, partial, two_of_two(), OPERATION).code == "wallet-merge-configuration"
    one, other = (encode_signature(assemble(guarded(1), OPERATION, [], data)) for data in (b"1", b"2"))
    assert refusal(merge, guarded(1), OPERATION, [one, other]).code == "wallet-merge-checkpointer"


# --- hand-over forms ---


def test_signature_of_a_service_is_65_bytes() -> None:
    signature = sign(KEYS[0], OPERATION.digest)
    found = parse_service_signature(address_of(KEYS[0]), bytes(signature))
    assert found == key_signature(address_of(KEYS[0]), signature)
    with pytest.raises(EvmError, match="signature-format"):
        parse_service_signature(address_of(KEYS[0]), bytes(signature)[:64])


GOOD: dict[str, Any] = {
    "address": checksum(WALLET),
    "signature": {"type": "erc1271", "address": checksum(WALLET), "data": "0x01"},
}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"address": GOOD["address"]},
        {"signature": GOOD["signature"]},
        GOOD | {"imageHash": "0x" + "00" * 32},
        GOOD | {"address": checksum(STRANGER)},
        GOOD | {"signature": GOOD["signature"] | {"type": "other"}},
        GOOD | {"signature": GOOD["signature"] | {"type": "sapient"}},
        GOOD | {"signature": GOOD["signature"] | {"data": "01"}},
        GOOD | {"signature": {"type": "hash", "r": "0x" + "01" * 32, "s": "0x" + "01" * 32}},
        GOOD | {"signature": {"type": "hash", "r": "0x01", "s": "0x" + "01" * 32, "yParity": 0}},
        GOOD | {"signature": {"type": "hash", "r": "0x" + "01" * 32, "s": "0x" + "01" * 32, "yParity": 2}},
        GOOD | {"signature": {"type": "hash", "r": "0x" + "01" * 32, "s": "0x" + "ff" * 32, "yParity": 0}},
    ],
)
def test_malformed_hand_over_is_refused(value: object) -> None:
    assert parse_leaf_signature(GOOD) == contract_signature(WALLET, b"\x01")
    with pytest.raises(EvmError):
        parse_leaf_signature(value)


def test_checkpointer_at_the_zero_address_is_none() -> None:
    """It is hashed like none; the contract, told to ask it, would revert."""
    configuration = replace(two_of_two(), checkpointer=ZERO_ADDRESS)
    assert configuration.image_hash == two_of_two().image_hash
    given = [answer(key, OPERATION) for key in KEYS[:2]]
    data = encode_signature(assemble(configuration, OPERATION, given))
    assert data == encode_signature(assemble(two_of_two(), OPERATION, given))
    assert merge(configuration, OPERATION, [data]) == data
    asking = bytes([data[0] | 0x40]) + bytes(20 + 3) + data[1:]
    assert refusal(parse_signature, asking).code == "wallet-signature-checkpointer"


def test_snapshot_is_not_asked_for_without_a_checkpointer() -> None:
    class Counting(TestChain):
        asked = 0

        def snapshot_for(self, *_: object) -> Snapshot:
            self.asked += 1
            return Snapshot(bytes(32), 0)

    counting = Counting()
    recover(assemble(two_of_two(), OPERATION, []), OPERATION, counting)
    assert counting.asked == 0
    recover(assemble(guarded(1), OPERATION, []), OPERATION, counting)
    assert counting.asked == 1
