"""What the tests of wallets share: vectors, keys, the contracts that the vectors name, and strategies."""

import json
from functools import cache
from typing import Any

import coincurve
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from hypothesis import strategies as st

from evm.address import Address, address_from_public_key
from evm.signature import Signature, parse_recoverable
from evm.wallet.configuration import Configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import MAX_NONCE, MAX_SPACE, BehaviorOnError, Call, CallsPayload, MessagePayload
from evm.wallet.signature.contracts import NoContracts, Snapshot, StaticApproval
from evm.wallet.signature.filling import LeafSignature, key_signature
from evm.wallet.topology import (
    AnyAddressSubdigestLeaf,
    Branch,
    NestedLeaf,
    NodeLeaf,
    SapientLeaf,
    SignerLeaf,
    SubdigestLeaf,
    Topology,
)
from tests.vectors import folder

KEYS = [coincurve.PrivateKey(bytes([number]) * 32) for number in range(1, 9)]
NOW_S = 1_750_000_000  # the time in the vectors
ACCEPTED = bytes.fromhex("600dc0de")  # what the ERC-1271 contract of the vectors takes


def B(text: str) -> Any:  # noqa: N802  vectors are full of it
    """Bytes of 0x text, for an address as for anything else."""
    return bytes.fromhex(text[2:])


@cache
def vectors(kind: str) -> list[dict[str, Any]]:
    """The vectors of one kind; skips the calling test when they are not there."""
    found: list[dict[str, Any]] = json.loads((folder("wallet-v3") / f"{kind}.json").read_text())["vectors"]
    return found


def lowered(value: Any) -> Any:
    """A JSON value with its addresses in small letters: vectors write them either way."""
    if isinstance(value, str):
        return value.lower() if len(value) == 42 and value.startswith("0x") else value
    if isinstance(value, list):
        return [lowered(item) for item in value]
    if isinstance(value, dict):
        return {name: lowered(item) for name, item in value.items()}
    return value


def address_of(key: coincurve.PrivateKey) -> Address:
    return address_from_public_key(key.public_key.format(compressed=False))


def sign(key: coincurve.PrivateKey, digest: bytes) -> Signature:
    return parse_recoverable(key.sign_recoverable(digest, hasher=None))


def answer(key: coincurve.PrivateKey, operation: Operation) -> LeafSignature:
    return key_signature(address_of(key), sign(key, operation.digest))


def two_of_two(*, checkpoint: int = 0) -> Configuration:
    """The first two keys, both needed."""
    return Configuration(2, checkpoint, Branch(SignerLeaf(address_of(KEYS[0]), 1), SignerLeaf(address_of(KEYS[1]), 1)))


WALLET = Address(b"\xaa" * 20)
OPERATION = Operation(MessagePayload(b"hello"), WALLET, 1)


class TestChain(NoContracts):
    """The contracts that the vectors name: one that accepts by prefix, echoing sapient signers and checkpointers."""

    __test__ = False
    approval = StaticApproval(Address(bytes(20)), 0)

    def is_valid_signature(self, signer: Address, digest: bytes, data: bytes, /) -> bool:  # type: ignore[override]
        return data.startswith(ACCEPTED)

    def recover_sapient(self, signer: Address, operation: Operation, data: bytes, /) -> bytes:  # type: ignore[override]
        return data[:32]

    def recover_sapient_compact(self, signer: Address, digest: bytes, data: bytes, /) -> bytes:  # type: ignore[override]
        return data[:32]

    def snapshot_for(self, checkpointer: Address, wallet: Address, data: bytes, /) -> Snapshot:  # type: ignore[override]
        return Snapshot(data[:32].ljust(32, b"\0"), int.from_bytes(data[32:64], "big"))

    def static_signature(self, wallet: Address, digest: bytes, /) -> StaticApproval:  # type: ignore[override]
        return self.approval


def p256(digest: bytes, r: int, s: int, x: bytes, y: bytes) -> bool:
    """P-256 of a library that is none of ours."""
    curve = ec.SECP256R1()
    try:
        key = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key()
        key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError):
        return False
    return True


# --- strategies ---

hashes32 = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(Address)
weights = st.integers(0, 255)
uint256s = st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, 2**256 - 1])

calls = st.builds(
    Call,
    to=addresses | st.just(WALLET),
    value=uint256s,
    data=st.binary(max_size=80),
    gas_limit=uint256s,
    delegate_call=st.booleans(),
    only_fallback=st.booleans(),
    behavior_on_error=st.sampled_from(BehaviorOnError),
)
calls_payloads = st.builds(
    CallsPayload,
    calls=st.lists(calls, max_size=4).map(tuple),
    space=st.integers(0, MAX_SPACE) | st.just(0),
    nonce=st.integers(0, MAX_NONCE) | st.sampled_from([0, 1, 255, 256, MAX_NONCE]),
)

leaves: st.SearchStrategy[Topology] = (
    st.builds(SignerLeaf, addresses, weights)
    | st.builds(SapientLeaf, addresses, weights, hashes32)
    | st.builds(SubdigestLeaf, hashes32)
    | st.builds(AnyAddressSubdigestLeaf, hashes32)
    | st.builds(NodeLeaf, hashes32.filter(any))  # a root of zeros counts as none on chain
)
topologies: st.SearchStrategy[Topology] = st.recursive(
    leaves,
    lambda inner: st.builds(Branch, inner, inner) | st.builds(NestedLeaf, inner, weights, st.integers(0, 2**16 - 1)),
    max_leaves=12,
)
configurations = st.builds(
    Configuration,
    threshold=st.integers(0, 2**16 - 1),
    checkpoint=st.integers(0, 2**56 - 1),
    topology=topologies,
    checkpointer=st.none() | addresses,
)
