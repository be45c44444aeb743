"""Where client libraries and the contracts differ, the contracts are followed. Each test is one known difference.

They are numbered; those about sessions and recovery (7, 10 to 12, 14, 16, 17) stand in `tests/evm_wallet_sessions`.
"""

import re
from pathlib import Path

import coincurve
import pytest
from hypothesis import given

from evm.address import ZERO_ADDRESS, Address
from evm.keccak import keccak256
from evm.signature import CURVE_ORDER
from evm.wallet.compact import to_compact
from evm.wallet.configuration import Configuration, image_hash
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation, operation_hash
from evm.wallet.packed_calls import pack_calls, parse_packed_calls
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.passkeys.signature import encode_passkey_signature, parse_passkey_signature, passkey_signature
from evm.wallet.passkeys.verifying import P256_ORDER, PasskeyModule
from evm.wallet.payload import (
    MAX_NONCE,
    Call,
    CallsPayload,
    ConfigUpdatePayload,
    DigestPayload,
    MessagePayload,
)
from evm.wallet.payload_json import parse_payload
from evm.wallet.signature.contracts import NoContracts
from evm.wallet.signature.encoding import encode_items, encode_signature
from evm.wallet.signature.filling import contract_signature, fill
from evm.wallet.signature.merging import assemble, is_approved, merge
from evm.wallet.signature.model import (
    BranchItem,
    ChainedSignature,
    ContractSignature,
    KeySignature,
    Signature,
)
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from evm.wallet.signature.signature_json import signature_to_json
from evm.wallet.signature.verifying import verify_signature
from evm.wallet.topology import (
    AnyAddressSubdigestLeaf,
    Branch,
    NodeLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
)

from .samples import (
    ACCEPTED,
    KEYS,
    OPERATION,
    WALLET,
    TestChain,
    address_of,
    answer,
    p256,
    sign,
    topologies,
    two_of_two,
)

NOBODY = NoContracts()
KNOWN_DIFFERENCES = 19
FIRST, SECOND = (SignerLeaf(address_of(key), 1) for key in KEYS[:2])


def test_every_known_difference_has_a_test_of_its_number() -> None:
    here = Path(__file__).parent
    files = [*here.glob("test_*.py"), *here.with_name("evm_wallet_sessions").glob("test_*.py")]
    numbered = re.compile(r"^def test_(\d\d)_", re.MULTILINE)
    numbers = {int(found) for file in files for found in numbered.findall(file.read_text())}
    assert numbers == set(range(1, KNOWN_DIFFERENCES + 1))


def test_01_digest_payload_is_wrapped_and_never_signed_as_it_is() -> None:
    digest = keccak256(b"hello")
    wrapped = operation_hash(DigestPayload(digest), WALLET, 1)
    assert wrapped != digest
    assert wrapped == operation_hash(MessagePayload(b"hello"), WALLET, 1)


def test_02_chained_signature_is_read_back() -> None:
    """No client library's decoder does."""
    data = encode_signature(chain(no_chain_id=True))
    assert data[0] == 0x01
    assert parse_signature(data) == chain(no_chain_id=True)


def test_03_integers_of_no_bytes_and_of_one_byte_are_both_read_as_zero() -> None:
    configuration = Configuration(1, 0, FIRST)
    long = encode_signature(assemble(configuration, OPERATION, [answer(KEYS[0], OPERATION)]))
    assert long[:2] == b"\x04\x00"
    short = b"\x00" + long[2:]
    for data in (long, short):
        assert verify_signature(data, OPERATION, configuration.image_hash, NOBODY)
    payload = CallsPayload((Call(WALLET),))
    long, short = pack_calls(payload), pack_calls(payload, minimal=True)
    assert (long[:2], short[:1]) == (b"\x13\x00", b"\x11")
    assert parse_packed_calls(long, ZERO_ADDRESS) == parse_packed_calls(short, ZERO_ADDRESS) == payload


def test_04_empty_data_is_read_with_and_without_its_length() -> None:
    payload = CallsPayload((Call(WALLET, value=1),))
    with_length, without = pack_calls(payload), pack_calls(payload, minimal=True)
    assert len(with_length) == len(without) + 4
    assert parse_packed_calls(with_length, ZERO_ADDRESS) == parse_packed_calls(without, ZERO_ADDRESS)


def test_05_nonce_of_eight_bytes_is_refused() -> None:
    assert pack_calls(CallsPayload((), nonce=MAX_NONCE))[0] == 0x0F
    with pytest.raises(WalletError, match="wallet-calls-nonce"):
        CallsPayload((), nonce=MAX_NONCE + 1)
    with pytest.raises(WalletError, match="wallet-calls-nonce"):
        parse_payload({"type": "call", "space": "0", "nonce": str(2**56), "calls": []})


