"""A rule document as a company would write it, and how the tests ask it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from enclave.guard.compiling import Rules, compile_rules
from enclave.guard.conditions import Circumstances
from enclave.guard.document import parse_document
from enclave.guard.judging import Decision, Spent, judge, nothing_spent
from evm.address import Address, checksum
from evm.effects import Effect
from tests.evm_effects.made import ENTRY_POINT, MULTI_SEND, MULTICALL3, PERMIT2, SAFE, THIEF, WALLET

USD = Address(b"\x22" * 20)
ART = Address(b"\x2a" * 20)
PAYROLL = Address(b"\x44" * 20)
DEX = Address(b"\xde" * 20)
APP_KEY = Address(b"\xaa" * 20)
STRANGER = Address(b"\x77" * 20)
WETH = Address(b"\x3e" * 20)
VAULT = Address(b"\x4a" * 20)
ROUTER = Address(b"\xd1" * 20)
LENDING = Address(b"\x1e" * 20)
BRIDGE = Address(b"\xb1" * 20)
SETTLEMENT = Address(b"\xc0" * 20)  # of orders that are sold by signature
REACTOR = Address(b"\x4e" * 20)  # of orders that Permit2 pays
FEES = Address(b"\xfe" * 20)  # what markets take
SWAP = "0x12345678"
NOW_S = 1_764_400_000  # a Saturday

DOCUMENT: Final[Mapping[str, Any]] = {
    "version": 1,
    "name": "acme",
    "chains": [1, 137],
    "tokens": {
        "usd": {"chain": 1, "address": checksum(USD), "standard": "erc20", "decimals": 6},
        "art": {"chain": 1, "address": checksum(ART), "standard": "erc721"},
        "weth": {"chain": 1, "address": checksum(WETH), "standard": "erc20", "decimals": 18},
        "vault": {"chain": 1, "address": checksum(VAULT), "standard": "erc20", "decimals": 18},
    },
    "lists": {
        "thieves": [checksum(THIEF)],
        "payroll": [checksum(PAYROLL)],
        "dex": [checksum(DEX)],
        "permit2": [checksum(PERMIT2)],
        "batchers": [checksum(MULTICALL3), checksum(SAFE), checksum(MULTI_SEND)],
        "multi-send": [checksum(MULTI_SEND)],
        "entry-points": [checksum(ENTRY_POINT)],
        "app-keys": [checksum(APP_KEY)],
        "venues": [checksum(ROUTER), checksum(LENDING), checksum(BRIDGE), checksum(WETH), checksum(VAULT)],
        "routers": [checksum(ROUTER)],
        "settlement": [checksum(SETTLEMENT)],
        "reactors": [checksum(REACTOR)],
        "fees": [checksum(FEES)],
    },
    "rules": [
        {"id": "thieves", "decision": "deny", "counterparties": ["thieves"],
         "effects": ["native", "transfer", "approval", "operator", "grant", "delegation"], "why": "Known thieves"},
        {"id": "no-operators", "decision": "deny", "effects": ["operator"]},
        {"id": "no-unlimited", "decision": "deny", "effects": ["approval"], "unlimited": True},
        {"id": "no-every-chain", "decision": "deny", "every_chain": True,
         "effects": ["native", "transfer", "approval", "nested", "unknown", "account-change"]},
        {"id": "no-delegation", "decision": "deny", "effects": ["delegation"]},
        {"id": "no-control-change", "decision": "deny", "effects": ["account-change", "recovery"]},
        {"id": "fees", "decision": "allow", "effects": ["fee"]},
        {"id": "pay", "decision": "allow", "effects": ["transfer"], "assets": ["usd"],
         "counterparties": ["payroll", "own"]},
        {"id": "trade", "decision": "allow", "effects": ["transfer"], "assets": ["usd", "weth", "vault"],
         "counterparties": ["venues", "own", "fees"]},
        {"id": "trade-coins", "decision": "allow", "effects": ["native"], "counterparties": ["venues"]},
        {"id": "coins-come-back", "decision": "allow", "effects": ["approval"], "assets": ["native"],
         "counterparties": ["own"]},
        {"id": "route", "decision": "allow", "effects": ["nested"], "contracts": ["routers"]},
        {"id": "sell", "decision": "second-factor", "effects": ["transfer"], "assets": ["usd", "art", "weth"],
         "contracts": ["settlement"], "counterparties": ["open", "payroll"], "by_signature": True,
         "lasts_at_most_s": 3600},
        {"id": "permit-reactor", "decision": "second-factor", "effects": ["approval"], "assets": ["usd"],
         "counterparties": ["reactors"], "by_signature": True, "lasts_at_most_s": 3600},
        {"id": "pay-coins", "decision": "allow", "effects": ["native"], "counterparties": ["payroll", "dex", "own"]},
        {"id": "give-art", "decision": "review", "effects": ["transfer"], "assets": ["art"],
         "counterparties": ["payroll"]},
        {"id": "approve-dex", "decision": "allow", "effects": ["approval"], "assets": ["usd"],
         "counterparties": ["dex", "permit2"]},
        {"id": "permit-dex", "decision": "second-factor", "effects": ["approval"], "assets": ["usd"],
         "counterparties": ["dex"], "by_signature": True, "lasts_at_most_s": 3600},
        {"id": "revoke", "decision": "allow", "effects": ["revocation"]},
        {"id": "swap", "decision": "allow", "effects": ["unknown"], "contracts": ["dex"], "selectors": [SWAP],
         "reasons": ["selector"]},
        {"id": "batch", "decision": "allow", "effects": ["nested"], "contracts": ["batchers", "own"]},
        {"id": "safe-batch", "decision": "allow", "effects": ["delegate-call"], "contracts": ["multi-send"],
         "selectors": ["0x8d80ff0a"], "accounts": "any"},
        {"id": "safe-pay", "decision": "review", "effects": ["transfer", "native"], "assets": ["usd", "native"],
         "counterparties": ["payroll"], "accounts": "any"},
        {"id": "text", "decision": "allow", "effects": ["statement"], "sites": ["plain", "app.example"]},
        {"id": "session", "decision": "second-factor", "effects": ["grant"], "counterparties": ["app-keys"],
         "lasts_at_most_s": 86400},
        {"id": "session-bounds", "decision": "allow", "effects": ["approval"], "assets": ["usd"],
         "counterparties": ["app-keys"], "by_signature": True, "lasts_at_most_s": 86400},
        {"id": "operations", "decision": "allow", "effects": ["user-operation"], "contracts": ["entry-points"]},
    ],
    "budgets": [
        {"id": "usd-day", "asset": "usd", "per": "wallet", "window_s": 86400, "second_factor_above": "1000",
         "review_above": "5000", "at_most": "10000"},
        {"id": "usd-request", "asset": "usd", "per": "wallet", "at_most": "8000"},
        {"id": "coins-day", "asset": "native", "chain": 1, "per": "wallet", "window_s": 86400, "at_most": "2"},
        {"id": "coins-day-137", "asset": "native", "chain": 137, "per": "scope", "window_s": 86400, "at_most": "2"},
        {"id": "fee-request", "asset": "native", "chain": 1, "per": "wallet", "effects": ["fee"], "at_most": "0.05"},
    ],
}  # fmt: skip


def rules(**changes: Any) -> Rules:
    """The document with some members replaced."""
    return compile_rules(parse_document(json.dumps({**DOCUMENT, **changes}).encode()))


RULES = rules()


def about(now_s: int = NOW_S, wallet: Address = WALLET, **more: Any) -> Circumstances:
    """Circumstances of a request."""
    return Circumstances(wallet, now_s, **more)


def decide(
    effects: tuple[Effect, ...], found: Rules = RULES, at: Circumstances | None = None, spent: Spent = nothing_spent
) -> Decision:
    """The decision about effects."""
    return judge(found, effects, at or about(), spent)
