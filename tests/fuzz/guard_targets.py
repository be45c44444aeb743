"""Targets for what comes in about a guard: calls, messages, documents, requests, rules, recorded lines.

Whatever is understood is judged, put into words, recorded and read back.
"""

import json

from enclave.guard.checking import check_rules
from enclave.guard.compiling import compile_rules
from enclave.guard.decision_json import decision_to_json, log_line, parse_log_line
from enclave.guard.document import parse_document
from enclave.guard.errors import RulesError
from enclave.guard.requests import parse_request
from enclave.guard.rule_words import rules_words
from enclave.guard.sign_request import parse_sign_request
from evm.address import checksum
from evm.effects import Effect, effects_of_message, effects_of_payload
from evm.errors import EvmError
from evm.message import PersonalMessage
from evm.wallet.payload import Call, CallsPayload, MessagePayload
from protocol import canonical_json
from protocol.errors import ProtocolError
from tests.enclave_guard.guard_rules import DOCUMENT, NOW_S, RULES, USD, about, decide
from tests.enclave_guard.test_guard_wrapping import FORBIDDEN, PAYMENT, WRAPPERS
from tests.evm_effects.made import WALLET
from tests.fuzz.target import Target
from tests.guard_wire.guard_world import pay


def _judged(effects: tuple[Effect, ...]) -> None:
    """No way of a decision breaks, and a recorded one is read back whole."""
    decision = decide(effects)
    json.dumps(decision_to_json(decision, RULES.naming))
    found = parse_log_line(log_line(decision, about()))
    if (found.effects, found.outcome, found.by) != (effects, decision.outcome.text, decision.deciding.by):
        raise AssertionError("a recorded decision is another one")


def _calldata(data: bytes) -> None:
    _judged(effects_of_payload(CallsPayload((Call(USD, data=data),)), WALLET, 1, RULES.tokens))


def _message(data: bytes) -> None:
    _judged(effects_of_message(PersonalMessage(data, None), WALLET))
    _judged(effects_of_payload(MessagePayload(data), WALLET, 1))


def _request(data: bytes) -> None:
    _judged(parse_request(data, RULES.tokens).effects)


def _sign_request(data: bytes) -> None:
    _judged(parse_sign_request(canonical_json.parse(data)).effects(RULES.tokens))


def _rules(data: bytes) -> None:
    rules = compile_rules(parse_document(data))
    check_rules(rules)
    rules_words(rules)


def _calls() -> list[bytes]:
    found = [data for _, _, data in FORBIDDEN]
    return [*found, *(WRAPPERS[name](USD, PAYMENT)[1] for name in sorted(WRAPPERS))]


def _requests() -> list[bytes]:
    common = {"wallet": checksum(WALLET), "nowS": NOW_S}
    kinds = [
        {"message": {"text": "hello"}},
        {"authorization": {"chainId": "0x1", "address": checksum(USD), "nonce": "0x0"}},
        {"payload": {"type": "call", "space": "0", "nonce": "0", "calls": []}, "chainId": "1"},
    ]
    return [json.dumps(common | kind).encode() for kind in kinds]


TARGETS = {
    "guard calldata": Target(_calldata, (EvmError,), _calls),
    "guard message": Target(
        _message, (EvmError,), lambda: [b"hello", bytes(32), bytes(96), b"\x19Ethereum Signed Message:\n5hello"]
    ),
    "guard request in a file": Target(_request, (EvmError,), _requests),
    "guard SignWith": Target(_sign_request, (EvmError, ProtocolError), lambda: [json.dumps(pay()).encode()]),
    "guard rules": Target(_rules, (RulesError,), lambda: [json.dumps(dict(DOCUMENT)).encode()]),
    "guard log": Target(
        lambda data: parse_log_line(data.decode("latin-1")),
        (RulesError,),
        lambda: [log_line(decide(()), about()).encode()],
    ),
}
