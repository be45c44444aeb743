"""Finds the mistakes that key policies for enclaves usually have (KM-07). What each means is in `findings.RULES`.

A clean result says that none of them is there, not that the policy is the right one: name the images that you expect.
"""

from collections.abc import Sequence
from datetime import datetime

from eif.policy.document import PolicyDocument
from eif.policy.findings import Finding
from eif.policy.images import Image
from eif.policy.lint_conditions import check_conditions
from eif.policy.lint_reach import check_denies, check_expected, check_reach
from eif.policy.lint_statements import check_actions, check_document, check_principals


def lint(policy: PolicyDocument, now: datetime, expected: Sequence[Image] | None = None) -> tuple[Finding, ...]:
    """All findings, by statement. `now` (with a zone) decides what has expired."""
    found = {
        *check_document(policy),
        *check_principals(policy),
        *check_actions(policy),
        *check_conditions(policy, now),
        *check_denies(policy),
    }
    found |= set(check_reach(policy, {finding.statement for finding in found}))
    if expected is not None:
        found |= set(check_expected(policy, expected))
    return tuple(sorted(found))
