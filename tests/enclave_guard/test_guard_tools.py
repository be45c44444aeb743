"""Static checks, explanations, the log of decisions, replay and the command."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enclave.guard.checking import check_rules
from enclave.guard.cli import ExitCode, _parser, run
from enclave.guard.compiling import Rules
from enclave.guard.decision_json import decision_to_json, log_line, parse_log_line
from enclave.guard.errors import RulesError
from enclave.guard.judging import Outcome, judge
from enclave.guard.replaying import differences, replay
from enclave.guard.rule_words import rules_words
from evm.address import checksum
from evm.effects import Asset, Effect, Kind
from evm.effects.effect_json import effect_to_json
from host_proxy.cli.guard import OFFLINE
from tests.enclave_guard.corpus import HOSTILE, ORDINARY
from tests.enclave_guard.guard_rules import DEX, DOCUMENT, NOW_S, PAYROLL, RULES, USD, WALLET, about, decide, rules
from tests.evm_effects.made import THIEF, calldata, tx

PAY = {"id": "pay", "decision": "allow", "effects": ["transfer"], "assets": ["usd"], "counterparties": ["payroll"]}
BUDGET = DOCUMENT["budgets"][0]


def codes(found: Rules) -> set[tuple[str, str]]:
    return {(finding.code, finding.subject) for finding in check_rules(found)}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"rules": [PAY, PAY | {"id": "again"}]}, ("unreachable", "again")),
        ({"rules": [PAY | {"counterparties": ["any"]}, PAY | {"id": "again"}]}, ("unreachable", "again")),
        ({"rules": [{"id": "no", "decision": "deny", "effects": ["transfer"]}, PAY]}, ("contradiction", "pay")),
        ({"rules": [PAY, {"id": "pay-all", "decision": "review", "effects": ["transfer", "native"], "assets": ["usd"],
                    "counterparties": ["payroll"]}]}, ("shadowed", "pay-all")),
        ({"rules": [{"id": "no", "decision": "deny", "effects": ["operator"]}, PAY | {
            "effects": ["transfer", "operator"]}]}, ("shadowed", "pay")),
        ({"rules": [PAY, {"id": "coins", "decision": "allow", "effects": ["native"], "counterparties": ["any"]},
                    PAY | {"id": "both", "effects": ["transfer", "native"]}]}, ("unreachable", "both")),
        ({"rules": [{"id": "no", "decision": "deny", "effects": ["transfer"]},
                    {"id": "again", "decision": "deny", "effects": ["transfer"], "assets": ["usd"]}]},
         ("unreachable", "again")),
        ({"rules": [{"id": "no", "decision": "deny", "effects": ["approval"], "unlimited": True},
                    {"id": "again", "decision": "deny", "effects": ["approval"], "unlimited": True,
                     "counterparties": ["dex"]}]}, ("unreachable", "again")),
        ({"rules": [PAY], "budgets": [BUDGET | {"per": "everyone"}]}, ("shared-budget", "usd-day")),
        ({"rules": [PAY]}, ("no-example", "usd-day")),
        ({"rules": [PAY | {"chains": [5]}]}, ("chain-not-served", "pay")),
        ({"rules": [PAY], "budgets": [BUDGET | {"review_above": "10000"}]}, ("threshold-never-reached", "usd-day")),
        ({"rules": [PAY], "budgets": [BUDGET | {"second_factor_above": "6000"}]},
         ("threshold-never-reached", "usd-day")),
        ({"rules": [PAY | {"effects": ["approval"], "unlimited": True}], "budgets": []},
         ("unlimited-approvals", "pay")),
        ({"rules": [PAY | {"effects": ["approval"], "unlimited": True}]}, ("contradiction", "pay")),
        ({"rules": [PAY | {"effects": ["operator"]}]}, ("operators", "pay")),
        ({"rules": [PAY | {"effects": ["approval"], "counterparties": ["any"]}]}, ("any-spender", "pay")),
        ({"rules": [PAY | {"effects": ["delegation"]}]}, ("full-control", "pay")),
        ({"rules": [PAY | {"effects": ["account-change"]}]}, ("full-control", "pay")),
        ({"rules": [PAY | {"effects": ["nested"], "contracts": ["any"]}]}, ("any-code", "pay")),
        ({"rules": [PAY | {"effects": ["unknown"], "contracts": ["dex"], "selectors": ["any"],
                           "reasons": ["selector"]}]}, ("any-function", "pay")),
        ({"rules": [PAY | {"every_chain": True}]}, ("every-chain", "pay")),
        ({"rules": [PAY | {"accounts": "any"}]}, ("any-account", "pay")),
        ({"rules": [PAY | {"effects": ["grant"]}]}, ("endless-grant", "pay")),
        ({"rules": [PAY], "budgets": []}, ("no-budget", "pay")),
        ({"rules": [PAY | {"assets": ["any"]}]}, ("no-budget", "pay")),
        ({"rules": [PAY]}, ("unused-list", "dex")),
        ({"rules": [PAY]}, ("unused-token", "art")),
        ({"rules": [PAY]}, ("no-example", "pay")),
        ({"frozen": True}, ("frozen", "acme")),
        ({"lists": DOCUMENT["lists"] | {"more": ["0x4444" + "0" * 32 + "4444"]}}, ("lookalike", "more")),
        ({"rules": [PAY], "examples": [{"name": "pays", "wallet": checksum(WALLET), "expect": "allow", "by": "pay",
                                        "effects": []}]}, ("example-fails", "pays")),
        ({"rules": [PAY], "examples": [{"name": "pays", "wallet": "0x", "expect": "allow", "by": "pay",
                                        "effects": []}]}, ("example-fails", "pays")),
    ],
)  # fmt: skip
def test_a_check_finds_what_it_is_for(changes: dict[str, Any], finding: tuple[str, str]) -> None:
    assert finding in codes(rules(**changes))


@pytest.mark.parametrize(
    "narrow",
    [
        {"hours": {"days": ["mon"]}},
        {"not_before_s": 5},
        {"not_after_s": 5},
        {"lasts_at_most_s": 60},
        {"scopes": ["@1"]},
        {"chains": [1]},
        {"wallets": [checksum(WALLET)]},
        {"contracts": [checksum(USD)]},
        {"selectors": ["0xa9059cbb"]},
    ],
)
def test_a_rule_that_holds_at_times_or_for_some_does_not_make_the_next_unreachable(narrow: dict[str, Any]) -> None:
    assert ("unreachable", "again") not in codes(rules(rules=[PAY | narrow, PAY | {"id": "again"}]))
    assert ("unreachable", "again") in codes(rules(rules=[PAY, PAY | narrow | {"id": "again"}]))
    assert ("unreachable", "again") in codes(rules(rules=[PAY | narrow, PAY | narrow | {"id": "again"}]))


def test_findings_are_sentences_that_name_their_subject() -> None:
    for finding in check_rules(RULES):
        assert finding.words.endswith((".", "!"))
        assert finding.subject in finding.words


def test_an_example_that_holds_is_no_finding_and_covers_its_rule() -> None:
    effect = Effect(Kind.TRANSFER, 1, WALLET, USD, counterparty=PAYROLL, asset=Asset("erc20", USD), amount=5)
    example = {"name": "pays", "wallet": checksum(WALLET), "expect": "allow", "by": "pay",
               "effects": [effect_to_json(effect)]}  # fmt: skip
    found = codes(rules(rules=[PAY], examples=[example]))
    assert not found & {("example-fails", "pays"), ("no-example", "pay")}


def test_a_rule_that_is_said_to_be_unreachable_decides_nothing_in_the_corpus() -> None:
    doubled = rules(rules=[*DOCUMENT["rules"], *(rule | {"id": rule["id"] + "-2"} for rule in DOCUMENT["rules"])])
    unreachable = {finding.subject for finding in check_rules(doubled) if finding.code == "unreachable"}
    assert len(unreachable) > 5
    deciders = {
        reason.by for case in [*HOSTILE, *ORDINARY] for reason in judge(doubled, case.effects(), about()).reasons
    }
    assert not unreachable & deciders


def test_the_document_of_the_tests_has_no_errors() -> None:
    assert [finding for finding in check_rules(RULES) if finding.severity == "error"] == []


def test_rules_in_words_name_every_rule_list_and_budget() -> None:
    words = "\n".join(rules_words(RULES))
    for rule in RULES.document.rules:
        assert f"{rule.id}: " in words
    assert (
        "at most 10000 usd in any 86400 seconds for each wallet (second factor above 1000, review above 5000)" in words
    )
    assert "Everything else is refused." in words


def test_a_decision_is_told_as_data_and_in_words() -> None:
    case = next(case for case in HOSTILE if case.name == "multicall that hides an approval")
    found = decision_to_json(decide(case.effects()), RULES.naming)
    assert (found["outcome"], found["by"], found["rulesVersion"]) == ("deny", "thieves", 1)
    assert found["words"][0].startswith("DENY by thieves: Known thieves: Let 0x6666")
    assert any("UNLIMITED" in line for line in found["words"])
    json.dumps(found)


def test_the_nearest_rule_and_what_it_would_take_are_told() -> None:
    case = next(case for case in HOSTILE if case.name == "transfer to a stranger")
    decision = decide(case.effects())
    assert decision.nearest == "for rule pay, the recipient, spender or operator has to be in payroll or own"


LOG = [log_line(decide(case.effects()), about(NOW_S + n)) for n, case in enumerate([*HOSTILE, *ORDINARY])]


def test_a_recorded_decision_is_read_back_whole() -> None:
    for case in [*HOSTILE, *ORDINARY]:
        decision = decide(case.effects())
        entry = parse_log_line(log_line(decision, about(scope="@1", session="s")))
        assert entry.effects == decision.effects
        assert (entry.about.scope, entry.about.session, entry.about.wallet) == ("@1", "s", WALLET)
        assert (entry.outcome, entry.by) == (decision.outcome.text, decision.deciding.by)


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", "x", "[" * 100_000, LOG[0][:-1], LOG[0].replace("timeS", "time"),
             LOG[0].replace('"scope":""', '"scope":1'), LOG[0].replace("decision/1", "decision/2")]
)  # fmt: skip
def test_a_line_that_is_no_decision_is_refused(line: str) -> None:
    with pytest.raises(RulesError):
        parse_log_line(line)


def test_a_replay_under_the_same_rules_flips_nothing_but_what_budgets_add_up_to() -> None:
    entries = [parse_log_line(line) for line in LOG]
    flips = [found for found in replay(rules(budgets=[]), entries) if found.flips]
    assert all("budget" in found.entry.by for found in flips)


def test_a_replay_draws_budgets_along() -> None:
    pay = next(case for case in ORDINARY if case.name == "payment")  # of 500 a time
    entries = [parse_log_line(log_line(decide(pay.effects()), about(NOW_S + n))) for n in range(25)]
    outcomes = [found.decision.outcome for found in replay(RULES, entries)]
    assert [outcomes.count(outcome) for outcome in Outcome] == [2, 8, 10, 5]


def test_a_difference_names_what_flips() -> None:
    stricter = rules(rules=[rule for rule in DOCUMENT["rules"] if rule["id"] != "text"])
    entries = [parse_log_line(line) for line in LOG]
    found = differences(RULES, stricter, entries)
    assert {(flip.before.deciding.by, flip.after.deciding.by) for flip in found} == {("text", "no-rule")}


def write(path: Path, value: Any) -> str:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def request(to: str = checksum(PAYROLL), amount: int = 5) -> dict[str, Any]:
    data = calldata("transfer(address,uint256)", bytes.fromhex(to[2:]), amount)
    found = tx(USD, data)
    fees = {"maxPriorityFeePerGas": "0x1", "maxFeePerGas": "0x1", "gas": "0x5208"}
    call = {"to": checksum(USD), "data": "0x" + found.data.hex()}
    transaction = {"type": "0x2", "chainId": "0x1", "nonce": "0x0", **fees, **call}
    return {"wallet": checksum(WALLET), "nowS": NOW_S, "transaction": transaction}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    stricter = [rule for rule in DOCUMENT["rules"] if rule["id"] != "pay"]
    return {
        "rules": write(tmp_path / "rules.json", dict(DOCUMENT)),
        "stricter": write(tmp_path / "stricter.json", dict(DOCUMENT) | {"version": 2, "rules": stricter}),
        "contradictory": write(tmp_path / "no.json", dict(DOCUMENT) | {"rules": [PAY, PAY | {"id": "again"}]}),
        "good": write(tmp_path / "good.json", request()),
        "bad": write(tmp_path / "bad.json", request(checksum(THIEF))),
        "large": write(tmp_path / "large.json", request(amount=2_000 * 10**6)),
        "log": write(tmp_path / "log.jsonl", "\n".join(LOG)),
        "broken": write(tmp_path / "broken.json", "{"),
    }


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "rules"], ExitCode.ALLOWED),
        (["lint", "rules"], ExitCode.ALLOWED),
        (["lint", "contradictory"], ExitCode.REFUSED),
        (["lint", "broken"], ExitCode.UNREADABLE),
        (["lint", "rules", "good"], ExitCode.USAGE),
        (["check", "rules", "good"], ExitCode.ALLOWED),
        (["check", "rules", "bad"], ExitCode.REFUSED),
        (["check", "rules", "large"], ExitCode.ASKS_FOR_MORE),
        (["check", "broken"], ExitCode.UNREADABLE),
        (["check", "rules", "broken"], ExitCode.UNREADABLE),
        (["check", "rules", "rules"], ExitCode.UNREADABLE),
        (["check", "nowhere"], ExitCode.UNREADABLE),
        (["explain", "rules"], ExitCode.ALLOWED),
        (["explain"], ExitCode.UNREADABLE),
        (["explain", "rules", "--request", "bad"], ExitCode.ALLOWED),
        (["explain", "--request", "bad"], ExitCode.ALLOWED),
        (["diff", "rules", "rules", "log"], ExitCode.ALLOWED),
        (["diff", "rules", "stricter", "log"], ExitCode.REFUSED),
        (["replay", "stricter", "log"], ExitCode.REFUSED),
        (["replay", "rules", "good"], ExitCode.UNREADABLE),
        (["judge"], ExitCode.USAGE),
        (["--help"], ExitCode.ALLOWED),
    ],
)
def test_the_command_ends_with_a_code_that_says_how_it_went(
    arguments: list[str], code: ExitCode, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    known = [files.get(argument, argument) for argument in arguments]
    assert run(known) == code
    shown = capsys.readouterr()
    assert shown.out or shown.err
    if code is not ExitCode.USAGE and "--help" not in arguments:
        run([*known, "--json"])
        json.loads(capsys.readouterr().out)


def test_a_dry_run_shows_rule_effects_and_the_way_out(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["check", files["rules"], files["large"]])
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("SECOND-FACTOR by budget:usd-day: Within the budget: 2000 usd, after 0 usd already")
    assert second == "For another answer a second factor has to be shown"
    assert rest[1].strip().startswith('Transfer 2000 of "usd"')


def test_every_command_is_handed_over_by_the_hosts_program() -> None:
    offered = re.findall(r"^    ([a-z]+)  ", _parser().format_help(), re.MULTILINE)
    assert offered
    assert set(offered) == set(OFFLINE)


def test_a_request_of_each_kind_is_read(files: dict[str, str], tmp_path: Path) -> None:
    payload = {"type": "call", "space": "0", "nonce": "0", "calls": []}
    kinds: list[dict[str, Any]] = [
        {"message": {"text": "hello"}},
        {"authorization": {"chainId": "0x1", "address": checksum(DEX), "nonce": "0x0"}},
        {"payload": payload, "chainId": "1"},
        {"attestation": {"approvedSigner": checksum(DEX), "identityType": "0x00000001", "issuerHash": "0x" + "00" * 32,
                         "audienceHash": "0x" + "00" * 32, "applicationData": "0x",
                         "authData": {"redirectUrl": "https://x", "issuedAt": "1"}}},
    ]  # fmt: skip
    for kind in kinds:
        path = write(tmp_path / "request.json", {"wallet": checksum(WALLET), "nowS": NOW_S} | kind)
        assert run(["check", files["rules"], path]) in (ExitCode.ALLOWED, ExitCode.REFUSED)
    for wrong in (kinds[0] | kinds[1], {}, {"payload": payload}, kinds[0] | {"chainId": "1"}, kinds[0] | {"scope": 1}):
        path = write(tmp_path / "request.json", {"wallet": checksum(WALLET), "nowS": NOW_S} | wrong)
        assert run(["check", files["rules"], path]) == ExitCode.UNREADABLE


def test_amounts_are_shown_as_people_write_them() -> None:
    effect = Effect(Kind.TRANSFER, 1, WALLET, USD, counterparty=PAYROLL, asset=Asset("erc20", USD), amount=10**6)
    found = decision_to_json(decide((replace(effect, amount=1_234_567),)), RULES.naming)
    assert 'Transfer 1.234567 of "usd"' in found["words"][-1]


def test_the_hosts_command_hands_over_to_the_program(files: dict[str, str]) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "host_proxy", "guard", "check", files["rules"], files["bad"], "--json"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert found.returncode == ExitCode.REFUSED, found.stderr
    assert json.loads(found.stdout)["by"] == "thieves"
