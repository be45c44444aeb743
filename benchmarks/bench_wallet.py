"""What hashing a wallet's tree and its payload costs, next to the raw keccak calls in it, measured in the same run.

    python -m benchmarks.bench_wallet

The raw calls are those that the code itself makes: they are written down in one pass and then repeated with the hash
library alone, on the same bytes. A wallet of ten thousand signers is beyond any in use.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import coincurve
import sha3

from benchmarks.report import Figure
from enclave.sequence.asked import parse_asked
from enclave.sequence.plan import WalletPlan
from enclave.sequence.signing import Prepared
from enclave.sequence.wallet_records import SmartWallet
from enclave.sequence.words import described
from evm import cross_check
from evm.address import Address, address_from_public_key, checksum
from evm.signature import parse_recoverable
from evm.wallet import operation_hash as operation_hashes
from evm.wallet import packed_calls, payload, topology
from evm.wallet.context import DEFAULT_CONTEXT
from evm.wallet.default_wallet import DEFAULT_GUARD
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import Call, CallsPayload
from evm.wallet.recovery.tree import RecoveryLeaf, flat
from evm.wallet.sessions.configuration import new_tree
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.model import Signature
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.topology import SignerLeaf, flat_tree
from protocol.services import RecordKey

LEAVES: Final = 10_000
CALLS: Final = 100
AT_MOST: Final = 4.0

_KEY: Final = coincurve.PrivateKey(b"a wallet of the benchmark, 32 by")
_WALLET: Final = Address(b"\xaa" * 20)
_HASHING: Final = (topology, payload, operation_hashes)
_keccak_256: Any = sha3.keccak_256


def measure(seconds: float = 1.0) -> list[Figure]:
    """The ratios of the fastest rounds of each side; what is slower than that is the machine's doing."""
    tree = flat_tree([SignerLeaf(Address(index.to_bytes(20, "big")), index % 256) for index in range(LEAVES)])
    calls = CallsPayload(tuple(_call(index) for index in range(CALLS)), nonce=7)
    operation = Operation(calls, _WALLET, 1)
    shown = encode_signature(Signature(1, 0, tuple(SignerLeaf(_WALLET, 1) for _ in range(CALLS))))

    def hash_tree() -> object:
        return tree.hash

    def encode_payload() -> object:
        return operation.digest, packed_calls.pack_calls(calls, _WALLET)

    tree_inputs, payload_inputs = _hashed(hash_tree), _hashed(encode_payload)
    sides = [hash_tree, _raw(tree_inputs), encode_payload, _raw(payload_inputs), lambda: parse_signature(shown)]
    tree_s, raw_tree_s, payload_s, raw_payload_s, parse_s = _times(sides, seconds)
    return [
        *_judging(seconds),
        Figure("tree of 10,000 leaves, hashed", tree_s * 1e3, "ms"),
        Figure(f"  to its {len(tree_inputs)} raw keccak calls", tree_s / raw_tree_s, "x", at_most=AT_MOST),
        Figure("payload of 100 calls, hashed and packed", payload_s * 1e6, "us"),
        Figure(f"  to its {len(payload_inputs)} raw keccak calls", payload_s / raw_payload_s, "x", at_most=AT_MOST),
        Figure("signature of 100 items, parsed", parse_s * 1e6, "us"),
    ]


def _judging(seconds: float) -> list[Figure]:
    """A transfer that a login is asked to sign for its wallet: all but the key's own work and the store's."""
    wallet = _wallet()
    calls = [_call_json(index) for index in range(2)]
    params = {"chainId": 1, "payload": {"type": "call", "space": "0", "nonce": "7", "calls": calls}}
    asked = parse_asked(params, wallet, cross_check)
    data = bytes(parse_recoverable(_KEY.sign_recoverable(asked.operation.digest, hasher=None)))

    def judge() -> object:
        return parse_asked(params, wallet, cross_check)

    def merge() -> object:
        return Prepared(wallet, asked.operation, ()).signed(data)

    judge_s, merge_s, words_s = _times([judge, merge, lambda: described(wallet.plan)], seconds / 4)
    return [
        Figure("payload of 2 calls, decoded, judged, hashed twice", judge_s * 1e6, "us"),
        Figure("  signature assembled and recovered", merge_s * 1e6, "us"),
        Figure("configuration, hashed and put into words", words_s * 1e6, "us"),
    ]


def _wallet() -> SmartWallet:
    identity = address_from_public_key(_KEY.public_key.format(compressed=False))
    recovery = flat([RecoveryLeaf(identity, 86_400)])
    plan = WalletPlan(DEFAULT_CONTEXT, identity, (), (), DEFAULT_GUARD, new_tree([identity]), recovery)
    return SmartWallet(RecordKey("wallet", bytes(32)), 1, plan.configuration.image_hash, plan, 0)


def _call_json(index: int) -> dict[str, Any]:
    call = _call(index)
    return {
        "to": checksum(call.to),
        "value": "0",
        "data": "0x" + call.data.hex(),
        "gasLimit": "0",
        "delegateCall": False,
        "onlyFallback": False,
        "behaviorOnError": "revert",
    }


def _call(index: int) -> Call:
    """A token transfer: 68 bytes of data."""
    return Call(Address(index.to_bytes(20, "big")), data=bytes.fromhex("a9059cbb") + index.to_bytes(64, "big"))


def _hashed(run: Callable[[], object]) -> list[bytes]:
    """Every input that `run` hashes."""
    with _recording() as found:
        run()
    return found


@contextmanager
def _recording() -> Iterator[list[bytes]]:
    found: list[bytes] = []
    originals = [module.keccak256 for module in _HASHING]

    def record(data: bytes) -> bytes:
        found.append(data)
        digest: bytes = _keccak_256(data).digest()
        return digest

    for module in _HASHING:
        module.keccak256 = record  # type: ignore[attr-defined]
    try:
        yield found
    finally:
        for module, original in zip(_HASHING, originals, strict=True):
            module.keccak256 = original  # type: ignore[attr-defined]


def _raw(inputs: Sequence[bytes]) -> Callable[[], object]:
    return lambda: [_keccak_256(data).digest() for data in inputs]


def _times(sides: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Seconds of processor time for each side, in turns, so that a busy moment meets all of them."""
    samples: list[list[float]] = [[] for _ in sides]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[0]) < 10:
        for side, found in zip(sides, samples, strict=True):
            start = time.process_time()
            side()
            found.append(time.process_time() - start)
    return [min(found) for found in samples]


def main() -> None:
    """Print the figures."""
    for figure in measure(3.0):
        verdict = "" if figure.holds is None else "  ok" if figure.holds else "  MISSED"
        target = f"  ({figure.target})" if figure.target else ""
        print(f"{figure.name:<44} {figure.value:10.3f} {figure.unit}{target}{verdict}")


if __name__ == "__main__":
    main()
