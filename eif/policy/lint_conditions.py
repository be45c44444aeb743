"""Mistakes in the conditions of a policy: what is demanded of the document, the context and the time."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from attestation import pcr
from eif.policy.conditions import KNOWN_OPERATORS, Condition
from eif.policy.document import PolicyDocument, Statement
from eif.policy.findings import Finding
from eif.policy.lint_statements import opens_keys
from eif.policy.vocabulary import (
    ATTESTATION_PREFIX,
    CONTEXT_KEYS,
    CONTEXT_PARTS,
    CONTEXT_PREFIX,
    IMAGE_DIGEST,
    is_condition_key,
    nearest_condition_key,
    register_of,
)

_HEX: Final = re.compile(rf"[0-9a-fA-F]{{{2 * pcr.PCR_BYTES}}}")
_NITROTPM: Final = re.compile(rf"{ATTESTATION_PREFIX}nitrotpmpcr([0-9]+)")


def pinned_values(statement: Statement) -> Mapping[int, frozenset[str]]:
    """The values that its positive conditions leave for each register, in lower case."""
    found: dict[int, frozenset[str]] = {}
    for condition in statement.conditions:
        index = register_of(condition.key)
        if index is not None and condition.is_positive:
            values = frozenset(wanted.lower() for wanted in condition.wanted)
            found[index] = found.get(index, values) & values
    return found


def check_conditions(policy: PolicyDocument, now: datetime) -> Iterator[Finding]:
    """Rules on conditions; `now` has a zone."""
    for statement in policy.statements:
        for condition in statement.conditions:
            yield from _check_words(statement.label, condition)
            yield from _check_registers(statement.label, condition)
            if statement.allow and condition.operator.startswith("DateLessThan"):
                yield from _check_end(statement.label, condition, now)
        if opens_keys(statement):
            yield from _check_demands(statement)


def _check_words(label: str, condition: Condition) -> Iterator[Finding]:
    name = f"{condition.quantifier}:{condition.operator}" if condition.quantifier else condition.operator
    if KNOWN_OPERATORS.fullmatch(name) is None:
        yield Finding(label, "condition-operator-unknown", name)
    if _NITROTPM.fullmatch(condition.key):
        yield Finding(label, "nitrotpm-key", condition.spelled)
    elif not is_condition_key(condition.key):
        meant = nearest_condition_key(condition.key)
        yield Finding(
            label, "condition-key-unknown", f"{condition.spelled}, not {meant}" if meant else condition.spelled
        )


def _check_registers(label: str, condition: Condition) -> Iterator[Finding]:
    if register_of(condition.key) is None or condition.operator == "Null":
        return
    if KNOWN_OPERATORS.fullmatch(condition.operator) and not condition.operator.startswith("String"):
        yield Finding(label, "pcr-operator", f"{condition.spelled} under {condition.operator}")
        return
    for value in condition.wanted:
        if condition.operator == "StringLike" and ("*" in value or "?" in value):
            yield Finding(label, "pcr-wildcard", condition.spelled)
        elif _HEX.fullmatch(value) is None:
            yield Finding(label, "pcr-form", f"{condition.spelled}: {len(value)} characters")
        elif not value.strip("0"):
            yield Finding(label, "pcr-zero", condition.spelled)
        elif value != value.lower():
            ignored = condition.operator.endswith("IgnoreCase")
            yield Finding(label, "pcr-upper-case" if ignored else "pcr-case", condition.spelled)


def _check_end(label: str, condition: Condition, now: datetime) -> Iterator[Finding]:
    for text in condition.wanted:
        try:
            over = datetime.fromisoformat(text) <= now
        except (ValueError, TypeError):  # no date, or without a zone
            yield Finding(label, "date-form", text)
        else:
            if over:
                yield Finding(label, "overlap-expired", text)


def _check_demands(statement: Statement) -> Iterator[Finding]:
    """What an Allow that opens keys demands of its document and of its context."""
    label = statement.label
    demands = [c for c in statement.conditions if c.key.startswith(ATTESTATION_PREFIX)]
    mentioned = {index for c in statement.conditions if (index := _register_meant(c)) is not None}
    if demands or mentioned:
        if missing := sorted({0, 1, 2} - mentioned):
            yield Finding(label, "pins-incomplete", "without " + ", ".join(f"PCR{index}" for index in missing))
    elif not all(principal.account_named for principal in statement.principals):  # that has a finding of its own
        yield Finding(label, "attestation-missing")
    for condition in statement.conditions:
        if condition.key.startswith((ATTESTATION_PREFIX, CONTEXT_PREFIX)):
            yield from _check_absence(statement, condition)
    if demands:
        yield from _check_images(statement)
        yield from _check_context(statement)


def _check_absence(statement: Statement, condition: Condition) -> Iterator[Finding]:
    """Whether the condition holds for a call that lacks its key."""
    label, spelled = statement.label, condition.spelled
    if condition.operator == "Null":
        if "true" in condition.wanted and condition.key.startswith(ATTESTATION_PREFIX):
            yield Finding(label, "document-forbidden", spelled)
    elif condition.if_exists:
        yield Finding(label, "if-exists", spelled)
    elif condition.quantifier == "ForAllValues":
        yield Finding(label, "for-all-values", spelled)
    elif condition.negated:
        guarded = any(c.key == condition.key and c.operator == "Null" for c in statement.conditions)
        yield Finding(label, "image-negated" if guarded else "negated-unguarded", spelled)


def _check_images(statement: Statement) -> Iterator[Finding]:
    label, pinned = statement.label, pinned_values(statement)
    for index, values in pinned.items():
        if not values:
            named_twice = any(condition.key == IMAGE_DIGEST for condition in statement.conditions)
            yield Finding(label, "image-contradiction", "ImageSha384 and PCR0" if named_twice else f"PCR{index}")
    if mixed := [f"PCR{index}" for index in pcr.IMAGE_PCRS if len(pinned.get(index, ())) > 1]:
        yield Finding(label, "images-mixed", ", ".join(mixed))


def _check_context(statement: Statement) -> Iterator[Finding]:
    named = {c.key.removeprefix(CONTEXT_PREFIX) for c in statement.conditions if c.key.startswith(CONTEXT_PREFIX)}
    closed = any(c.key == CONTEXT_KEYS.lower() and c.quantifier == "ForAllValues" for c in statement.conditions)
    if not named:
        yield Finding(statement.label, "context-missing")
    elif missing := [*(set(CONTEXT_PARTS) - named), *([] if closed else [CONTEXT_KEYS])]:
        yield Finding(statement.label, "context-incomplete", "without " + ", ".join(sorted(missing)))
    for condition in statement.conditions:
        loose = condition.operator == "StringLike" and any(set("*?") & set(wanted) for wanted in condition.wanted)
        if loose and condition.key.startswith(CONTEXT_PREFIX):
            yield Finding(statement.label, "context-wildcard", condition.spelled)


def _register_meant(condition: Condition) -> int | None:
    """The register that a condition is about, also when its key is mistyped; None for a guard by Null."""
    if condition.operator == "Null":
        return None
    if match := _NITROTPM.fullmatch(condition.key):
        return int(match[1])
    key = condition.key if is_condition_key(condition.key) else nearest_condition_key(condition.key).lower()
    return register_of(key)
