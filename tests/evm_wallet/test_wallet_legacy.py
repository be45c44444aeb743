"""Wallets of the first and second generation: vectors of their client library, and what is refused."""

from typing import Any

import coincurve
import pytest

from evm.address import Address, checksum
from evm.errors import EvmError
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.wallet.errors import WalletError
from evm.wallet.legacy import context
from evm.wallet.legacy.digests import (
    GUEST,
    SELF,
    LegacyCall,
    approval_digest,
    bundle_digest,
    bundle_nonce,
    subdigest,
)
from evm.wallet.legacy.embedded import (
    adopted_configuration,
    embedded_address,
    embedded_configuration,
    parent_subdigest,
    unique_signer,
)
from evm.wallet.legacy.signer import key_signature, recover_signer, verify_signer
from evm.wallet.legacy.v1 import V1Configuration, V1Signer, encode_v1_signature, recover_v1, verify_v1
from evm.wallet.legacy.v2_configuration import V2Configuration, hash_v2_topology, v2_simple_tree
from evm.wallet.legacy.v2_signature import encode_v2_chain, encode_v2_signature, recover_v2, verify_v2
from evm.wallet.topology import Branch, NestedLeaf, NodeLeaf, SapientLeaf, SignerLeaf, SubdigestLeaf

from .samples import KEYS, WALLET, B, address_of, sign, vectors

DIGEST = keccak256(b"what is signed")
CHAIN = 1
LEFT, RIGHT = SignerLeaf(address_of(KEYS[0]), 2), SignerLeaf(address_of(KEYS[1]), 1)


def signatures(keys: list[coincurve.PrivateKey], digest: bytes) -> dict[Address, bytes]:
    """As in the vectors: every other key signs as a personal message."""
    found = {}
    for index, key in enumerate(keys):
        personal = index % 2 == 1
        signed = PersonalMessage(digest, None).digest if personal else digest
        found[address_of(key)] = key_signature(sign(key, signed), eth_sign=personal)
    return found


def each() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in vectors("legacy")])


@each()
def test_first_generation(vector: dict[str, Any]) -> None:
    expected, keys = vector["v1"], [coincurve.PrivateKey(B(key["privateKey"])) for key in vector["keys"]]
    listed = expected["config"]["signers"]
    signers = tuple(V1Signer(B(signer["address"]), signer["weight"]) for signer in listed)
    found = V1Configuration(expected["config"]["threshold"], signers)
    assert found.image_hash == B(expected["imageHash"])
    wallet = context.V1.wallet_address(found.image_hash)
    assert checksum(wallet) == expected["wallet"]
    digest = subdigest(vector["chainId"], wallet, B(vector["digest"]))
    assert digest == B(expected["subdigest"])
    encoded = encode_v1_signature(found, signatures(keys, digest))
    assert encoded == B(expected["signature"])
    assert verify_v1(encoded, digest, found.image_hash) == found


@each()
def test_second_generation(vector: dict[str, Any]) -> None:
    expected, keys = vector["v2"], [coincurve.PrivateKey(B(key["privateKey"])) for key in vector["keys"]]
    listed = [SignerLeaf(B(signer["address"]), signer["weight"]) for signer in expected["config"]["signers"]]
    config = expected["config"]
    found = V2Configuration(config["threshold"], config["checkpoint"], v2_simple_tree(listed))
    assert found.image_hash == B(expected["imageHash"])
    wallet = context.V2.wallet_address(found.image_hash)
    assert checksum(wallet) == expected["wallet"]
    digest = subdigest(vector["chainId"], wallet, B(vector["digest"]))
    assert digest == B(expected["subdigest"])
    encoded = encode_v2_signature(found, signatures(keys, digest), no_chain_id=vector["chainId"] == 0)
    assert encoded == B(expected["signature"])
    verify_v2(encoded, B(vector["digest"]), wallet, vector["chainId"], found.image_hash)
    assert approval_digest(found.image_hash) == B(expected["approval"]["digest"])


@each()
def test_embedded_wallet(vector: dict[str, Any]) -> None:
    expected = vector["embedded"]
    parent = B(expected["parent"])
    unique = unique_signer(expected["user"], B(expected["userSalt"]))
    assert unique == B(expected["uniqueSigner"])
    found = embedded_configuration(parent, unique)
    assert found.image_hash == B(expected["imageHash"])
    wallet = embedded_address(found)
    assert checksum(wallet) == expected["wallet"]
    assert subdigest(vector["chainId"], wallet, B(vector["digest"])) == B(expected["childSubdigest"])
    signed = parent_subdigest(vector["chainId"], parent, wallet, B(vector["digest"]))
    assert signed == B(expected["parentSubdigest"])
    key = coincurve.PrivateKey(B(expected["privateKey"]))
    assert key_signature(sign(key, signed)) == B(expected["signature"])


