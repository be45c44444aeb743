"""Each bound of the wallet formats, at its cap and one beyond."""

from collections.abc import Callable
from typing import Any

import pytest

from evm.address import Address
from evm.errors import EvmError
from evm.wallet.configuration import (
    MAX_CHECKPOINT,
    MAX_SAFE_DEPTH,
    MAX_THRESHOLD,
    MAX_WEIGHT,
    Configuration,
    validate_safety,
)
from evm.wallet.configuration_json import parse_configuration, parse_topology, topology_to_json
from evm.wallet.deploy import parse_erc6492, wrap_erc6492
from evm.wallet.legacy.v1 import MAX_SIGNERS, V1Configuration, V1Signer
from evm.wallet.operation_hash import WALLET_DOMAIN
from evm.wallet.packed_calls import pack_calls, parse_packed_calls
from evm.wallet.passkeys.public_key import PasskeyPublicKey, credential_metadata
from evm.wallet.passkeys.signature import MAX_FIELD_BYTES, PasskeySignature, parse_passkey_signature
from evm.wallet.payload import (
    MAX_CALLS,
    MAX_PARENT_WALLETS,
    MAX_PAYLOAD_BYTES,
    MAX_SPACE,
    Call,
    CallsPayload,
    MessagePayload,
)
from evm.wallet.payload_json import parse_payload
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.known import MAX_WALLETS_DEEP, KnownContracts
from evm.wallet.signature.model import (
    MAX_CHAIN_LENGTH,
    MAX_SIGNATURE_BYTES,
    BranchItem,
    ChainedSignature,
    ContractSignature,
    Item,
    KeySignature,
    NestedItem,
    SapientSignature,
    Signature,
)
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from evm.wallet.topology import (
    MAX_DEPTH,
    MAX_LEAVES,
    Branch,
    NestedLeaf,
    NodeLeaf,
    SapientLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
    flat_tree,
)

from .samples import OPERATION, WALLET, TestChain, two_of_two

LEAF = SignerLeaf(WALLET, 1)
NODE = NodeLeaf(b"\x01" * 32)


def refused(make: Callable[..., object], *arguments: Any, **named: Any) -> str:
    with pytest.raises(EvmError) as caught:
        make(*arguments, **named)
    return caught.value.code


def chain_of(levels: int, *, left: bool = False) -> Topology:
    found: Topology = LEAF
    for _ in range(levels):
        found = Branch(found, LEAF) if left else Branch(LEAF, found)
    return found


@pytest.mark.parametrize("left", [True, False])
def test_depth_of_a_tree(left: bool) -> None:
    assert chain_of(MAX_DEPTH, left=left).hash
    assert refused(chain_of, MAX_DEPTH + 1, left=left) == "wallet-topology-depth"
    assert refused(NestedLeaf, chain_of(MAX_DEPTH), 1, 1) == "wallet-topology-depth"
    assert NestedLeaf(chain_of(MAX_DEPTH - 1), 1, 1).depth == MAX_DEPTH


def test_depth_of_a_tree_in_json() -> None:
    assert parse_topology(topology_to_json(chain_of(MAX_DEPTH))) == chain_of(MAX_DEPTH)
    deep: Any = topology_to_json(LEAF)
    for _ in range(50_000):
        deep = [topology_to_json(LEAF), deep]
    assert refused(parse_topology, deep) == "wallet-topology-depth"