@pytest.mark.parametrize(
    ("size", "size_bytes"), [(0, 1), (126, 1), (127, 2), (255, 2), (256, 2), (32766, 2), (32767, 3), (65535, 3)]
)
def test_06_size_of_an_erc1271_item_counts_the_hex_text(size: int, size_bytes: int) -> None:
    """As the library writes it; any other size of the size is read, too."""
    item = ContractSignature(WALLET, 1, bytes(size))
    data = encode_items([item])
    assert data[0] >> 2 & 0x03 == size_bytes
    assert len(data) == 1 + 20 + size_bytes + size
    other = bytes([0x20 | 3 << 2 | 1]) + WALLET + size.to_bytes(3, "big") + bytes(size)
    for encoded in (data, other):
        found = parse_signature(b"\x00\x01" + encoded)
        assert isinstance(found, Signature)
        assert found.items == (item,)


def test_07_lengths_of_client_data_count_bytes() -> None:
    """One library counts UTF-16 units; its signature for such a text is refused on chain."""
    data, root = assertion('{"note":"é€😀","type":"webauthn.get","challenge":"%s"}')
    assert PasskeyModule(p256).recover(OPERATION.digest, data) == root
    size_at = 1 + 1 + 37
    counted_otherwise = bytearray(data)
    counted_otherwise[size_at] -= len("é€😀".encode()) - 4
    with pytest.raises(WalletError) as caught:
        PasskeyModule(p256).recover(OPERATION.digest, bytes(counted_otherwise))
    assert caught.value.reason in ("InvalidSignatureLength", "InvalidPasskeySignature")


@pytest.mark.parametrize(
    "leaf", [SubdigestLeaf(OPERATION.digest), AnyAddressSubdigestLeaf(OPERATION.any_address_digest)]
)
def test_08_no_signature_joins_an_operation_that_is_approved_in_advance(leaf: Topology) -> None:
    """The contract's sum would wrap around to a small number."""
    configuration = Configuration(1, 0, Branch(leaf, FIRST))
    given = [answer(KEYS[0], OPERATION)]
    assert is_approved(configuration, OPERATION)
    alone = assemble(configuration, OPERATION, given)
    assert recover(alone, OPERATION, NOBODY).weight == 2**256 - 1
    wrapping = Signature(1, 0, fill(configuration.topology, given))
    assert recover(wrapping, OPERATION, NOBODY).weight == 0
    with pytest.raises(WalletError, match="wallet-signature-weight-low"):
        verify_signature(encode_signature(wrapping), OPERATION, configuration.image_hash, NOBODY)


@given(topologies)
def test_09_branch_is_never_written_first(topology: Topology) -> None:
    items = fill(topology, [])
    assert not isinstance(items[0], BranchItem)


def test_09_branch_that_stands_first_is_folded_with_a_zero_root_and_never_decoded() -> None:
    leading = Signature(1, 0, (BranchItem((FIRST, SECOND)), SignerLeaf(WALLET, 1)))
    plain = Branch(Branch(FIRST, SECOND), SignerLeaf(WALLET, 1))
    root = keccak256(bytes(32) + Branch(FIRST, SECOND).hash)
    root = keccak256(root + SignerLeaf(WALLET, 1).hash)
    found = recover(leading, OPERATION, NOBODY).image_hash
    assert found == image_hash(root, 1, 0, None)
    assert found != Configuration(1, 0, plain).image_hash
    with pytest.raises(WalletError, match="wallet-signature-leading-branch"):
        signature_to_json(leading)


def test_09_root_of_zeros_counts_as_none() -> None:
    """A hidden subtree of zeros vanishes from the fold; a tree that holds one is another configuration."""
    shown = Signature(1, 0, (NodeLeaf(bytes(32)), FIRST))
    assert recover(shown, OPERATION, NOBODY).image_hash == Configuration(1, 0, FIRST).image_hash


@pytest.mark.parametrize(
    "template", ['{"challenge":"%s","type":"webauthn.get"}', '{"x":1,"type":"webauthn.get","challenge":"%s"}']
)
def test_13_type_may_stand_anywhere_in_client_data(template: str) -> None:
    data, root = assertion(template)
    assert PasskeyModule(p256).recover(OPERATION.digest, data) == root