def configuration(checkpoint: int = 5, threshold: int = 3) -> V2Configuration:
    return V2Configuration(threshold, checkpoint, Branch(LEFT, RIGHT))


def signed(found: V2Configuration, digest: bytes, *, keys: int = 2, **flags: bool) -> bytes:
    chain_id = 0 if flags.get("no_chain_id") else CHAIN
    return encode_v2_signature(found, signatures(KEYS[:keys], subdigest(chain_id, WALLET, digest)), **flags)


def refused(data: bytes, image_hash: bytes, digest: bytes = DIGEST, chain_id: int = CHAIN) -> str:
    with pytest.raises(EvmError) as caught:
        verify_v2(data, digest, WALLET, chain_id, image_hash)
    return caught.value.code


def test_signature_of_one_configuration() -> None:
    found = configuration()
    data = signed(found, DIGEST)
    assert verify_v2(data, DIGEST, WALLET, CHAIN, found.image_hash).weight == 3
    assert refused(data, found.image_hash, chain_id=2) == "wallet-signature-image-hash"
    assert refused(data, found.image_hash, keccak256(b"another")) == "wallet-signature-image-hash"
    assert refused(data, configuration(6).image_hash) == "wallet-signature-image-hash"
    assert refused(signed(found, DIGEST, keys=1), found.image_hash) == "wallet-signature-weight-low"
    everywhere = signed(found, DIGEST, no_chain_id=True)
    assert verify_v2(everywhere, DIGEST, WALLET, 77, found.image_hash)


def test_threshold_of_two_bytes_has_a_kind_of_its_own() -> None:
    found = V2Configuration(300, 0, Branch(SignerLeaf(LEFT.address, 200), SignerLeaf(RIGHT.address, 100)))
    data = signed(found, DIGEST)
    assert data[0] == 1
    assert verify_v2(data, DIGEST, WALLET, CHAIN, found.image_hash).threshold == 300


def test_every_kind_of_leaf() -> None:
    contract = Address(b"\xcc" * 20)
    approved = SubdigestLeaf(subdigest(CHAIN, WALLET, DIGEST))
    nested = NestedLeaf(Branch(LEFT, SignerLeaf(contract, 1)), weight=4, threshold=3)
    hidden = NodeLeaf(hash_v2_topology(Branch(RIGHT, RIGHT)))
    found = V2Configuration(4, 1, Branch(nested, hidden))
    leaf_signatures = {
        **signatures(KEYS[:1], approved.digest),
        contract: b"data\x03",
    }
    data = encode_v2_signature(found, leaf_signatures)
    asked = []

    def ask(signer: Address, digest: bytes, given: bytes) -> bool:
        asked.append((signer, digest, given))
        return True

    assert verify_v2(data, DIGEST, WALLET, CHAIN, found.image_hash, ask).weight == 4
    assert asked == [(contract, approved.digest, b"data")]
    assert refused(data, found.image_hash) == "wallet-contract-unknown"
    alone = V2Configuration(60000, 1, Branch(approved, RIGHT))
    assert verify_v2(encode_v2_signature(alone, {}), DIGEST, WALLET, CHAIN, alone.image_hash).weight == 2**256 - 1


def test_chain_of_configurations() -> None:
    old, middle, new = (configuration(checkpoint) for checkpoint in (5, 6, 7))
    parts = [signed(new, DIGEST)]
    parts += [
        signed(older, approval_digest(newer.image_hash), no_chain_id=True)
        for older, newer in ((middle, new), (old, middle))
    ]
    assert verify_v2(encode_v2_chain(parts), DIGEST, WALLET, CHAIN, old.image_hash).checkpoint == 5
    assert refused(encode_v2_chain(parts[:2]), old.image_hash) == "wallet-signature-image-hash"
    assert refused(encode_v2_chain([parts[0], parts[0]]), old.image_hash) == "wallet-signature-chain-order"
    assert refused(encode_v2_chain([]), old.image_hash) == "wallet-signature-chain-length"
    assert refused(encode_v2_chain([parts[0]] * 65), old.image_hash) == "wallet-signature-chain-order"
    inside = encode_v2_chain([encode_v2_chain(parts)])
    assert refused(inside, old.image_hash) == "wallet-signature-chain-nested"
    light = signed(new, DIGEST, keys=1)
    assert refused(encode_v2_chain([light]), old.image_hash) == "wallet-signature-chain-weight"