def test_leaves_of_a_tree() -> None:
    assert flat_tree([NODE] * MAX_LEAVES)
    assert refused(flat_tree, [NODE] * (MAX_LEAVES + 1)) == "wallet-topology-leaves"
    assert refused(flat_tree, []) == "wallet-topology-leaves"
    json = topology_to_json(flat_tree([NODE] * MAX_LEAVES))
    assert parse_topology(json)
    assert refused(parse_topology, [json, "0x" + "01" * 32]) == "wallet-topology-leaves"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"threshold": 0}, "wallet-config-unsafe-threshold-0"),
        ({"threshold": MAX_THRESHOLD + 1}, "wallet-config-unsafe-invalid-values"),
        ({"checkpoint": MAX_CHECKPOINT + 1}, "wallet-config-unsafe-invalid-values"),
        ({"topology": SignerLeaf(WALLET, MAX_WEIGHT + 1)}, "wallet-config-unsafe-invalid-values"),
        ({"topology": SapientLeaf(WALLET, MAX_WEIGHT + 1, bytes(32))}, "wallet-config-unsafe-invalid-values"),
        ({"topology": NestedLeaf(LEAF, MAX_WEIGHT + 1, 1)}, "wallet-config-unsafe-invalid-values"),
        ({"topology": NestedLeaf(LEAF, 1, MAX_THRESHOLD + 1)}, "wallet-config-unsafe-invalid-values"),
        ({"topology": Branch(NestedLeaf(SignerLeaf(WALLET, 256), 1, 1), LEAF)}, "wallet-config-unsafe-invalid-values"),
        ({"topology": chain_of(MAX_SAFE_DEPTH + 1)}, "wallet-config-unsafe-depth"),
        ({"threshold": MAX_SAFE_DEPTH + 2}, "wallet-config-unsafe-threshold"),
        ({"topology": NestedLeaf(LEAF, 5, 2)}, "wallet-config-unsafe-threshold"),
        ({"topology": NODE}, "wallet-config-unsafe-threshold"),
        ({"topology": SubdigestLeaf(bytes(32))}, "wallet-config-unsafe-threshold"),
    ],
)
def test_unsafe_configurations(changes: dict[str, Any], verdict: str) -> None:
    whole: dict[str, Any] = {"threshold": 1, "checkpoint": MAX_CHECKPOINT, "topology": chain_of(MAX_SAFE_DEPTH)}
    validate_safety(Configuration(**whole))
    assert refused(validate_safety, Configuration(**whole | changes)) == verdict


def test_weights_that_a_signature_has_no_room_for() -> None:
    for make in (
        lambda weight: KeySignature(weight, bytes(64)),
        lambda weight: ContractSignature(WALLET, weight, b""),
        lambda weight: SapientSignature(WALLET, weight, b""),
        lambda weight: NestedItem((LEAF,), weight, 1),
        lambda weight: encode_signature(Signature(1, 0, (SignerLeaf(WALLET, weight),))),
    ):
        assert make(MAX_WEIGHT)
        assert refused(make, MAX_WEIGHT + 1) == "wallet-signature-weight"
    assert NestedItem((LEAF,), 1, MAX_THRESHOLD)
    assert refused(NestedItem, (LEAF,), 1, MAX_THRESHOLD + 1) == "wallet-signature-threshold"
    assert Signature(MAX_THRESHOLD, MAX_CHECKPOINT, (LEAF,))
    assert refused(Signature, MAX_THRESHOLD + 1, 0, (LEAF,)) == "wallet-signature-threshold"
    assert refused(Signature, 1, MAX_CHECKPOINT + 1, (LEAF,)) == "wallet-signature-checkpoint"


def test_depth_of_a_signature() -> None:
    def nested(levels: int) -> tuple[Item, ...]:
        items: tuple[Item, ...] = (LEAF,)
        for _ in range(levels):
            items = (LEAF, BranchItem(items))
        return items

    whole = Signature(1, 0, nested(MAX_DEPTH - 1))
    assert parse_signature(encode_signature(whole)) == whole
    assert refused(nested, MAX_DEPTH + 1) == "wallet-signature-depth"
    deep = b""
    for _ in range(100):
        deep = bytes([0x42]) + len(deep).to_bytes(2, "big") + deep
    assert refused(parse_signature, b"\x00\x01" + deep) == "wallet-signature-depth"


def test_left_chain_of_thousands_is_folded_without_recursion() -> None:
    """The contract reads it in a loop; only a tree made of it would be too deep."""
    items: tuple[Item, ...] = (NODE,) * 3000
    data = encode_signature(Signature(1, 0, items))
    found = parse_signature(data)
    assert isinstance(found, Signature)
    assert recover(found, OPERATION, TestChain()).weight == 0


