"""Plans against the shared vectors of new wallets: the template, filled in, is the wallet kit's configuration."""

import json
from typing import Any

import pytest

from enclave.config import GuardKeys, RecoveryKey, WalletTemplate
from enclave.sequence.new_wallet import NewSigners, new_plan
from evm.address import checksum, parse_address
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.sessions.configuration import image_hash
from evm.wallet.sessions.session_json import tree_from_json
from tests.vectors import folder


def vectors() -> list[dict[str, Any]]:
    """Those that a template can give: one login that is a key, one device that may recover, sessions."""
    found = json.loads((folder("wallet-v3") / "default-wallet.json").read_text())["vectors"]
    for vector in found:
        vector["logins"] = [leaf["address"] for leaf in vector["loginSigners"] if leaf["type"] == "signer"]
    alone = [v for v in found if len(v["logins"]) == len(v["loginSigners"]) == len(v["deviceSigners"]) == 1]
    return [vector for vector in alone if vector["recovery"] and vector["sessions"]]


def template_of(vector: dict[str, Any]) -> WalletTemplate:
    guard = vector["guard"]
    keys = None
    if guard is not None:
        keys = GuardKeys(wallet=guard["wallet"], sessions=guard["sessions"], fallback=guard["recovery"])
    delay_s = int(vector["recovery"]["requiredDeltaTime"])
    return WalletTemplate(guard=keys, recovery=(RecoveryKey(key="device", delay_s=delay_s),))


def test_there_are_vectors_with_and_without_a_guard() -> None:
    assert {bool(vector["guard"]) for vector in vectors()} == {True, False}


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["id"])
def test_new_plan_is_the_kits_configuration(vector: dict[str, Any]) -> None:
    identity, device = (parse_address(vector[name][0]) for name in ("logins", "deviceSigners"))
    plan = new_plan(template_of(vector), identity, NewSigners(device, None, None))
    assert image_hash(plan.sessions) == image_hash(tree_from_json(vector["sessions"]["topology"]))
    assert plan.recovery.hash.hex() == vector["recovery"]["imageHash"][2:]
    assert plan.configuration == parse_configuration(vector["config"])
    assert "0x" + plan.configuration.image_hash.hex() == vector["imageHash"]
    assert checksum(plan.context.wallet_address(plan.configuration.image_hash)) == vector["address"]
