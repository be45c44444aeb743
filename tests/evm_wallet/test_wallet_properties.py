"""Rules that hold for any configuration, payload and signature, on random input."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evm.address import Address
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.typed_data import parse_typed_data
from evm.wallet.configuration import Configuration, reachable_weight
from evm.wallet.configuration_json import (
    configuration_to_json,
    parse_configuration,
    parse_service_configuration,
    service_configuration_to_json,
)
from evm.wallet.deploy import parse_erc6492, wrap_erc6492
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation, operation_hash
from evm.wallet.packed_calls import pack_calls, parse_packed_calls
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.passkeys.signature import (
    PasskeySignature,
    encode_passkey_signature,
    encode_passkey_signature_abi,
    parse_passkey_signature,
)
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload, DigestPayload, MessagePayload, Payload
from evm.wallet.payload_json import parse_payload, payload_to_json, typed_data
from evm.wallet.signature.contracts import NoContracts
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import LeafSignature, contract_signature, fill, key_signature, sapient_signature
from evm.wallet.signature.merging import assemble, collected_weight, leaf_signatures, merge
from evm.wallet.signature.model import ChainedSignature, Signature, StaticSignature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from evm.wallet.topology import (
    AnyAddressSubdigestLeaf,
    Branch,
    NestedLeaf,
    NodeLeaf,
    SapientLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
    flat_tree,
    leaves_of,
)
from tests.evm.samples import damaged, json_values

from .samples import (
    ACCEPTED,
    KEYS,
    OPERATION,
    WALLET,
    TestChain,
    address_of,
    addresses,
    calls_payloads,
    configurations,
    hashes32,
    leaves,
    sign,
    topologies,
    weights,
)

PREFIXES = {
    SignerLeaf: b"Sequence signer:\n",
    SapientLeaf: b"Sequence sapient config:\n",
    SubdigestLeaf: b"Sequence static digest:\n",
    AnyAddressSubdigestLeaf: b"Sequence any address subdigest:\n",
    NestedLeaf: b"Sequence nested config:\n",
}
KEY_ADDRESSES = [address_of(key) for key in KEYS[:4]]
MODULE, CONTRACT = Address(b"\xdd" * 20), Address(b"\xcc" * 20)

payloads: st.SearchStrategy[Payload] = (
    calls_payloads
    | st.builds(MessagePayload, st.binary(max_size=80))
    | st.builds(ConfigUpdatePayload, hashes32)
    | st.builds(DigestPayload, hashes32)
)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def hashed(topology: Topology) -> bytes:
    """The table of leaves, written down once more."""
    match topology:
        case Branch(left=left, right=right):
            return keccak256(hashed(left) + hashed(right))
        case NodeLeaf():
            return topology.hash
        case SignerLeaf(address=address, weight=weight):
            body = address + word(weight)
        case SapientLeaf(address=address, weight=weight, image_hash=image_hash):
            body = address + word(weight) + image_hash
        case NestedLeaf(tree=tree, weight=weight, threshold=threshold):
            body = hashed(tree) + word(threshold) + word(weight)
        case SubdigestLeaf(digest=digest) | AnyAddressSubdigestLeaf(digest=digest):
            body = digest
    return keccak256(PREFIXES[type(topology)] + body)


@given(topologies)
def test_tree_hashes_pair_by_pair(topology: Topology) -> None:
    assert topology.hash == hashed(topology)


@given(st.lists(leaves, min_size=1, max_size=40))
def test_flat_tree_keeps_the_leaves_in_order_and_halves_them(given_leaves: list[Topology]) -> None:
    found = flat_tree(given_leaves)
    assert list(leaves_of(found)) == given_leaves

    def root(part: list[Topology]) -> bytes:
        if len(part) == 1:
            return part[0].hash
        half = len(part) // 2
        return keccak256(root(part[:half]) + root(part[half:]))

    assert found.hash == root(given_leaves)


@given(configurations)
def test_configuration_survives_both_json_forms(configuration: Configuration) -> None:
    assert parse_configuration(configuration_to_json(configuration)) == configuration
    assert parse_service_configuration(service_configuration_to_json(configuration)) == configuration


@given(configurations, st.data())
def test_signature_survives_encoding_and_recovers_its_configuration(
    configuration: Configuration, data: st.DataObject
) -> None:
    """Whatever is signed, the image hash that comes out is the configuration's."""
    given_signatures = data.draw(contract_answers(configuration))
    signature = Signature(
        configuration.threshold,
        configuration.checkpoint,
        fill(configuration.topology, given_signatures),
        data.draw(st.booleans()),
        configuration.asked_checkpointer,
        b"" if configuration.asked_checkpointer is None else data.draw(st.binary(max_size=20)),
    )
    encoded = encode_signature(signature)
    assert parse_signature(encoded) == signature
    with contextlib.suppress(WalletError):  # a checkpointer may say no
        found = recover(signature, OPERATION, TestChain())
        assert found.image_hash == configuration.image_hash
        assert found.weight == collected_weight(signature.items) <= reachable_weight(configuration.topology)