@pytest.mark.parametrize("kind", [b"\x04", b"\xff"])
def test_unknown_kinds_are_refused(kind: bytes) -> None:
    found = configuration()
    assert refused(kind + signed(found, DIGEST), found.image_hash) == "wallet-signature-flag"
    assert refused(signed(found, DIGEST) + b"\x07", found.image_hash) == "wallet-signature-flag"
    assert refused(signed(found, DIGEST)[:-1], found.image_hash) == "wallet-signature-short"


def test_signature_of_a_key_has_low_s_and_a_known_type() -> None:
    data = key_signature(sign(KEYS[0], DIGEST))
    assert recover_signer(data, DIGEST) == address_of(KEYS[0])
    for bad in (data[:-1] + b"\x04", data[:-1] + b"\x03", data[:-1], data[:64] + b"\x1d\x01"):
        with pytest.raises(EvmError):
            recover_signer(bad, DIGEST)
    verify_signer(address_of(KEYS[0]), data, DIGEST, lambda *_: False)
    for signer, given in ((address_of(KEYS[1]), data), (address_of(KEYS[0]), b""), (WALLET, b"x\x03")):
        with pytest.raises(WalletError, match="wallet-legacy-signature"):
            verify_signer(signer, given, DIGEST, lambda *_: False)


def test_first_generation_is_refused_below_the_threshold_and_for_another_list() -> None:
    signers = (V1Signer(address_of(KEYS[0]), 2), V1Signer(address_of(KEYS[1]), 1))
    found = V1Configuration(3, signers)
    data = encode_v1_signature(found, signatures(KEYS[:1], DIGEST))
    with pytest.raises(WalletError, match="weight-low"):
        verify_v1(data, DIGEST, found.image_hash)
    whole = encode_v1_signature(found, signatures(KEYS[:2], DIGEST))
    with pytest.raises(WalletError, match="image-hash"):
        verify_v1(whole, DIGEST, V1Configuration(3, signers[::-1]).image_hash)
    with pytest.raises(WalletError, match="signer-unknown"):
        encode_v1_signature(found, signatures(KEYS[:3], DIGEST))
    with pytest.raises(WalletError, match="wallet-signature-flag"):
        recover_v1(whole + b"\x03\x01", DIGEST)
    contract = V1Configuration(1, (V1Signer(WALLET, 1),))
    data = encode_v1_signature(contract, {WALLET: b"data\x03"})
    assert recover_v1(data, DIGEST, lambda *_: True) == (contract, 1)


def test_bundles_differ_by_each_of_their_parts() -> None:
    call = LegacyCall(WALLET, 1, b"data")
    digests = [
        bundle_digest([call], bundle_nonce(1, 2)),
        bundle_digest([call], bundle_nonce(2, 1)),
        bundle_digest([call], SELF),
        bundle_digest([call], GUEST),
        bundle_digest([call, call], bundle_nonce(1, 2)),
        bundle_digest([LegacyCall(WALLET, 1, b"data", delegate_call=True)], bundle_nonce(1, 2)),
        bundle_digest([LegacyCall(WALLET, 1, b"data", revert_on_error=False)], bundle_nonce(1, 2)),
    ]
    assert len(set(digests)) == len(digests)
    with pytest.raises(WalletError):
        bundle_digest([call], "other:")
    with pytest.raises(WalletError):
        bundle_nonce(0, 2**96)


def test_bundle_is_the_hash_of_its_abi_encoding() -> None:
    from eth_abi.abi import encode

    call = LegacyCall(WALLET, 7, b"\x01" * 33, gas_limit=9, delegate_call=True, revert_on_error=False)
    row = (True, False, 9, WALLET, 7, b"\x01" * 33)
    types = "(bool,bool,uint256,address,uint256,bytes)[]"
    assert bundle_digest([call, call], 5) == keccak256(encode(["uint256", types], [5, [row, row]]))
    assert bundle_digest([call], SELF) == keccak256(encode(["string", types], ["self:", [row]]))


def test_adoption_lets_the_adopter_outweigh_the_parent() -> None:
    found = adopted_configuration(WALLET, address_of(KEYS[0]), 1_750_000_000)
    assert (found.threshold, found.checkpoint) == (1, 1_750_000_000)
    assert found.topology == Branch(SignerLeaf(WALLET, 1), SignerLeaf(address_of(KEYS[0]), 2))


def test_leaves_of_the_third_generation_are_refused() -> None:
    with pytest.raises(WalletError, match="wallet-legacy-leaf"):
        hash_v2_topology(SapientLeaf(WALLET, 1, bytes(32)))
    with pytest.raises(WalletError, match="wallet-legacy-leaf"):
        encode_v2_signature(V2Configuration(1, 0, SapientLeaf(WALLET, 1, bytes(32))), {})
    with pytest.raises(WalletError, match="wallet-signature-bytes"):
        recover_v2(b"", DIGEST, WALLET, CHAIN)
