"""Mistakes that only show when a policy is evaluated: what Deny statements let through, and whom they shut out."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice, product
from typing import Final

from attestation import pcr
from eif.policy.document import PolicyDocument, Statement
from eif.policy.evaluate import Situation, is_denied, may_be_allowed
from eif.policy.findings import Finding
from eif.policy.images import Image
from eif.policy.lint_conditions import pinned_values
from eif.policy.lint_statements import home_account, opens_keys
from eif.policy.vocabulary import CONTEXT_PREFIX, SECRET_CALLS, USED_ACTIONS

MAX_IMAGES_PER_STATEMENT: Final = 64
_MAX_IDENTITIES: Final = 16  # of one statement, to look whether its images are shut out

_OTHER: Final = "5a" * pcr.PCR_BYTES  # a value that no image has


def contexts_of(statement: Statement) -> dict[str, str]:
    """An encryption context that meets its positive conditions."""
    return {
        condition.spelled[len(CONTEXT_PREFIX) :]: condition.wanted[0]
        for condition in statement.conditions
        if condition.key.startswith(CONTEXT_PREFIX) and condition.is_positive
    }


def images_of(statement: Statement) -> list[dict[int, str]]:
    """The combinations of registers that its positive conditions let through, at most `MAX_IMAGES_PER_STATEMENT`."""
    pinned = pinned_values(statement)
    combinations = product(*(sorted(pinned[index]) for index in pinned))
    return [dict(zip(pinned, values, strict=True)) for values in islice(combinations, MAX_IMAGES_PER_STATEMENT)]


def full_document(registers: dict[int, str]) -> dict[int, str]:
    """A document that has these registers; every other one of the start holds something."""
    return dict.fromkeys(range(16), "77" * pcr.PCR_BYTES) | registers


def check_denies(policy: PolicyDocument) -> Iterator[Finding]:
    """Whether Deny statements alone stop a call that should be stopped, whoever makes it."""
    stranger = f"arn:aws:iam::{home_account(policy) or '000000000000'}:role/somebody-else"
    unattested, other = Situation(None), Situation(full_document({0: _OTHER}))
    if calls := [call for call in SECRET_CALLS if not is_denied(policy, stranger, call, unattested)]:
        yield Finding("", "deny-missing", ", ".join(calls))
    if calls := [call for call in USED_ACTIONS if not is_denied(policy, stranger, call, other)]:
        yield Finding("", "deny-other-image-missing", ", ".join(calls))


def check_reach(policy: PolicyDocument, blamed: Collection[str]) -> Iterator[Finding]:
    """Allowed images that a Deny shuts out. `blamed`: statements with a finding, which is then the better reason."""
    for statement in filter(opens_keys, policy.allows):
        if statement.label in blamed:
            continue
        alone = PolicyDocument(policy.version, (statement, *policy.denies), policy.size)
        identities = [p.text for p in statement.principals if p.kind == "AWS" and not p.is_everybody]
        for identity, call, image in product(identities[:_MAX_IDENTITIES], USED_ACTIONS, images_of(statement)):
            situation = Situation(full_document(image), contexts_of(statement))
            if statement.covers(call) and not may_be_allowed(alone, identity, call, situation):
                yield Finding(statement.label, "image-shut-out", f"{call} by PCR0 {image.get(0, '')[:16]}")


def check_expected(policy: PolicyDocument, expected: Sequence[Image]) -> Iterator[Finding]:
    """Whether the images that the policy allows are those that were named, registers and all."""
    wanted = [dict(image.registers) for image in expected]
    allowed = [(s.label, image) for s in policy.allows if opens_keys(s) for image in images_of(s)]
    for label, image in allowed:
        if image not in wanted:
            yield Finding(label, "image-unexpected", f"PCR0 {image.get(0, 'any')[:16]}")
    for image in wanted:
        if image not in [found for _, found in allowed]:
            yield Finding("", "image-absent", f"PCR0 {image[0][:16]}")