@st.composite
def contract_answers(draw: st.DrawFn, configuration: Configuration) -> list[LeafSignature]:
    """Answers for some leaves, which `TestChain` takes for right."""
    found: dict[Any, LeafSignature] = {}
    for leaf in leaves_of(configuration.topology):
        if isinstance(leaf, SignerLeaf) and draw(st.booleans()):
            found[leaf.address] = contract_signature(leaf.address, ACCEPTED + draw(st.binary(max_size=300)))
        elif isinstance(leaf, SapientLeaf) and draw(st.booleans()):
            data, compact = leaf.image_hash + draw(st.binary(max_size=300)), draw(st.booleans())
            given_answer = sapient_signature(leaf.address, leaf.image_hash, data, compact=compact)
            found[leaf.address, leaf.image_hash] = given_answer
    return list(found.values())


@st.composite
def signed_configurations(draw: st.DrawFn) -> tuple[Configuration, list[LeafSignature]]:
    """A tree of four keys, a contract and a module, with the answers of all."""
    image_hash = draw(hashes32)
    own: list[Topology] = [SignerLeaf(address, draw(weights)) for address in KEY_ADDRESSES]
    own += [
        SignerLeaf(CONTRACT, draw(weights)),
        SapientLeaf(MODULE, draw(weights), image_hash),
        NodeLeaf(draw(hashes32)),
    ]
    if draw(st.booleans()):
        own = [NestedLeaf(flat_tree(own[:3]), draw(weights), draw(st.integers(1, 400))), *own[3:]]
    configuration = Configuration(draw(st.integers(1, 400)), 7, flat_tree(draw(st.permutations(own))))
    answers = [
        key_signature(address, sign(key, OPERATION.digest)) for key, address in zip(KEYS, KEY_ADDRESSES, strict=False)
    ]
    answers.append(contract_signature(CONTRACT, ACCEPTED + draw(st.binary(max_size=40))))
    answers.append(sapient_signature(MODULE, image_hash, draw(st.binary(max_size=40)), compact=draw(st.booleans())))
    return configuration, answers


@settings(max_examples=50)
@given(signed_configurations(), st.data())
def test_partial_signatures_merge_to_the_same_bytes_in_any_order(
    signed: tuple[Configuration, list[LeafSignature]], data: st.DataObject
) -> None:
    configuration, answers = signed
    groups = data.draw(st.lists(st.sets(st.sampled_from(range(len(answers)))), min_size=1, max_size=4))
    partial = [
        encode_signature(assemble(configuration, OPERATION, [answers[index] for index in group])) for group in groups
    ]
    everything = [answers[index] for index in sorted(set().union(*groups))]
    expected = encode_signature(assemble(configuration, OPERATION, everything))
    for order in (partial, partial[::-1], data.draw(st.permutations(partial)), [*partial, *partial]):
        assert merge(configuration, OPERATION, order) == expected
    found = parse_signature(expected)
    assert isinstance(found, Signature)
    assert {leaf.signer for leaf in leaf_signatures(found, configuration, OPERATION)} == {
        leaf.signer for leaf in everything
    }


@settings(max_examples=30)
@given(signed_configurations(), st.permutations(range(6)))
def test_two_answers_of_one_signer_are_decided_the_same_way(
    signed: tuple[Configuration, list[LeafSignature]], order: list[int]
) -> None:
    configuration, answers = signed
    personal = PersonalMessage(OPERATION.digest, None).digest
    both = [*answers, key_signature(KEY_ADDRESSES[0], sign(KEYS[0], personal), eth_sign=True)]
    expected = encode_signature(assemble(configuration, OPERATION, both))
    assert encode_signature(assemble(configuration, OPERATION, [*[both[i] for i in order], both[6]])) == expected
    assert encode_signature(assemble(configuration, OPERATION, both[::-1])) == expected


