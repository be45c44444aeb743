"""docs/guard.md says what the code does: its rules are rules, its tables are complete, its commands exist."""

import json
import re

import pytest

from enclave.guard import cli
from enclave.guard.checking import check_rules
from enclave.guard.compiling import compile_rules
from enclave.guard.document import Rule, parse_document
from enclave.guard.limits import MAX_BUDGETS, MAX_LIST_ADDRESSES, MAX_RULES
from enclave.rpc.guard_factors import NAMES as OF_FACTORS
from evm.effects import Kind, Reason
from host_proxy.cli.guard import OFFLINE
from protocol.guard_errors import GUARD_TABLE
from tests.appliance import config
from tests.guard_wire.guard_world import guard_config
from tests.packaging.source import ROOT

PAPER = (ROOT / "docs" / "guard.md").read_text()
[DOCUMENT] = re.findall(r"^```json\n(.*?)^```$", PAPER, re.MULTILINE | re.DOTALL)


def test_the_rules_of_the_paper_are_accepted_and_their_examples_hold() -> None:
    rules = compile_rules(parse_document(DOCUMENT.encode()))
    assert [finding for finding in check_rules(rules) if finding.severity == "error"] == []
    assert rules.document.examples


def test_every_kind_reason_and_condition_is_named() -> None:
    for name in [*Kind, *Reason]:
        assert f"`{name.value}`" in PAPER, name
    conditions = set(Rule.__struct_fields__) - {"id", "decision", "why"}
    assert {name for name in conditions if f"`{name}" not in PAPER} == set()


@pytest.mark.parametrize("number", [MAX_RULES, MAX_BUDGETS, MAX_LIST_ADDRESSES])
def test_bounds_are_those_of_the_code(number: int) -> None:
    assert f"{number} " in PAPER


def test_codes_that_are_named_exist() -> None:
    table = PAPER[PAPER.index("| code | cause |") :].split("\n\n")[0]
    named = {int(code) for cell in re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE) for code in cell.split(",")}
    assert named <= {row.code for row in GUARD_TABLE}
    assert len(named) == 11


def test_commands_of_the_paper_are_commands() -> None:
    commands = set(re.findall(r"`chancery guard (\w+)", PAPER))
    assert set(OFFLINE) <= commands
    for command in OFFLINE:
        assert cli.run([command, "--help"]) == cli.ExitCode.ALLOWED


def test_all_sixteen_published_methods_are_named() -> None:
    others = ("Ping", "Version", "RuntimeStatus", "GetSignerConfig", "Sign", "SignWith", "Patch", "AuthMethods")
    published = [*others, *OF_FACTORS]
    assert len(published) == 16
    assert [name for name in published if f"`{name}`" not in PAPER] == []


def test_the_settings_of_the_paper_are_accepted() -> None:
    named = re.findall(r"^(\"second_[a-z]+\": \{.*?\})\n```$", PAPER, re.MULTILINE | re.DOTALL)
    settings = json.loads("{" + ", ".join(named) + "}")
    guard = config(**guard_config(**settings)).guard
    assert guard is not None
    assert guard.second_factors is not None
    assert guard.second_generation is not None


def test_no_budget_of_the_paper_is_in_other_units() -> None:
    [day, coins] = compile_rules(parse_document(DOCUMENT.encode())).budgets
    assert (day.at_most, coins.at_most) == (10_000 * 10**6, 5 * 10**17)
    assert json.loads(DOCUMENT)["budgets"][0]["at_most"] == "10000"
