"""Who may decide: what a rule document has to say about reviewers, and what a host has to be told for their page."""

import json
from pathlib import Path
from typing import Any

import pytest

from enclave.guard.checking import check_rules
from enclave.guard.compiling import compile_rules
from enclave.guard.document import parse_document
from enclave.guard.errors import RulesError
from enclave.guard.rule_words import rules_words
from host_proxy.config import load_config
from host_proxy.errors import ConfigError
from protocol import cbor
from tests.enclave_guard.guard_rules import DOCUMENT
from tests.enclave_login.authenticator import b64u
from tests.guard_review.review_world import PAGE, Reviewer, terms
from tests.guard_review.serving import pcrs

ADA, BEN = Reviewer("ada"), Reviewer("ben", algorithm="EdDSA")


def compiled(review: Any) -> Any:
    return compile_rules(parse_document(json.dumps({**DOCUMENT, "review": review}).encode()))


def test_reviewers_are_read_with_each_kind_of_key_and_told_in_words() -> None:
    rules = compiled(terms(ADA, BEN, Reviewer("cleo", algorithm="RS256")))
    assert rules.panel is not None
    assert {reviewer.name for reviewer in rules.panel.reviewers.values()} == {"ada", "ben", "cleo"}
    assert rules_words(rules)[-2:] == [
        f'Reviewers: 2 of ada, ben, cleo, at "{PAGE}"',
        "  within 3600 seconds; one of them can refuse",
    ]
    nobody = compile_rules(parse_document(json.dumps(DOCUMENT).encode()))
    assert rules_words(nobody)[-1].startswith("NOBODY is named as reviewer")


def test_checks_remark_reviews_that_nobody_or_one_gives_or_nothing_asks_for() -> None:
    def codes(found: Any) -> set[tuple[str, str]]:
        return {(each.code, each.subject) for each in check_rules(found) if "review" in each.code}

    nobody = compile_rules(parse_document(json.dumps(DOCUMENT).encode()))
    asking = ("give-art", "safe-pay", "usd-day")
    assert codes(nobody) == {("nobody-reviews", who) for who in asking}
    assert codes(compiled(terms(ADA, BEN))) == set()
    assert codes(compiled(terms(ADA, BEN, quorum=1))) == {("one-reviewer", "acme")}
    unasked = {**DOCUMENT, "rules": [], "budgets": [], "review": terms(ADA, BEN)}
    assert codes(compile_rules(parse_document(json.dumps(unasked).encode()))) == {("unused-review", "acme")}


def also(entry: dict[str, str], **changes: str) -> dict[str, Any]:
    """Ada, and an entry with changes."""
    return terms() | {"reviewers": [ADA.entry(), entry | changes]}


@pytest.mark.parametrize(
    "review",
    [
        terms(ADA, BEN, quorum=3),
        terms(ADA, BEN, quorum=0),
        terms(ADA, BEN, hold_s=59),
        terms(ADA, BEN, hold_s=7 * 86_400 + 1),
        terms(ADA, BEN, origins=[]),
        terms(ADA, BEN, site="Guard Example"),
        terms(ADA, BEN, more=1),
        terms(),
        terms(*(Reviewer(f"r{number}") for number in range(17))),
        also(BEN.entry(), name="ada"),
        also(BEN.entry(), name="Ben"),
        also(BEN.entry(), credential=ADA.entry()["credential"]),
        also(BEN.entry(), public_key=ADA.entry()["public_key"]),
        also(BEN.entry(), public_key="AAAA"),
        also(BEN.entry(), public_key=BEN.entry()["public_key"] + "="),
        also(BEN.entry(), public_key=b64u(cbor.dumps(ADA.passkey.public_key() | {3: -8}))),
        also(BEN.entry(), credential="a"),
        also(BEN.entry(), credential="a b c"),
    ],
)
def test_reviewers_who_could_not_decide_or_count_twice_refuse_the_document(review: Any) -> None:
    with pytest.raises(RulesError):
        compiled(review)


@pytest.mark.parametrize(
    "page",
    [
        {"deployment": "guard", "pcrs": {"0": "ab" * 48}},
        {"deployment": "guard", "pcrs": {}},
        {"deployment": "guard", "pcrs": pcrs(**{"3": "ab" * 48})},
        {"deployment": "guard", "pcrs": pcrs(**{"0": "ab"})},
        {"deployment": "Guard!", "pcrs": pcrs()},
        {"deployment": "guard", "pcrs": pcrs(), "roots": []},
    ],
)
def test_host_serves_no_page_that_could_not_tell_the_guard(tmp_path: Path, page: dict[str, Any]) -> None:
    path = tmp_path / "host.json"
    usual = {"version": 1, "enclave": {"address": "vsock://16:5000"}, "store": "store.db"}
    path.write_text(json.dumps(usual | {"review_page": {"deployment": "guard", "pcrs": pcrs()}}))
    assert load_config(path).review_page is not None
    path.write_text(json.dumps(usual | {"review_page": page}))
    with pytest.raises(ConfigError):
        load_config(path)
