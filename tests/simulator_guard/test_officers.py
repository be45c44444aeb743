"""Officers at their machines: approvals are files, a quorum of them activates, mistakes are told in sentences."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulator import guard_settings
from tests.simulator_guard.terminal import Terminal, payment

DEPLOYMENT = guard_settings.DEPLOYMENT


@pytest.fixture
def rules(terminal: Terminal, tmp_path: Path) -> Path:
    """The rules in force, with the next version."""
    path = tmp_path / "rules.json"
    terminal.run("guard", "rules", "--out", path, "--url", terminal.guard)
    return changed(path)


def changed(path: Path, **members: Any) -> Path:
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"version": document["version"] + 1} | members))
    return path


def approved(terminal: Terminal, rules: Path, *names: str, deployment: str = DEPLOYMENT) -> list[Path]:
    made = []
    for name in names:
        made.append(rules.with_name(f"{name}.approval.json"))
        where = ("--key", terminal.officer(name), "--deployment", deployment, "--out", made[-1])
        terminal.run("guard", "approve", rules, *where, stdin="y\n")
    return made


def activate(terminal: Terminal, rules: Path, *approvals: Path, code: int = 0) -> str:
    done = terminal.run("guard", "activate", rules, *approvals, "--url", terminal.guard, code=code)
    return done.stderr if code else done.stdout


def in_force(terminal: Terminal) -> dict[str, Any]:
    found: dict[str, Any] = terminal.json("guard", "rules", "--url", terminal.guard)
    return found


def test_two_officers_approve_offline_and_anybody_activates(terminal: Terminal, rules: Path) -> None:
    version = json.loads(rules.read_text())["version"]
    said = activate(terminal, rules, *approved(terminal, rules, "olga", "odile"))
    assert said == f"rules of version {version} are in force\n"
    assert (in_force(terminal)["version"], in_force(terminal)["document"]) == (version, rules.read_text())


def test_frozen_guard_signs_nothing_until_higher_rules_come_into_force(terminal: Terminal, rules: Path) -> None:
    where = ("--key", terminal.officer("otto"), "--deployment", DEPLOYMENT, "--url", terminal.guard)
    terminal.run("guard", "freeze", *where)
    assert in_force(terminal)["frozen"] is True
    path = terminal.file("pay.json", payment(1, nonce=50))
    sign = ("wallet", "sign", path, "--chain", guard_settings.CHAIN, "--guard", terminal.guard)
    assert "The guard is frozen" in terminal.run(*sign, code=1).stderr
    activate(terminal, rules, *approved(terminal, rules, "olga", "otto"))
    terminal.run(*sign)


def test_decisions_are_for_officers_and_can_be_replayed(terminal: Terminal, rules: Path, tmp_path: Path) -> None:
    path = terminal.file("pay.json", payment(1, nonce=51))
    terminal.run("wallet", "sign", path, "--chain", guard_settings.CHAIN, "--guard", terminal.guard)
    log, reviews = tmp_path / "log.jsonl", tmp_path / "reviews.jsonl"
    where = ("--deployment", DEPLOYMENT, "--url", terminal.guard, "--out", log)
    terminal.run("guard", "decisions", "--key", terminal.officer("olga"), *where, "--reviews", reviews)
    assert json.loads(log.read_text().splitlines()[-1])["by"] == "pay"
    stranger = tmp_path / "stranger.pem"
    terminal.run("admin", "key", "--key", stranger)
    said = terminal.run("guard", "decisions", "--key", stranger, *where, code=1).stderr
    assert "a key that is no officer's" in said


@pytest.mark.parametrize(
    ("names", "said"),
    [(("olga",), "Fewer officers have approved than it takes."), (("olga", "olga"), "Fewer officers have approved")],
)
def test_one_officer_is_no_quorum(terminal: Terminal, rules: Path, names: tuple[str, ...], said: str) -> None:
    assert said in activate(terminal, rules, *approved(terminal, rules, *names), code=1)


def test_mistakes_are_told_in_sentences(terminal: Terminal, rules: Path, tmp_path: Path) -> None:
    pair = approved(terminal, rules, "olga", "otto")
    rules.write_text(rules.read_text() + "\n")
    assert "the document was changed after it was approved" in activate(terminal, rules, *pair, code=2)
    assert "is no approval; `guard approve` writes them" in activate(terminal, rules, rules, code=2)
    elsewhere = approved(terminal, rules, "olga", "otto", deployment="another")
    assert "was it made for this deployment" in activate(terminal, rules, *elsewhere, code=1)
    low = tmp_path / "low.json"
    low.write_text(json.dumps(json.loads(rules.read_text()) | {"version": 1}))
    said = activate(terminal, low, *approved(terminal, low, "olga", "otto"), code=1)
    assert "Raise `version`" in said
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(json.loads(rules.read_text()) | {"rules": [{}]}))
    said = activate(terminal, broken, *approved(terminal, broken, "olga", "otto"), code=1)
    assert "`guard check` says what is wrong" in said
    where = ("--key", tmp_path / "nobody.pem", "--deployment", DEPLOYMENT)
    assert "there is no such key" in terminal.run("guard", "approve", rules, *where, code=2).stderr
    (tmp_path / "none.json").write_text("{}")
    where = ("--key", terminal.officer("olga"), "--deployment", DEPLOYMENT)
    assert "this has none" in terminal.run("guard", "approve", tmp_path / "none.json", *where, code=2).stderr


def test_approval_is_given_for_what_was_asked_alone(terminal: Terminal, rules: Path) -> None:
    target = rules.with_name("no.json")
    where = ("--key", terminal.officer("olga"), "--deployment", DEPLOYMENT, "--out", target)
    assert "nothing was signed" in terminal.run("guard", "approve", rules, *where, stdin="n\n", code=1).stderr
    assert not target.exists()