def test_bytes_of_a_signature() -> None:
    filler = MAX_SIGNATURE_BYTES - len(
        encode_signature(Signature(1, 0, (ContractSignature(WALLET, 1, bytes(70_000)),)))
    )
    data = encode_signature(Signature(1, 0, (ContractSignature(WALLET, 1, bytes(70_000 + filler)),)))
    assert len(data) == MAX_SIGNATURE_BYTES
    assert parse_signature(data)
    assert refused(parse_signature, data + b"\x00") == "wallet-signature-bytes"
    assert refused(parse_signature, b"") == "wallet-signature-bytes"
    assert ContractSignature(WALLET, 1, bytes(MAX_SIGNATURE_BYTES))
    assert refused(ContractSignature, WALLET, 1, bytes(MAX_SIGNATURE_BYTES + 1)) == "wallet-signature-bytes"


def test_length_of_a_chain() -> None:
    part = Signature(1, 0, (LEAF,))
    whole = ChainedSignature((part,) * MAX_CHAIN_LENGTH)
    assert parse_signature(encode_signature(whole)) == whole
    assert refused(ChainedSignature, (part,) * (MAX_CHAIN_LENGTH + 1)) == "wallet-signature-chain-length"
    encoded = encode_signature(whole)
    assert refused(parse_signature, encoded + encoded[1 : 1 + 3 + 24]) == "wallet-signature-chain-length"
    assert refused(parse_signature, b"\x01") == "wallet-signature-chain-length"


def test_wallets_inside_wallets() -> None:
    """Each level is one more call on chain."""
    wallets, data = {}, encode_signature(Signature(1, 0, (SapientSignature(WALLET, 1, bytes(32)),)))
    leaf_hash = bytes(32)
    operation, levels = OPERATION, MAX_WALLETS_DEEP
    addresses = [Address(bytes([level + 1]) * 20) for level in range(levels + 1)]
    configuration = Configuration(1, 0, SapientLeaf(WALLET, 1, leaf_hash))
    for address in addresses:
        wallets[address] = configuration.image_hash
        data = encode_signature(Signature(1, 0, (SapientSignature(address, 1, data),)))
        configuration = Configuration(1, 0, SapientLeaf(address, 1, (1).to_bytes(32, "big")))

    class Echo:
        def recover(self, *_: object) -> bytes:
            return leaf_hash

    def judge(known: dict[Address, bytes], signature: bytes) -> object:
        found = parse_signature(signature)
        assert isinstance(found, Signature)
        return recover(found, operation, KnownContracts(1, known, sapient={WALLET: Echo()}))

    inner = parse_signature(data)
    assert isinstance(inner, Signature)
    first = inner.items[0]
    assert isinstance(first, SapientSignature)
    assert judge(wallets, first.data)
    assert refused(judge, wallets, data) == "wallet-signature-wallets-deep"


def test_calls_of_a_payload() -> None:
    call = Call(WALLET)
    whole = CallsPayload((call,) * MAX_CALLS)
    assert parse_packed_calls(pack_calls(whole, WALLET), WALLET) == whole
    assert refused(CallsPayload, (call,) * (MAX_CALLS + 1)) == "wallet-calls-count"
    packed = b"\x21" + (MAX_CALLS + 1).to_bytes(2, "big") + b"\x41" * (MAX_CALLS + 1)
    assert refused(parse_packed_calls, packed, WALLET) == "wallet-calls-count"
    value = {"type": "call", "space": "0", "nonce": "0", "calls": [{}] * (MAX_CALLS + 1)}
    assert refused(parse_payload, value) == "wallet-calls-count"


