"""Condition operators: the table of what holds, above all when the key is absent (nitro-platform.md 6.4)."""

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.kms.conditions import glob_match, parse_conditions
from simulator.kms.errors import AwsError

PCR0 = "kms:RecipientAttestation:PCR0"
KEYS = "kms:EncryptionContextKeys"
LOWER, UPPER, OTHER = "ab" * 48, "AB" * 48, "cd" * 48
ABSENT: dict[str, tuple[str, ...]] = {}


def holds(operator: str, key: str, wanted: object, request: dict[str, tuple[str, ...]]) -> bool:
    return all(condition.holds(request) for condition in parse_conditions({operator: {key: wanted}}))


@pytest.mark.parametrize(
    ("operator", "wanted", "present", "expected"),
    [
        ("StringEquals", LOWER, LOWER, True),
        ("StringEquals", UPPER, LOWER, False),
        ("StringEquals", [OTHER, LOWER], LOWER, True),
        ("StringEqualsIgnoreCase", UPPER, LOWER, True),
        ("StringEqualsIgnoreCase", OTHER, LOWER, False),
        ("StringEqualsIgnoreCase", LOWER[:-1], LOWER, False),
        ("StringLike", "ab*", LOWER, True),
        ("StringLike", "AB*", LOWER, False),
        ("StringLike", "?" * 96, LOWER, True),
        ("StringLike", "?" * 95, LOWER, False),
        ("StringNotEquals", LOWER, LOWER, False),
        ("StringNotEquals", OTHER, LOWER, True),
        ("StringNotEquals", [OTHER, LOWER], LOWER, False),
        ("StringNotEqualsIgnoreCase", UPPER, LOWER, False),
        ("StringNotEqualsIgnoreCase", OTHER, LOWER, True),
        ("StringNotLike", "ab*", LOWER, False),
        ("StringNotLike", "cd*", LOWER, True),
        ("StringEqualsIfExists", OTHER, LOWER, False),
        ("StringEqualsIfExists", LOWER, LOWER, True),
        ("StringNotEqualsIfExists", LOWER, LOWER, False),
        ("Null", "true", LOWER, False),
        ("Null", "false", LOWER, True),
        ("Null", False, LOWER, True),
        ("Null", ["true", "false"], LOWER, True),
    ],
)
def test_operator_on_a_present_key(operator: str, wanted: object, present: str, expected: bool) -> None:
    assert holds(operator, PCR0, wanted, {PCR0.lower(): (present,)}) is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "expected"),
    [
        ("StringEquals", LOWER, False),
        ("StringEqualsIgnoreCase", LOWER, False),
        ("StringLike", "*", False),
        ("StringNotEquals", LOWER, True),
        ("StringNotEqualsIgnoreCase", LOWER, True),
        ("StringNotLike", "*", True),
        ("StringEqualsIfExists", LOWER, True),
        ("StringEqualsIgnoreCaseIfExists", LOWER, True),
        ("StringLikeIfExists", "x", True),
        ("StringNotEqualsIfExists", LOWER, True),
        ("StringNotEqualsIgnoreCaseIfExists", LOWER, True),
        ("StringNotLikeIfExists", "*", True),
        ("Null", "true", True),
        ("Null", "false", False),
        ("Null", True, True),
    ],
)
def test_operator_on_an_absent_key(operator: str, wanted: object, expected: bool) -> None:
    assert holds(operator, PCR0, wanted, ABSENT) is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "present", "expected"),
    [
        ("ForAllValues:StringEquals", ["a", "b"], ("a",), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringEquals", ["a"], None, True),  # the trap: it holds when there is nothing to compare
        ("ForAllValues:StringNotEquals", ["a"], ("b", "c"), True),
        ("ForAllValues:StringNotEquals", ["a"], ("a", "c"), False),
        ("ForAnyValue:StringEquals", ["a"], ("a", "c"), True),
        ("ForAnyValue:StringEquals", ["a"], ("b", "c"), False),
        ("ForAnyValue:StringEquals", ["a"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], ("a", "c"), True),
        ("ForAnyValue:StringNotEquals", ["a"], ("a",), False),
        ("ForAnyValue:StringNotEquals", ["a"], None, False),
        ("ForAnyValue:StringLikeIfExists", ["a*"], None, True),
        ("Null", ["true"], None, True),
        ("Null", ["true"], ("a",), False),
    ],
)
def test_operator_on_a_key_with_several_values(
    operator: str, wanted: object, present: tuple[str, ...] | None, expected: bool
) -> None:
    request = ABSENT if present is None else {KEYS.lower(): present}
    assert holds(operator, KEYS, wanted, request) is expected


def test_several_keys_and_operators_must_all_hold() -> None:
    conditions = parse_conditions(
        {"StringEquals": {PCR0: LOWER, "kms:RecipientAttestation:PCR1": OTHER}, "Null": {KEYS: "true"}}
    )
    request = {PCR0.lower(): (LOWER,), "kms:recipientattestation:pcr1": (OTHER,)}
    assert all(condition.holds(request) for condition in conditions)
    for changed in ({**request, PCR0.lower(): (OTHER,)}, {**request, KEYS.lower(): ("a",)}, {PCR0.lower(): (LOWER,)}):
        assert not all(condition.holds(changed) for condition in conditions)


def test_condition_key_names_ignore_case() -> None:
    assert holds("StringEquals", "KMS:recipientattestation:pcr0", LOWER, {PCR0.lower(): (LOWER,)})


@pytest.mark.parametrize(
    "block",
    [
        [],
        "StringEquals",
        {"StringEquals": {}},
        {"StringEquals": []},
        {"StringEquals": {PCR0: []}},
        {"StringEquals": {PCR0: 1}},
        {"StringEquals": {PCR0: None}},
        {"StringEquals": {PCR0: {}}},
        {"StringEquals": {PCR0: "${aws:username}"}},
        {"StringEquals": {"kms:RecipientAttestation:PCR32": LOWER}},
        {"StringEquals": {"kms:RecipientAttestation:PCR-1": LOWER}},
        {"StringEquals": {"kms:RecipientAttestation:PCR00": LOWER}},
        {"StringEquals": {"kms:RecipientAttestation:ImageSha256": LOWER}},
        {"StringEquals": {"aws:SourceIp": "10.0.0.1"}},
        {"StringEqual": {PCR0: LOWER}},
        {"StringNotEqualsIfExistsIfExists": {PCR0: LOWER}},
        {"NumericEquals": {PCR0: "1"}},
        {"stringequals": {PCR0: LOWER}},
        {"NullIfExists": {PCR0: "true"}},
        {"Null": {PCR0: "yes"}},
        {"ForAllValues:StringEquals": {PCR0: LOWER}},
        {"ForSomeValues:StringEquals": {KEYS: "a"}},
        {"StringEquals": {KEYS: "a"}},
    ],
)
def test_what_is_not_evaluated_is_refused(block: object) -> None:
    with pytest.raises(AwsError) as refused:
        parse_conditions(block)
    assert refused.value.type_name == "MalformedPolicyDocumentException"


@given(st.text("ab*?[.", max_size=12), st.text("ab*?[.", max_size=8))
def test_glob_agrees_with_an_independent_matcher(text: str, pattern: str) -> None:
    # fnmatch knows character classes, which policies do not: spell the bracket so that it stands for itself.
    oracle = fnmatch.translate(pattern.replace("[", "[[]"))
    assert glob_match(text, pattern) is (re.match(oracle, text) is not None)


def test_glob_stays_fast_on_patterns_made_to_backtrack() -> None:
    assert not glob_match("a" * 5000, "*a" * 50 + "*b")
