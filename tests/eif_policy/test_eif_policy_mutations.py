"""Policies that differ in one place from the generated one: if that opens a hole, `lint` and `diff` say so (KM-07).

Judge of what a hole is: the simulated KMS over the table of bad calls. Each edit is also made without the Deny
statements, which would hide most of them.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from operator import methodcaller
from typing import Any

import pytest

from eif.policy.diff import diff
from eif.policy.lint import lint
from simulator.kms.errors import AwsError
from tests.eif_policy.policy_world import (
    ACCOUNT,
    ADMINISTRATOR,
    BAD_CALLS,
    FOREIGNER,
    NOW,
    PCRS_A,
    PCRS_B,
    ROLE,
    STRANGER,
    Policy,
    image,
    parsed,
    policy,
    simulated,
)

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
NO_DENY = {"deny-missing", "deny-other-image-missing"}
OPERATORS = (
    "StringEquals", "StringEqualsIfExists", "StringEqualsIgnoreCaseIfExists", "StringNotEquals", "StringLike",
    "StringNotEqualsIgnoreCase", "StringNotLike", "StringLikeIfExists",
)  # fmt: skip
VALUES = ("*", "0" * 96, "ee" * 48, PCRS_B[1].hex(), ["ee" * 48, PCRS_A[1].hex()])

Statement = dict[str, Any]
Named = tuple[str, Policy]


def base(bare: bool) -> Policy:
    value = policy(PCRS_A)
    if bare:
        value["Statement"] = [s for s in value["Statement"] if s["Effect"] == "Allow"]
    return value


def edited(bare: bool, place: int, edit: Callable[[Statement], object]) -> Policy:
    """The policy after `edit` of one statement; operators without keys are left out."""
    value = base(bare)
    statement = value["Statement"][place]
    edit(statement)
    if "Condition" in statement:
        statement["Condition"] = {name: keys for name, keys in statement["Condition"].items() if keys}
    return value


def statement_edits(bare: bool, place: int) -> Iterator[Named]:
    value = base(bare)
    del value["Statement"][place]
    yield "removed", value
    for who in ("*", {"AWS": ROOT}, {"AWS": FOREIGNER}, {"AWS": "*"}):
        yield f"names {who}", edited(bare, place, methodcaller("update", Principal=who))
    for actions in ("kms:*", "*", ["kms:Decrypt", "kms:PutKeyPolicy"]):
        yield f"is about {actions}", edited(bare, place, methodcaller("update", Action=actions))
    conditions = base(bare)["Statement"][place].get("Condition", {})
    if conditions:
        yield "without conditions", edited(bare, place, lambda s: s.pop("Condition"))
    for operator, keys in conditions.items():
        for key in keys:
            for name, value in condition_edits(bare, place, operator, key):
                yield f"{operator} {key} {name}", value


def condition_edits(bare: bool, place: int, operator: str, key: str) -> Iterator[Named]:
    def move(statement: Statement, other: str) -> None:
        moved = statement["Condition"][operator].pop(key)
        statement["Condition"].setdefault(other, {})[key] = moved

    def assign(statement: Statement, wanted: object) -> None:
        statement["Condition"][operator][key] = wanted

    yield "removed", edited(bare, place, lambda s: s["Condition"][operator].pop(key))
    for other in OPERATORS:
        yield f"under {other}", edited(bare, place, partial(move, other=other))
    for wanted in VALUES:
        yield (
            f"is {wanted}",
            edited(bare, place, partial(assign, wanted=wanted)),
        )


def additions(bare: bool) -> Iterator[Named]:
    for who in (ROLE, STRANGER, ADMINISTRATOR, FOREIGNER, ROOT, "*"):
        for action in (
            "kms:*",
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "kms:CreateGrant",
            "kms:Encrypt",
            "kms:ReEncrypt*",
        ):
            value = base(bare)
            value["Statement"].append({"Effect": "Allow", "Principal": {"AWS": who}, "Action": action, "Resource": "*"})
            yield f"{who} may {action}", value


def holes(bare: bool) -> Iterator[Named]:
    """Edited policies under which something bad is allowed."""
    edits = [
        (f"{base(bare)['Statement'][place]['Sid']} {name}", value)
        for place in range(len(base(bare)["Statement"]))
        for name, value in statement_edits(bare, place)
    ]
    for name, value in [*edits, *additions(bare)]:
        try:
            read = simulated(value)
        except AwsError:  # the simulated KMS does not take this policy
            continue
        if any(call.is_allowed_by(read) for call in BAD_CALLS):
            yield name, value


@pytest.mark.parametrize("bare", [True, False], ids=["without denies", "with denies"])
def test_each_edit_that_opens_a_hole_is_found_and_told(bare: bool) -> None:
    seen, not_found, not_told = 0, [], []
    for name, value in holes(bare):
        seen += 1
        found = {finding.code for finding in lint(parsed(value), NOW, [image(PCRS_A)])}
        if not found - (NO_DENY if bare else set()):
            not_found.append(name)
        if not any(change.gained for change in diff(parsed(base(bare)), parsed(value))):
            not_told.append(name)
    assert seen > (80 if bare else 20)
    assert not_found == []
    assert not_told == []


def test_another_identity_of_the_account_is_told_by_diff_for_lint_cannot_know_it() -> None:
    for place, action in ((0, "kms:Decrypt"), (1, "kms:PutKeyPolicy")):
        value = edited(False, place, lambda s: s.update(Principal={"AWS": STRANGER}))
        assert lint(parsed(value), NOW, [image(PCRS_A)]) == ()
        gained = [change for change in diff(parsed(base(False)), parsed(value)) if change.gained]
        assert {change.principal for change in gained} == {STRANGER}
        assert any(action in change.actions for change in gained)


def test_table_of_bad_calls_is_refused_without_any_deny() -> None:
    """The Allow alone is exact; the Denies are the second wall."""
    assert not any(call.is_allowed(base(bare=True)) for call in BAD_CALLS)
    assert json.dumps(base(bare=True)) != json.dumps(base(bare=False))
