"""The simulated guard on paper: its holders, the people around it, its first rules, and its measured configuration.

Officers and reviewers have their keys in the state folder, so that one person on a laptop can be all of them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from host_proxy.client.device_key import DeviceKey
from simulator import settings
from simulator.authenticator import SoftwarePasskey
from simulator.settings import HolderSeat

DEPLOYMENT: Final = "simulator-guard"
FOLDER: Final = "guard"
"""In the state folder: the guard's store, its people's keys, its first rules."""
HOLDERS: Final = (
    HolderSeat("guard-operator", "555555555555", "eu-central-1", DEPLOYMENT),
    HolderSeat("guard-auditor", "666666666666", "us-west-2", DEPLOYMENT),
    HolderSeat("guard-custodian", "777777777777", "ap-northeast-1", DEPLOYMENT),
)
OFFICERS: Final = ("olga", "otto", "odile")
REVIEWERS: Final = ("rita", "ravi", "rosa")
QUORUM: Final = 2
SITE: Final = "localhost"
"""What reviewers' passkeys are for."""

CHAIN: Final = 31337
TOKEN: Final = "0x5FbDB2315678afecb367f032d93F642f64180aa3"  # noqa: S105  a contract's address
PAYROLL: Final = "0x4444444444444444444444444444444444444444"
_COIN: Final = 10**18
_USD: Final = f"erc20:{TOKEN}"
_WALLET: Final = "0x1111111111111111111111111111111111111111"
_STRANGER: Final = "0x7777777777777777777777777777777777777777"


def origin(url: str) -> str:
    """Where a browser opens the pages of a guard at `url`: passkeys are for a name, not for a number."""
    return url.replace("127.0.0.1", SITE)


def officer_key(state: Path, name: str) -> Path:
    """The private key of an officer (PEM), made at first use."""
    path = state / FOLDER / f"{name}.pem"
    DeviceKey.load_or_create(path)
    return path


def wire_of(state: Path, name: str) -> dict[str, str]:
    """An officer, as a measured configuration names them."""
    key = DeviceKey.load(officer_key(state, name)).wire()
    return {"name": name, "key_type": key["keyType"], "address": key["address"]}


def passkey(state: Path, name: str) -> SoftwarePasskey:
    """The passkey of a reviewer, made at first use."""
    return SoftwarePasskey.load_or_create(state / FOLDER / f"{name}.passkey.json", SITE)


def measured_config(
    state: Path, key_arns: Sequence[str], roots_pem: str, page_origin: str, changes: Mapping[str, Any]
) -> bytes:
    """The guard's configuration. Its rules are written down at the first start and stay as they are: an image with
    other rules of the same version would not boot beside those in force.
    """
    path = state / FOLDER / "rules.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(json.dumps(first_rules(state, page_origin), indent=1))
    officers = [wire_of(state, name) for name in OFFICERS]
    rules = json.loads(path.read_text())
    guard = {"officers": officers, "quorum": QUORUM, "wallets": "registered", "rules": rules}
    own: dict[str, Any] = {
        "role": "guard",
        "deployment": DEPLOYMENT,
        "scopes": [],
        "issuer": None,
        "tenancy": None,
        "guard": guard,
    }
    return settings.measured_config(key_arns, roots_pem, HOLDERS, **{**own, **changes})


def first_rules(state: Path, page_origin: str) -> dict[str, Any]:
    """What a small company would begin with: it pays its payroll, by itself up to a limit; reviewers see the rest."""
    return {
        "version": 1,
        "name": "treasury",
        "chains": [CHAIN],
        "tokens": {"usd": {"chain": CHAIN, "address": TOKEN, "standard": "erc20", "decimals": 6}},
        "lists": {"payroll": [PAYROLL]},
        "rules": [
            {"id": "no-operators", "decision": "deny", "effects": ["operator"], "why": "Nobody gets everything"},
            {"id": "no-approvals", "decision": "deny", "effects": ["approval"], "why": "We pay, nobody collects"},
            {"id": "pay", "decision": "allow", "effects": ["native", "transfer"], "assets": ["usd", "native"],
             "counterparties": ["payroll"]},
            {"id": "text", "decision": "allow", "effects": ["statement"], "sites": ["plain"]},
            {"id": "wallet-changes", "decision": "review", "effects": ["account-change"], "counterparties": ["any"],
             "every_chain": True, "by_signature": True},
        ],
        "budgets": [
            {"id": "coins-day", "asset": "native", "chain": CHAIN, "per": "wallet", "window_s": 86_400,
             "review_above": "1", "at_most": "10"},
            {"id": "usd-day", "asset": "usd", "per": "wallet", "window_s": 86_400,
             "review_above": "1000", "at_most": "10000"},
        ],
        "review": {
            "site": SITE,
            "origins": [page_origin],
            "quorum": QUORUM,
            "hold_s": 86_400,
            "reviewers": [passkey(state, name).reviewer(name) for name in REVIEWERS],
        },
        "examples": [
            _example("salary", "allow", "pay", "native", counterparty=PAYROLL, asset="native", amount=_COIN // 10),
            _example("salary in tokens", "allow", "pay", "transfer", counterparty=PAYROLL, asset=_USD, amount=10**8),
            _example("bonus", "review", "budget:coins-day", "native",
                     counterparty=PAYROLL, asset="native", amount=2 * _COIN),
            _example("to a stranger", "deny", "no-rule", "native", counterparty=_STRANGER, asset="native", amount=1),
            _example("for a stranger", "deny", "no-approvals", "approval",
                     counterparty=_STRANGER, asset=_USD, amount=1),
            _example("all our art", "deny", "no-operators", "operator",
                     counterparty=_STRANGER, asset=f"erc721:{TOKEN}"),
            _example("a text", "allow", "text", "statement", chainId=0, signed=True),
            _example("a new device", "review", "wallet-changes", "account-change", chainId=0, signed=True),
        ],
    }  # fmt: skip


def _example(name: str, expect: str, by: str, kind: str, **members: Any) -> dict[str, Any]:
    told = {name: member if type(member) is bool else str(member) for name, member in members.items()}
    effect = {"kind": kind, "chainId": str(CHAIN), "account": _WALLET, **told}
    return {"name": name, "wallet": _WALLET, "expect": expect, "by": by, "effects": [effect]}