@given(calls_payloads, st.booleans(), st.sampled_from([None, WALLET]))
def test_packed_calls_survive(payload: CallsPayload, minimal: bool, self_address: Any) -> None:
    packed = pack_calls(payload, self_address, minimal=minimal)
    assert parse_packed_calls(packed, WALLET) == payload
    assert len(pack_calls(payload, self_address, minimal=True)) <= len(packed)


@given(payloads, st.lists(addresses, max_size=3), st.integers(0, 2**64))
def test_payload_survives_json_and_its_document_has_its_digest(
    payload: Payload, parents: list[Any], chain_id: int
) -> None:
    payload = replace(payload, parent_wallets=tuple(parents))
    assert parse_payload(payload_to_json(payload)) == payload
    if isinstance(payload, DigestPayload):
        with pytest.raises(WalletError, match="wallet-digest-has-no-document"):
            typed_data(payload, WALLET, chain_id)
        return
    document = typed_data(payload, WALLET, chain_id)
    names = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
    document["types"]["EIP712Domain"] = [{"name": name, "type": type_} for name, type_ in names.items()]
    assert parse_typed_data(document).digest == operation_hash(payload, WALLET, chain_id)


@given(st.binary(max_size=200), addresses, st.binary(max_size=200))
def test_wrapped_signature_survives(signature: bytes, factory: Any, data: bytes) -> None:
    deploy = Call(factory, data=data)
    assert parse_erc6492(wrap_erc6492(signature, deploy)) == (signature, deploy)


@given(
    hashes32,
    hashes32,
    st.booleans(),
    st.none() | hashes32.filter(any),
    st.binary(max_size=300),
    st.binary(max_size=300),
)
def test_passkey_signature_survives_both_forms(
    x: bytes, y: bytes, verification: bool, metadata: bytes | None, authenticator: bytes, client: bytes
) -> None:
    key = PasskeyPublicKey(x, y, verification, metadata)
    signature = PasskeySignature(key, authenticator, client, len(client), len(client) // 2, x, y)
    assert parse_passkey_signature(encode_passkey_signature(signature)) == signature
    assert parse_passkey_signature(encode_passkey_signature_abi(signature)) == signature


@pytest.mark.parametrize(
    "parse",
    [
        parse_signature,
        parse_passkey_signature,
        parse_erc6492,
        lambda data: parse_packed_calls(data, WALLET),
        lambda data: recover(_not_static(data), OPERATION, NoContracts()),
    ],
    ids=["signature", "passkey", "erc6492", "packed calls", "recover"],
)
@given(data=st.binary(max_size=120) | st.binary(max_size=120).map(lambda data: b"\x04\x00\x01" + data))
def test_any_bytes_give_a_value_or_the_error_family(parse: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(EvmError):
        assert parse(data) is not None


@given(configurations.map(configuration_to_json), st.data())
def test_any_json_gives_a_value_or_the_error_family(whole: dict[str, Any], data: st.DataObject) -> None:
    value = data.draw(damaged(whole) | json_values)
    for parse in (parse_configuration, parse_service_configuration, parse_payload):
        with contextlib.suppress(EvmError):
            assert parse(value) is not None


def _not_static(data: bytes) -> Signature | ChainedSignature:
    found = parse_signature(data)
    if isinstance(found, StaticSignature):
        raise WalletError("wallet-signature-static")
    return found


def test_digest_names_wallet_chain_and_payload() -> None:
    digests = {
        OPERATION.digest,
        OPERATION.any_address_digest,
        Operation(OPERATION.payload, WALLET, 2).digest,
        Operation(OPERATION.payload, WALLET, 1, no_chain_id=True).digest,
        Operation(MessagePayload(b"other"), WALLET, 1).digest,
        Operation(MessagePayload(b"hello", (WALLET,)), WALLET, 1).digest,
    }
    assert len(digests) == 6
    with pytest.raises(WalletError, match="wallet-chain-id"):
        _ = Operation(OPERATION.payload, WALLET, 0).digest
