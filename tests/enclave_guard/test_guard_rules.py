"""Rule documents: what is refused, how rules match, what a decision says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.guard.compiling import REQUIRED, compile_rules
from enclave.guard.conditions import Circumstances
from enclave.guard.document import parse_document
from enclave.guard.errors import RulesError
from enclave.guard.judging import Outcome, judge
from enclave.guard.limits import MAX_BUDGETS, MAX_RULES, MAX_RULES_BYTES
from evm.address import Address, checksum
from evm.effects import Asset, Effect, Kind
from evm.effects.model import COIN
from tests.enclave_guard.guard_rules import DOCUMENT, NOW_S, PAYROLL, STRANGER, USD, WALLET, about, decide, rules
from tests.evm_effects.made import THIEF

PAY = {"id": "pay", "decision": "allow", "effects": ["transfer"], "assets": ["usd"], "counterparties": ["payroll"]}
PAYMENT = Effect(Kind.TRANSFER, 1, WALLET, USD, b"abcd", "transfer", PAYROLL, Asset("erc20", USD), 5)


def refused(**changes: Any) -> str:
    with pytest.raises(RulesError) as caught:
        rules(**changes)
    assert len(caught.value.sentence) > 20
    return caught.value.code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 0}, "rules-malformed"),
        ({"version": "1"}, "rules-malformed"),
        ({"surplus": 1}, "rules-malformed"),
        ({"rules": [PAY | {"amount": "5"}]}, "rules-malformed"),
        ({"rules": [PAY | {"effects": ["gift"]}]}, "rules-malformed"),
        ({"rules": [PAY | {"effects": []}]}, "rules-malformed"),
        ({"rules": [PAY | {"decision": "maybe"}]}, "rules-malformed"),
        ({"rules": [PAY | {"id": "Pay!"}]}, "rules-malformed"),
        ({"rules": [PAY, PAY]}, "rules-rule-id"),
        ({"rules": [PAY] * (MAX_RULES + 1)}, "rules-malformed"),
        ({"budgets": [DOCUMENT["budgets"][0]] * (MAX_BUDGETS + 1)}, "rules-malformed"),
        ({"budgets": [DOCUMENT["budgets"][0]] * 2}, "rules-budget-id"),
        ({"rules": [PAY | {"assets": ["gold"]}]}, "rules-unknown-token"),
        ({"rules": [PAY | {"counterparties": ["friends"]}]}, "rules-address"),
        ({"rules": [PAY | {"counterparties": []}]}, "rules-empty"),
        ({"rules": [PAY | {"chains": []}]}, "rules-empty"),
        ({"rules": [PAY | {"counterparties": None}]}, "rules-open"),
        ({"rules": [PAY | {"hours": {"days": ["mon"], "start": "18:00", "end": "08:00"}}]}, "rules-hours"),
        ({"rules": [PAY | {"hours": {"days": [], "start": "08:00"}}]}, "rules-hours"),
        ({"rules": [PAY | {"hours": {"days": ["mon"], "start": "8:00"}}]}, "rules-malformed"),
        ({"rules": [PAY | {"selectors": ["0x12"]}]}, "rules-selector"),
        ({"lists": {"any": []}, "rules": [], "budgets": []}, "rules-reserved-name"),
        ({"lists": {"x": ["0x" + "1" * 39]}}, "rules-address"),
        ({"lists": {"x": ["0x" + "11" * 20] * 769}}, "rules-lists"),
        ({"tokens": {"usd": DOCUMENT["tokens"]["usd"], "usd2": DOCUMENT["tokens"]["usd"]}}, "rules-token-twice"),
        ({"budgets": [{"id": "b", "asset": "native", "per": "wallet", "at_most": "1"}]}, "rules-budget-chain"),
        ({"budgets": [{"id": "b", "asset": "usd", "chain": 1, "per": "wallet", "at_most": "1"}]}, "rules-budget-chain"),
        ({"budgets": [{"id": "b", "asset": "usd", "per": "wallet", "at_most": "1.0000001"}]}, "rules-amount"),
        ({"budgets": [{"id": "b", "asset": "usd", "per": "wallet", "at_most": "-1"}]}, "rules-amount"),
        ({"budgets": [{"id": "b", "asset": "usd", "per": "wallet", "at_most": "1e3"}]}, "rules-amount"),
        ({"budgets": [{"id": "b", "asset": "usd", "per": "wallet", "at_most": "1", "effects": ["grant"]}]},
         "rules-budget-effects"),
    ],
)  # fmt: skip
def test_a_document_that_breaks_a_rule_is_refused_as_a_whole(change: dict[str, Any], code: str) -> None:
    assert refused(**change) == code


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"{" * 10_000, b" " * (MAX_RULES_BYTES + 1)])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(RulesError):
        parse_document(data)


@pytest.mark.parametrize("kind", [kind for kind in Kind if REQUIRED[kind]])
def test_a_permission_says_what_it_leaves_open(kind: Kind) -> None:
    """Each of what a kind requires, left out, refuses the document; "any" is enough."""
    open_ = {"id": "r", "decision": "allow", "effects": [kind.value]}
    values = {"reasons": ["selector"]}
    full = open_ | {name: values.get(name, ["any"]) for name in REQUIRED[kind]}
    rules(rules=[full], budgets=[])
    for name in REQUIRED[kind]:
        assert refused(rules=[full | {name: None}], budgets=[]) == "rules-open"


def test_everything_is_frozen() -> None:
    decision = decide((PAYMENT,), rules(frozen=True))
    assert (decision.outcome, decision.deciding.by) == (Outcome.DENY, "frozen")


def test_a_denial_wins_wherever_it_stands_and_among_permissions_the_first() -> None:
    review = PAY | {"id": "review", "decision": "review"}
    deny = {"id": "deny", "decision": "deny", "effects": ["transfer"]}
    assert decide((PAYMENT,), rules(rules=[PAY, review])).deciding.by == "pay"
    assert decide((PAYMENT,), rules(rules=[review, PAY])).deciding.by == "review"
    assert decide((PAYMENT,), rules(rules=[PAY, deny])).deciding.by == "deny"


def test_the_worst_answer_about_any_effect_is_the_answer() -> None:
    found = rules(rules=[PAY, {"id": "art", "decision": "review", "effects": ["transfer"], "assets": ["art"],
                               "counterparties": ["any"]}])  # fmt: skip
    art = Effect(Kind.TRANSFER, 1, WALLET, counterparty=STRANGER, asset=Asset("erc721", Address(b"\x2a" * 20), 1))
    assert decide((PAYMENT,), found).outcome is Outcome.ALLOW
    assert decide((PAYMENT, art), found).outcome is Outcome.REVIEW
    container = Effect(Kind.NESTED, 1, WALLET, STRANGER, effects=(PAYMENT,))
    assert decide((PAYMENT, container), found).deciding.by == "no-rule"


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"counterparties": ["payroll"]}, {}, {"counterparty": STRANGER}),
    ({"counterparties": ["payroll"]}, {}, {"counterparty": None}),
    ({"counterparties": ["own"]}, {"counterparty": WALLET}, {}),
    ({"counterparties": [checksum(STRANGER)]}, {"counterparty": STRANGER}, {}),
    ({"contracts": [checksum(USD)]}, {}, {"contract": STRANGER}),
    ({"contracts": [checksum(USD)]}, {}, {"contract": None}),
    ({"selectors": ["0x61626364"]}, {}, {"selector": b"abce"}),
    ({"selectors": ["0x"]}, {"selector": b""}, {}),
    ({"assets": ["usd"]}, {}, {"asset": Asset("erc721", USD)}),
    ({"assets": ["usd"]}, {}, {"asset": Asset("erc20", STRANGER)}),
    ({"assets": ["usd"]}, {}, {"chain_id": 137}),
    ({"assets": ["usd"]}, {}, {"asset": COIN}),
    ({"assets": ["native"]}, {"asset": COIN}, {}),
    ({"assets": ["any"]}, {"asset": Asset("token", STRANGER)}, {"account": STRANGER}),
    ({"chains": [137], "assets": ["any"]}, {"chain_id": 137}, {}),
    ({"accounts": "any"}, {"account": STRANGER}, {"counterparty": STRANGER}),
    ({"by_signature": True}, {"signed": True}, {"counterparty": STRANGER}),
    ({"by_signature": False}, {}, {"signed": True}),
    ({"lasts_at_most_s": 60}, {"expires_s": NOW_S + 60}, {"expires_s": NOW_S + 61}),
    ({"lasts_at_most_s": 60}, {"expires_s": 0}, {"expires_s": None}),
    ({"wallets": [checksum(WALLET)]}, {}, {"counterparty": STRANGER}),
]


@pytest.mark.parametrize(("condition", "meets", "misses"), CONDITIONS)
def test_each_condition_holds_back_what_does_not_meet_it(
    condition: dict[str, Any], meets: dict[str, Any], misses: dict[str, Any]
) -> None:
    from dataclasses import replace

    found = rules(rules=[PAY | condition], budgets=[])
    assert decide((replace(PAYMENT, **meets),), found).outcome is Outcome.ALLOW
    decision = decide((replace(PAYMENT, **misses),), found)
    assert (decision.outcome, decision.deciding.by) == (Outcome.DENY, "no-rule")
    assert decision.nearest.startswith("for rule pay, ")


@pytest.mark.parametrize(
    ("condition", "meets", "misses"),
    [
        ({"scopes": ["@1"]}, {"scope": "@1"}, {"scope": "@2"}),
        ({"scopes": ["@1"]}, {"scope": "@1"}, {}),
        ({"wallets": [checksum(WALLET)]}, {}, {"wallet": PAYROLL}),
        ({"not_before_s": 100}, {"now_s": 100}, {"now_s": 99}),
        ({"not_after_s": 100}, {"now_s": 100}, {"now_s": 101}),
        ({"hours": {"days": ["thu"], "start": "08:00", "end": "18:00"}}, {"now_s": 8 * 3600}, {"now_s": 8 * 3600 - 1}),
        ({"hours": {"days": ["thu"], "start": "08:00", "end": "18:00"}}, {"now_s": 18 * 3600 - 1},
         {"now_s": 18 * 3600}),
        ({"hours": {"days": ["thu"]}}, {"now_s": 86_399}, {"now_s": 86_400}),
        ({"hours": {"days": ["fri"]}}, {"now_s": 86_400}, {"now_s": 0}),
        ({"hours": {"days": ["sat"]}}, {"now_s": NOW_S}, {"now_s": NOW_S + 86_400}),
    ],
)  # fmt: skip
def test_who_asks_and_when_are_conditions_too(
    condition: dict[str, Any], meets: dict[str, Any], misses: dict[str, Any]
) -> None:
    found = rules(rules=[PAY | condition | {"accounts": "any"}], budgets=[])
    base = {"wallet": WALLET, "now_s": NOW_S}
    assert judge(found, (PAYMENT,), Circumstances(**(base | meets))).outcome is Outcome.ALLOW
    assert judge(found, (PAYMENT,), Circumstances(**(base | misses))).deciding.by == "no-rule"


def test_an_unlimited_approval_needs_a_rule_that_says_so() -> None:
    approve = PAY | {"effects": ["approval"]}
    for amount in (2**256 - 1, 2**255, 2**96 - 1, 2**128 - 1, 2**160 - 1):
        unlimited = Effect(
            Kind.APPROVAL, 1, WALLET, USD, counterparty=PAYROLL, asset=Asset("erc20", USD), amount=amount
        )
        assert decide((unlimited,), rules(rules=[approve], budgets=[])).deciding.by == "no-rule"
        assert decide((unlimited,), rules(rules=[approve | {"unlimited": True}], budgets=[])).outcome is Outcome.ALLOW


def test_what_is_unknown_is_permitted_for_the_reasons_that_a_rule_names() -> None:
    from evm.effects import Reason

    swap = {"id": "swap", "decision": "allow", "effects": ["unknown"], "contracts": [checksum(USD)],
            "selectors": ["any"], "reasons": ["selector"]}  # fmt: skip
    for reason in Reason:
        unknown = Effect(Kind.UNKNOWN, 1, WALLET, USD, b"abcd", reason=reason)
        permitted = decide((unknown,), rules(rules=[swap], budgets=[])).outcome is Outcome.ALLOW
        assert permitted == (reason is Reason.SELECTOR)


def test_chain_0_needs_a_rule_that_says_so_and_texts_have_no_chain() -> None:
    everywhere = Effect(Kind.NATIVE, 0, WALLET, counterparty=PAYROLL, asset=COIN, amount=0)
    pay = {"id": "pay", "decision": "allow", "effects": ["native"], "counterparties": ["payroll"]}
    assert decide((everywhere,), rules(rules=[pay], budgets=[])).deciding.by == "no-rule"
    assert decide((everywhere,), rules(rules=[pay | {"every_chain": True}], budgets=[])).outcome is Outcome.ALLOW
    text = Effect(Kind.STATEMENT, 0, WALLET)
    plain = {"id": "text", "decision": "allow", "effects": ["statement"], "sites": ["plain"], "chains": [1]}
    assert decide((text,), rules(rules=[plain], budgets=[])).outcome is Outcome.ALLOW


def test_budgets_sum_over_all_effects_and_count_what_comes_back_to_nobody() -> None:
    from dataclasses import replace

    payments = tuple(replace(PAYMENT, amount=60 * 10**6) for _ in range(10))
    back = replace(PAYMENT, amount=10**12, counterparty=WALLET)
    found = rules(rules=[PAY | {"counterparties": ["any"]}])
    decision = decide((*payments, back), found)
    [draw, each] = decision.draws
    assert draw.amount == each.amount == 600 * 10**6
    assert draw.subject == checksum(WALLET)
    spent = decide(payments, found, spent=lambda _: 500 * 10**6)
    assert (spent.outcome, spent.deciding.by) == (Outcome.SECOND_FACTOR, "budget:usd-day")
    full = decide(payments, found, spent=lambda _: 9_500 * 10**6)
    assert full.outcome is Outcome.DENY
    assert "500 usd" in full.nearest


@pytest.mark.parametrize(
    ("per", "subject"), [("wallet", checksum(WALLET)), ("session", "s"), ("scope", "@1"), ("everyone", "")]
)
def test_a_budget_is_shared_by_those_it_is_for(per: str, subject: str) -> None:
    budget = {"id": "b", "asset": "usd", "per": per, "window_s": 9, "at_most": "1"}
    found = rules(rules=[PAY], budgets=[budget])
    [draw] = decide((PAYMENT,), found, about(scope="@1", session="s")).draws
    assert draw.subject == subject


def test_a_budget_of_some_wallets_counts_and_bounds_these_alone() -> None:
    budget = {"id": "b", "asset": "usd", "per": "everyone", "wallets": ["ours"], "window_s": 9, "at_most": "0.000004"}
    lists = {**DOCUMENT["lists"], "ours": [checksum(WALLET)]}
    found = rules(rules=[PAY | {"accounts": "any"}], budgets=[budget], lists=lists)
    [draw] = decide((PAYMENT,), found).draws
    assert (draw.subject, decide((PAYMENT,), found).deciding.by) == ("", "budget:b")
    stranger = decide((PAYMENT,), found, about(wallet=THIEF))
    assert (stranger.outcome, stranger.draws) == (Outcome.ALLOW, ())
    for wallets, code in (([], "rules-empty"), (["nobody"], "rules-address")):
        with pytest.raises(RulesError) as caught:
            rules(budgets=[budget | {"wallets": wallets}])
        assert caught.value.code == code


def test_an_allowed_request_says_how_much_is_left() -> None:
    decision = decide((PAYMENT,), rules(rules=[PAY]))
    assert decision.outcome is Outcome.ALLOW
    assert decision.nearest == "999.999995 usd more before more is asked for"


def test_evaluation_is_bounded_and_ends_in_a_denial() -> None:
    never = [PAY | {"id": f"r{n}", "counterparties": [checksum(THIEF)]} for n in range(MAX_RULES - 1)]
    found = rules(rules=[*never, PAY], budgets=[])
    assert decide((PAYMENT,) * 100, found).outcome is Outcome.ALLOW
    decision = decide((PAYMENT,) * 512, found)
    assert decision.outcome is Outcome.DENY
    assert "too-much-work" in {reason.by for reason in decision.reasons}


_NAMES = st.sampled_from(["payroll", "thieves", "any", "own", "dex"])
_RULES = st.fixed_dictionaries(
    {
        "decision": st.sampled_from(["allow", "review", "second-factor", "deny"]),
        "effects": st.lists(st.sampled_from(["transfer", "approval"]), min_size=1, max_size=2),
        "assets": st.lists(st.sampled_from(["usd", "any", "native"]), min_size=1, max_size=2),
        "counterparties": st.lists(_NAMES, min_size=1, max_size=2),
        "unlimited": st.booleans(),
        "by_signature": st.booleans(),
        "every_chain": st.booleans(),
        "accounts": st.sampled_from(["own", "any"]),
    }
)
_EFFECTS = st.builds(
    Effect,
    kind=st.sampled_from([Kind.TRANSFER, Kind.APPROVAL, Kind.NATIVE]),
    chain_id=st.sampled_from([0, 1, 5]),
    account=st.sampled_from([WALLET, STRANGER]),
    contract=st.just(USD),
    counterparty=st.sampled_from([None, PAYROLL, THIEF, WALLET, STRANGER]),
    asset=st.sampled_from([Asset("erc20", USD), Asset("token", STRANGER), COIN]),
    amount=st.sampled_from([0, 1, 2**256 - 1]),
    signed=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_RULES, max_size=6), st.lists(_EFFECTS, min_size=1, max_size=4))
def test_a_decision_is_what_a_slow_reading_of_the_rules_gives(
    found: list[dict[str, Any]], effects: list[Effect]
) -> None:
    """An own, naive evaluator: for each effect every rule, by the words of docs/guard.md."""
    numbered = [rule | {"id": f"r{n}"} for n, rule in enumerate(found)]
    compiled = compile_rules(parse_document(json.dumps({**DOCUMENT, "rules": numbered, "budgets": []}).encode()))
    worst = 0
    for effect in effects:
        matching = [rule["decision"] for rule in numbered if naive(rule, effect)]
        permitting = [decision for decision in matching if decision != "deny"]
        answer = "deny" if effect.chain_id == 5 or "deny" in matching or not permitting else permitting[0]
        worst = max(worst, ["allow", "second-factor", "review", "deny"].index(answer))
    assert judge(compiled, tuple(effects), about()).outcome == worst


def naive(rule: dict[str, Any], effect: Effect) -> bool:
    people = {"payroll": PAYROLL, "thieves": THIEF, "own": WALLET, "dex": Address(b"\xde" * 20)}
    assets = {"usd": (1, Asset("erc20", USD)), "native": (effect.chain_id, COIN)}
    wide = {
        "unlimited": effect.kind is Kind.APPROVAL and effect.amount == 2**256 - 1,
        "every_chain": effect.chain_id == 0,
        "by_signature": effect.signed,
    }
    denies = rule["decision"] == "deny"
    if effect.kind.value not in rule["effects"]:
        return False
    if "any" not in rule["counterparties"] and effect.counterparty not in [people[n] for n in rule["counterparties"]]:
        return False
    if "any" not in rule["assets"] and (effect.chain_id, effect.asset) not in [assets[n] for n in rule["assets"]]:
        return False
    if not denies and rule["accounts"] == "own" and effect.account != WALLET:
        return False
    if denies:
        return all(wide[name] for name in wide if rule[name])
    return not any(wide[name] for name in wide if not rule[name])


def test_what_holds_on_every_chain_is_drawn_from_the_budget_of_each() -> None:
    everywhere = Effect(Kind.NATIVE, 0, WALLET, counterparty=PAYROLL, asset=COIN, amount=7)
    pay = {"id": "pay", "decision": "allow", "effects": ["native"], "counterparties": ["payroll"], "every_chain": True}
    draws = decide((everywhere,), rules(rules=[pay])).draws
    assert {(draw.budget.id, draw.amount) for draw in draws} == {("coins-day", 7), ("coins-day-137", 7)}


def test_of_answers_that_are_equally_bad_the_most_telling_is_named() -> None:
    """A budget is beside the point where nothing permits the payment, and that where a rule forbids it."""
    from dataclasses import replace

    huge = replace(PAYMENT, amount=2**255, counterparty=STRANGER)
    forbid = {"id": "forbid", "decision": "deny", "effects": ["transfer"], "counterparties": [checksum(STRANGER)]}
    assert decide((huge,), rules(rules=[PAY])).deciding.by == "no-rule"
    assert decide((huge,), rules(rules=[PAY, forbid])).deciding.by == "forbid"
    assert decide((replace(huge, counterparty=PAYROLL),), rules(rules=[PAY])).deciding.by == "budget:usd-day"