@pytest.mark.parametrize("no_chain_id", [True, False])
def test_15_each_part_of_a_chain_says_for_itself_whether_it_holds_on_every_chain(no_chain_id: bool) -> None:
    signature = chain(no_chain_id=no_chain_id)
    found = verify_signature(encode_signature(signature), OPERATION, two_of_two(checkpoint=1).image_hash, NOBODY)
    assert found.operation == OPERATION
    elsewhere = Operation(OPERATION.payload, WALLET, 2)
    assert recover(signature, elsewhere, NOBODY).image_hash != two_of_two(checkpoint=1).image_hash


def test_18_merging_loses_no_signature() -> None:
    """Joining leaf by leaf, one library keeps its own address and drops the other's signature."""
    configuration = two_of_two()
    halves = [encode_signature(assemble(configuration, OPERATION, [answer(key, OPERATION)])) for key in KEYS[:2]]
    for partial in (halves, halves[::-1], [*halves, *halves]):
        whole = merge(configuration, OPERATION, partial)
        assert verify_signature(whole, OPERATION, configuration.image_hash, NOBODY)


@pytest.mark.parametrize(
    "compact",
    [
        bytes(64),
        b"\x01" * 32 + bytes(32),
        bytes(31) + b"\x05" + b"\x01" * 32,
        CURVE_ORDER.to_bytes(32, "big") + b"\x01" * 32,
        b"\xff" * 64,
    ],
    ids=["zeros", "s is zero", "no point", "r too large", "ones"],
)
def test_19_garbage_recovers_to_some_signer_and_another_image_hash(compact: bytes) -> None:
    found = recover(Signature(1, 0, (KeySignature(1, compact),)), OPERATION, NOBODY)
    assert found.weight == 1
    assert found.image_hash == Configuration(1, 0, SignerLeaf(ZERO_ADDRESS, 1)).image_hash
    data = encode_signature(Signature(1, 0, (KeySignature(1, compact),)))
    with pytest.raises(WalletError, match="wallet-signature-image-hash"):
        verify_signature(data, OPERATION, Configuration(1, 0, FIRST).image_hash, NOBODY)


def test_erc1271_signer_is_asked_about_the_operation_hash() -> None:
    contract = Address(b"\xcc" * 20)
    configuration = Configuration(1, 0, SignerLeaf(contract, 1))
    signature = assemble(configuration, OPERATION, [contract_signature(contract, ACCEPTED)])
    assert recover(signature, OPERATION, TestChain()).image_hash == configuration.image_hash
    for contracts, code in ((NOBODY, "wallet-contract-unknown"), (TestChain(), "wallet-signature-erc1271")):
        refused = assemble(configuration, OPERATION, [contract_signature(contract, b"no")])
        with pytest.raises(WalletError, match=code):
            recover(refused, OPERATION, contracts)


def chain(*, no_chain_id: bool) -> ChainedSignature:
    """The payload signed by checkpoint 2, whose configuration was approved by checkpoint 1."""
    new, old = two_of_two(checkpoint=2), two_of_two(checkpoint=1)
    update = Operation(ConfigUpdatePayload(new.image_hash), WALLET, 1, no_chain_id)
    return ChainedSignature(
        (
            assemble(new, OPERATION, [answer(key, OPERATION) for key in KEYS[:2]]),
            assemble(old, update, [answer(key, update) for key in KEYS[:2]]),
        )
    )


def assertion(template: str) -> tuple[bytes, bytes]:
    """An assertion for the digest of `OPERATION`, with client data of this form, and the root of its key."""
    import base64
    import hashlib

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    challenge = base64.urlsafe_b64encode(OPERATION.digest).rstrip(b"=").decode()
    client_data = (template % challenge).encode()
    authenticator_data = bytes(32) + b"\x05" + bytes(4)
    key = ec.derive_private_key(7, ec.SECP256R1())
    signed = authenticator_data + hashlib.sha256(client_data).digest()
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    s = min(s, P256_ORDER - s)
    point = key.public_key().public_numbers()
    public_key = PasskeyPublicKey(point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big"), True)
    parts = (r.to_bytes(32, "big"), s.to_bytes(32, "big"))
    found = passkey_signature(public_key, authenticator_data, client_data, *parts)
    data = encode_passkey_signature(found)
    assert parse_passkey_signature(data) == found
    return data, public_key.root


def test_compact_form_is_that_of_the_curve_library() -> None:
    signature = sign(KEYS[0], OPERATION.digest)
    recoverable = coincurve.PrivateKey(KEYS[0].secret).sign_recoverable(OPERATION.digest, hasher=None)
    compact = to_compact(signature)
    assert compact[:32] == recoverable[:32]
    assert compact[32] >> 7 == recoverable[64]