def test_bytes_of_a_payload() -> None:
    assert MessagePayload(bytes(MAX_PAYLOAD_BYTES))
    assert refused(MessagePayload, bytes(MAX_PAYLOAD_BYTES + 1)) == "wallet-message-bytes"
    assert Call(WALLET, data=bytes(MAX_PAYLOAD_BYTES))
    assert refused(Call, WALLET, data=bytes(MAX_PAYLOAD_BYTES + 1)) == "wallet-call-data"
    half = Call(WALLET, data=bytes(MAX_PAYLOAD_BYTES // 2))
    assert CallsPayload((half, half))
    assert refused(CallsPayload, (half, half, Call(WALLET, data=b"\x00"))) == "wallet-calls-bytes"
    assert refused(parse_packed_calls, bytes(MAX_PAYLOAD_BYTES + 1), WALLET) == "wallet-packed-calls-bytes"
    long = "0x" + "00" * (MAX_PAYLOAD_BYTES + 1)
    assert refused(parse_payload, {"type": "message", "message": long}) == "wallet-message-bytes"


def test_numbers_of_a_payload() -> None:
    assert CallsPayload((), space=MAX_SPACE)
    assert refused(CallsPayload, (), space=MAX_SPACE + 1) == "wallet-calls-space"
    assert Call(WALLET, value=2**256 - 1, gas_limit=2**256 - 1)
    assert refused(Call, WALLET, value=2**256) == "wallet-call-value"
    assert refused(Call, WALLET, value=-1) == "wallet-call-value"
    assert refused(Call, WALLET, gas_limit=2**256) == "wallet-call-gas-limit"
    assert WALLET_DOMAIN.separator(WALLET, 2**256 - 1)
    assert refused(WALLET_DOMAIN.separator, WALLET, 2**256) == "wallet-chain-id"


def test_parents_of_a_payload() -> None:
    assert MessagePayload(b"", (WALLET,) * MAX_PARENT_WALLETS)
    assert refused(MessagePayload, b"", (WALLET,) * (MAX_PARENT_WALLETS + 1)) == "wallet-parents"
    assert refused(MessagePayload, b"", (b"short",)) == "wallet-parents"
    value = {"type": "message", "message": "0x", "parentWallets": ["0x" + "00" * 20] * (MAX_PARENT_WALLETS + 1)}
    assert refused(parse_payload, value) == "wallet-parents"


def test_fields_of_a_passkey_signature() -> None:
    key, word = PasskeyPublicKey(bytes(32), bytes(32), False), bytes(32)
    whole = PasskeySignature(key, bytes(MAX_FIELD_BYTES), bytes(MAX_FIELD_BYTES), MAX_FIELD_BYTES, 0, word, word)
    assert whole
    for parts in (
        (bytes(MAX_FIELD_BYTES + 1), b"", 0, 0),
        (b"", bytes(MAX_FIELD_BYTES + 1), 0, 0),
        (b"", b"", MAX_FIELD_BYTES + 1, 0),
        (b"", b"", 0, MAX_FIELD_BYTES + 1),
    ):
        assert refused(PasskeySignature, key, *parts, word, word) == "wallet-passkey-size"
    assert refused(parse_passkey_signature, bytes(200_000)) == "wallet-passkey-length"
    assert refused(credential_metadata, "a" * 1367) == "wallet-passkey"


def test_wrapped_signature_is_bounded() -> None:
    deploy = Call(WALLET, data=b"deploy")
    room = MAX_PAYLOAD_BYTES - len(wrap_erc6492(b"", deploy))
    assert parse_erc6492(wrap_erc6492(bytes(room), deploy))[0] == bytes(room)
    assert refused(parse_erc6492, wrap_erc6492(bytes(room + 32), deploy)) == "wallet-erc6492"


def test_signers_of_the_first_generation() -> None:
    signer = V1Signer(WALLET, 255)
    assert V1Configuration(65535, (signer,) * MAX_SIGNERS).image_hash
    assert refused(V1Configuration, 1, (signer,) * (MAX_SIGNERS + 1)) == "wallet-topology-leaves"
    assert refused(V1Configuration, 65536, (signer,)) == "wallet-config-threshold"
    assert refused(V1Configuration, 1, (V1Signer(WALLET, 256),)) == "wallet-leaf-weight"


def test_configuration_in_json_has_integers_of_256_bits() -> None:
    value = {"threshold": str(2**256 - 1), "checkpoint": "0", "topology": topology_to_json(LEAF)}
    assert parse_configuration(value).threshold == 2**256 - 1
    assert refused(parse_configuration, value | {"threshold": str(2**256)}) == "wallet-config-threshold"
    assert refused(parse_configuration, value | {"checkpoint": "-1"}) == "wallet-config-checkpoint"
    assert two_of_two().image_hash
