"""Targets for what the delegation methods take: permission requests, drafts of delegations, caps, account code."""

import json
from typing import Any

from enclave.config import parse_config
from enclave.config.delegations import Delegations
from enclave.delegations.proposals import Proposer
from evm.authorization import parse_authorization
from evm.errors import EvmError
from evm.wallet.sessions.capped import parse_capped
from evm.wallet.sessions.words import session_words
from protocol import canonical_json
from protocol.errors import ProtocolError
from tests.appliance import config_json
from tests.enclave_delegations.delegation_support import scopes
from tests.evm_delegations.samples import CHAIN, COIN_TERMS, NOW_S, TOKEN_TERMS, WALLET, delegation
from tests.evm_delegations.test_delegations_permissions import DATA, asked
from tests.fuzz.target import Target

REFUSALS = (EvmError, ProtocolError)


def _delegations() -> Delegations:
    found = parse_config(json.dumps(config_json(scopes=scopes())).encode()).scopes[0].delegations
    assert found is not None
    return found


DELEGATIONS = _delegations()


def _proposed(data: bytes) -> object:
    """What is proposed has an end, a bound and words; the same again has another salt."""
    params = canonical_json.parse(data)
    if not isinstance(params, dict):
        raise ProtocolError("json-malformed")
    found = Proposer(lambda size: b"\x77" * size).propose(params, DELEGATIONS, WALLET, NOW_S).verified
    if not (found.grant.expires_at_s > NOW_S and found.understood["words"] and found.exposure < 2**256):
        raise AssertionError("a proposal without an end, a bound or words")
    return found.digest


def _draft(terms: Any) -> bytes:
    made = delegation(*terms)
    shown = made.as_json()
    del shown["salt"]
    return json.dumps({"delegation": shown, "chainId": hex(CHAIN)}).encode()


CAPS = {
    "signer": "0x" + "5e" * 20,
    "chainId": "137",
    "until": str(2 * NOW_S),
    "sends": [{"token": "0x" + "70" * 20, "to": "0x" + "33" * 20, "perTransaction": "5", "total": "9"}],
}
TARGETS = {
    "delegation_request": Target(
        _proposed,
        REFUSALS,
        lambda: [
            *[json.dumps({"permission": asked(kind)}).encode() for kind in DATA],
            _draft(TOKEN_TERMS),
            _draft(COIN_TERMS),
        ],
    ),
    "delegation_account_code": Target(
        lambda data: parse_authorization(canonical_json.parse(data)).digest,
        REFUSALS,
        lambda: [json.dumps({"chainId": "0x89", "address": "0x" + "63" * 20, "nonce": "0x5"}).encode()],
    ),
    "delegation_caps": Target(
        lambda data: session_words(parse_capped(canonical_json.parse(data))),
        REFUSALS,
        lambda: [json.dumps(CAPS).encode()],
    ),
}
