"""Targets for the sessions, attestations and recovery of wallets (`evm.wallet`)."""

from collections.abc import Callable
from typing import Any

from evm.errors import EvmError
from evm.wallet import attestation
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import Call, CallsPayload
from evm.wallet.recovery import service_json as recovery_service
from evm.wallet.recovery import tree as recovery_tree
from evm.wallet.recovery import tree_encoding as recovery
from evm.wallet.recovery import words as recovery_words
from evm.wallet.recovery.queue import QueueRequest, verify_queue_request
from evm.wallet.sessions import configuration, permission, session_json, tree_encoding, words
from evm.wallet.sessions import service_json as session_service
from evm.wallet.sessions.assembly import assemble
from evm.wallet.sessions.explain import explain_signature
from evm.wallet.sessions.session_manager import verify_session
from evm.wallet.sessions.session_sig import parse_session_signature
from evm.wallet.sessions.usage_limits import encode_increment, parse_increment
from protocol import canonical_json
from protocol.errors import ProtocolError
from tests.evm_wallet_sessions import samples
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import encoded

PAYLOAD = CallsPayload((samples.increment((samples.SPEND.usage_hash(samples.APP.address, 1), 5)), samples.transfer(5)))
IMPLICIT = CallsPayload((samples.CALL, Call(samples.BOB)))
LEAF = recovery_tree.RecoveryLeaf(samples.APP.address, 60, 1)
RECOVERY = recovery_tree.flat([LEAF, recovery_tree.Node(b"\x01" * 32), LEAF, LEAF])


def _same(before: object, after: object) -> None:
    if before != after:
        raise AssertionError("a value does not survive its encoding")


def _survives(decode: Callable[[Any], Any], encode: Callable[[Any], Any], use: Callable[[Any], Any]) -> Any:
    """Whatever bytes gave a value: its own encoding gives the same again, and it can be used."""

    def run(data: bytes) -> object:
        value = decode(data)
        _same(value, decode(encode(value)))
        return use(value)

    return run


def _from_json(decode: Callable[[Any], Any], encode: Callable[[Any], Any], use: Callable[[Any], Any]) -> Any:
    def run(data: bytes) -> object:
        value = decode(canonical_json.parse(data))
        _same(value, decode(encode(value)))
        return use(value)

    return run


def _tree(tree: configuration.Tree) -> object:
    signers, identities = configuration.explicit_signers(tree), configuration.identity_signers(tree)
    small = configuration.minimise(
        tree, signers=signers[:1], identity_signer=(identities or [samples.BOB])[0], implicit=False
    )
    _same(configuration.image_hash(tree), configuration.image_hash(small))
    return words.tree_words(tree)


def _recovery(tree: recovery_tree.Tree) -> object:
    for leaf in list(recovery_tree.leaves(tree))[:1]:
        _same(tree.hash, recovery_tree.trim(tree, leaf.signer).hash)
    return recovery_words.tree_words(tree)


def _signature(payload: CallsPayload) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        signature = parse_session_signature(data)
        _same(signature, parse_session_signature(signature.encoded))
        operation = Operation(payload, samples.WALLET, samples.CHAIN_ID)
        return explain_signature(signature, operation), verify_session(signature, operation, samples.state())

    return run


def _queue(data: bytes) -> object:
    request = QueueRequest(samples.WALLET, samples.APP.address, PAYLOAD, samples.CHAIN_ID)
    return request.calldata(verify_queue_request(request, data).signature)


def _signatures() -> list[bytes]:
    return [samples.signed(PAYLOAD, 0, 0).encoded]


def _implicit_signatures() -> list[bytes]:
    calls = [samples.implicit(IMPLICIT, 0), samples.implicit(IMPLICIT, 1)]
    return [assemble(samples.tree(blacklist=[samples.STRANGER.address]), calls).encoded]


def _queue_signatures() -> list[bytes]:
    request = QueueRequest(samples.WALLET, samples.APP.address, PAYLOAD, samples.CHAIN_ID)
    return [samples.compact_of(request.digest)]


EVM = (EvmError,)
JSON = (EvmError, ProtocolError)

TARGETS = {
    "session_tree": Target(
        _survives(tree_encoding.parse_tree, tree_encoding.encode_tree, _tree),
        EVM,
        lambda: [tree_encoding.encode_tree(samples.tree(samples.session(), blacklist=[samples.BOB]))],
    ),
    "session_tree_json": Target(
        _from_json(session_json.tree_from_json, session_json.tree_to_json, _tree),
        JSON,
        lambda: [encoded(session_json.tree_to_json(samples.tree(samples.session(), blacklist=[samples.BOB])))],
    ),
    "session_tree_service": Target(
        _from_json(session_service.tree_from_service, session_service.tree_to_service, _tree),
        JSON,
        lambda: [encoded(session_service.tree_to_service(samples.tree(samples.session(), blacklist=[samples.BOB])))],
    ),
    "session_permissions": Target(
        _survives(permission.parse_permissions, lambda found: found.encoded, words.session_words),
        EVM,
        lambda: [samples.session().encoded],
    ),
    "session_increment": Target(
        _survives(parse_increment, encode_increment, tuple), EVM, lambda: [PAYLOAD.calls[0].data]
    ),
    "session_attestation": Target(
        _survives(attestation.parse_attestation, lambda found: found.encoded, words.attestation_words),
        EVM,
        lambda: [samples.attestation().encoded],
    ),
    "session_attestation_json": Target(
        _from_json(attestation.attestation_from_json, lambda found: found.as_json(), words.attestation_words),
        JSON,
        lambda: [encoded(samples.attestation().as_json())],
    ),
    "session_signature": Target(_signature(PAYLOAD), EVM, _signatures),
    "session_signature_implicit": Target(_signature(IMPLICIT), EVM, _implicit_signatures),
    "recovery_tree": Target(
        _survives(recovery.parse_tree, recovery.encode_tree, _recovery), EVM, lambda: [recovery.encode_tree(RECOVERY)]
    ),
    "recovery_tree_json": Target(
        _from_json(recovery.tree_from_json, recovery.tree_to_json, _recovery),
        JSON,
        lambda: [encoded(recovery.tree_to_json(RECOVERY))],
    ),
    "recovery_tree_service": Target(
        _from_json(recovery_service.tree_from_service, recovery_service.tree_to_service, _recovery),
        JSON,
        lambda: [encoded(recovery_service.tree_to_service(RECOVERY))],
    ),
    "recovery_queue": Target(_queue, EVM, _queue_signatures),
}
