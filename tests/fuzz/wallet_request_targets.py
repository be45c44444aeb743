"""Targets for what the wallet methods take: what to sign, steps of a configuration, signatures of others, files."""

import json
from typing import Any

from enclave.config import GuardKeys, RecoveryKey, WalletTemplate
from enclave.identity import Identity
from enclave.sequence.asked import parse_asked
from enclave.sequence.attesting import parse_attestation_request
from enclave.sequence.changes import Around, changed, with_session
from enclave.sequence.legacy import parse_legacy
from enclave.sequence.plan import WalletPlan, read_plan
from enclave.sequence.recovering import parse_recovery
from enclave.sequence.rules import validate_plan
from enclave.sequence.signing import Prepared, parse_cosigners, verify_update
from enclave.sequence.wallet_records import SmartWallet
from enclave.sequence.words import change_words, described
from evm import cross_check
from evm.address import checksum
from evm.errors import EvmError
from evm.wallet.context import DEFAULT_CONTEXT
from evm.wallet.default_wallet import DEFAULT_GUARD
from evm.wallet.document import parse_document
from evm.wallet.faults import explain_fault
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import ConfigUpdatePayload
from evm.wallet.picture import picture
from evm.wallet.recovery.tree import RecoveryLeaf, flat
from evm.wallet.sessions.configuration import new_tree
from evm.wallet.sessions.session_json import permissions_from_json
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import key_signature
from evm.wallet.signature.merging import assemble
from protocol import canonical_json, cbor
from protocol.errors import ProtocolError
from protocol.services import RecordKey
from tests.enclave_wallet.wallet_support import (
    DAY,
    DEVICE,
    GUARD,
    STRANGER,
    address_of,
    call,
    calls,
    handed_over,
    permissions,
    sign,
    transfer,
)
from tests.fuzz.target import Target

REFUSALS = (EvmError, ProtocolError)
IDENTITY, OTHER = address_of(DEVICE), address_of(STRANGER)
RECOVERY = flat([RecoveryLeaf(IDENTITY, DAY), RecoveryLeaf(OTHER, DAY)])
PLAN = WalletPlan(DEFAULT_CONTEXT, IDENTITY, (OTHER,), (), DEFAULT_GUARD, new_tree([IDENTITY, OTHER]), RECOVERY)
WALLET = SmartWallet(RecordKey("wallet", bytes(32)), 1, PLAN.configuration.image_hash, PLAN, 0)
KEYS = GuardKeys(**dict.fromkeys(("wallet", "sessions", "fallback"), checksum(address_of(GUARD))))
AROUND = Around(WalletTemplate(guard=KEYS, recovery=(RecoveryKey(key="device", delay_s=DAY),)), 1)
NOW_S = 1_750_000_000
UPDATE = Operation(ConfigUpdatePayload(bytes(32)), WALLET.address, 0, no_chain_id=True)


def _members(data: bytes) -> dict[str, Any]:
    value = canonical_json.parse(data)
    if not isinstance(value, dict):
        raise ProtocolError("json-malformed")
    return value


def _asked(data: bytes) -> object:
    asked = parse_asked(_members(data), WALLET, cross_check)
    return json.dumps(asked.understood), Prepared(WALLET, asked.operation, ())


def _changed(data: bytes) -> object:
    plan = changed(PLAN, canonical_json.parse(data), AROUND)
    validate_plan(plan)
    if read_plan(cbor.loads(cbor.dumps(plan.body()))) != plan:
        raise AssertionError("a plan does not survive its record")
    return change_words(PLAN, plan), described(plan)


def _session(data: bytes) -> object:
    session = permissions_from_json(canonical_json.parse(data))
    plan = with_session(PLAN, session, wallet=WALLET.address, now_s=NOW_S)
    validate_plan(plan)
    return change_words(PLAN, plan)


def _cosigned(data: bytes) -> object:
    return Prepared(WALLET, UPDATE, parse_cosigners(canonical_json.parse(data)))


def _update(data: bytes) -> object:
    return verify_update(WALLET, UPDATE, data)


def _signed_update() -> bytes:
    """By login and device, which are enough."""
    given = [key_signature(address_of(key), sign(key, UPDATE.digest)) for key in (DEVICE, STRANGER)]
    return encode_signature(assemble(PLAN.configuration, UPDATE, given))


def _attested(data: bytes) -> object:
    identity = Identity("OIDC", "https://idp.example", "x", None)
    origin = "https://wallet.example"
    return parse_attestation_request(
        _members(data), WALLET, identity=identity, audience="a", origin=origin, now_s=NOW_S
    ).encoded


def _file(data: bytes) -> object:
    """What parses is drawn, what does not is explained, and never both."""
    value = canonical_json.parse(data)
    fault = explain_fault(value)
    try:
        found = parse_document(value)
    except EvmError:
        if not fault:
            raise AssertionError("a fault without a sentence") from None
        raise
    if fault is not None:
        raise AssertionError("a sentence without a fault")
    return picture(found)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


PAYLOAD = calls(call(data=transfer(OTHER, 5)), call(value="1"))
LEGACY = {"parent": checksum(OTHER), "user": "user", "userSalt": "0x" + "07" * 32, "chainId": 1}
TARGETS = {
    "wallet_asked": Target(
        _asked,
        REFUSALS,
        lambda: [
            _json({"chainId": 1, "payload": PAYLOAD}),
            _json({"chainId": 0, "message": {"text": "hello"}}),
            _json({"chainId": "7", "payload": {"type": "message", "message": "0x68656c6c6f"}}),
        ],
    ),
    "wallet_change": Target(
        _changed,
        REFUSALS,
        lambda: [
            _json({"type": "rotate-device", "from": checksum(OTHER), "to": "0x" + "71" * 20}),
            _json({"type": "set-recovery", "keys": [{"address": checksum(OTHER), "delay": "86400", "notBefore": 5}]}),
            _json({"type": "void-queued"}),
        ],
    ),
    "wallet_session": Target(_session, REFUSALS, lambda: [_json(permissions(address_of(GUARD), deadline=2 * NOW_S))]),
    "wallet_cosigners": Target(_cosigned, REFUSALS, lambda: [_json([handed_over(DEVICE, UPDATE.digest)])]),
    "wallet_update": Target(_update, REFUSALS, lambda: [_signed_update()]),
    "wallet_attestation_request": Target(
        _attested,
        REFUSALS,
        lambda: [_json({"approvedSigner": checksum(address_of(GUARD)), "redirectUrl": "https://wallet.example/x"})],
    ),
    "wallet_recovery_request": Target(
        lambda data: parse_recovery(_members(data), WALLET, NOW_S).request.digest,
        REFUSALS,
        lambda: [_json({"chainId": 1, "payload": PAYLOAD})],
    ),
    "wallet_legacy_request": Target(
        lambda data: parse_legacy(_members(data), cross_check).described(),
        REFUSALS,
        lambda: [_json({**LEGACY, "message": {"bytes": "0x00"}})],
    ),
    "wallet_file": Target(
        _file,
        REFUSALS,
        lambda: [_json(described(PLAN)["configuration"]), _json(described(PLAN))],
    ),
}
