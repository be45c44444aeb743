"""Mistakes in a policy as a whole, in whom it names, and in what it lets them do."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from eif.policy.conditions import glob_match
from eif.policy.document import PolicyDocument, Principal, Statement
from eif.policy.findings import Finding
from eif.policy.vocabulary import ACTIONS, MAX_POLICY_BYTES, POLICY_VERSION, SECRET_CALLS, USED_ACTIONS

_UNIQUE_ID: Final = re.compile(r"A(?:IDA|ROA|GPA|IPA|NPA|SIA)[A-Z0-9]{12,124}")
_EVERYTHING: Final = frozenset({"*", "kms:*"})
_DESTROYS: Final = ("kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:DeleteImportedKeyMaterial")
_ENCRYPTS: Final = ("kms:Encrypt", "kms:ReEncryptTo")
_HANDS_OVER: Final = ("kms:PutKeyPolicy", "kms:CreateGrant")


def opens_keys(statement: Statement) -> bool:
    """Whether it allows a call that hands out a key."""
    return statement.allow and any(statement.covers(call) for call in SECRET_CALLS)


def allows_everything(statement: Statement) -> bool:
    """Whether its actions are all of KMS, said in one word."""
    return not statement.actions_negated and any(action.lower() in _EVERYTHING for action in statement.actions)


def home_account(policy: PolicyDocument) -> str | None:
    """The account that the key probably belongs to: that of whoever may change the policy, else the one named most."""
    allows = policy.allows
    for statements in ([s for s in allows if s.covers("kms:PutKeyPolicy")], allows):
        named = Counter(p.account for s in statements for p in s.principals if p.account is not None)
        if named:
            return named.most_common(1)[0][0]
    return None


def check_document(policy: PolicyDocument) -> Iterator[Finding]:
    """Rules on the whole."""
    if policy.size > MAX_POLICY_BYTES:
        yield Finding("", "policy-size", f"{policy.size} bytes")
    if policy.version != POLICY_VERSION:
        yield Finding("", "version-old", policy.version or "no Version")
    for sid, count in Counter(s.sid for s in policy.statements if s.sid is not None).items():
        if count > 1:
            yield Finding(sid, "sid-repeated", f"{count} statements")
    if not any(s.covers("kms:PutKeyPolicy") for s in policy.allows):
        yield Finding("", "administrator-missing")


def check_principals(policy: PolicyDocument) -> Iterator[Finding]:
    """Rules on whom statements name."""
    home = home_account(policy)
    for statement in policy.statements:
        if statement.principals_negated:
            yield Finding(statement.label, "principal-negated")
        elif statement.allow:
            for principal in statement.principals:
                if code := _principal_code(principal, statement, home):
                    yield Finding(statement.label, code, principal.text)


def _principal_code(principal: Principal, statement: Statement, home: str | None) -> str | None:
    if principal.is_everybody:
        return "principal-wildcard"
    if principal.kind != "AWS":
        return "principal-service" if opens_keys(statement) else None
    if _UNIQUE_ID.fullmatch(principal.text):
        return "principal-deleted"
    if principal.account != home:
        return "principal-foreign"
    hands_over = opens_keys(statement) or any(map(statement.covers, _HANDS_OVER))
    return "principal-account" if principal.account_named and hands_over else None


def check_actions(policy: PolicyDocument) -> Iterator[Finding]:
    """Rules on what statements let principals do."""
    roles = {p for s in policy.allows if any(map(s.covers, USED_ACTIONS)) for p in s.principals if not p.account_named}
    for statement in policy.statements:
        if statement.actions_negated:
            yield Finding(statement.label, "action-negated")
            continue
        for action in statement.actions:
            if not any(glob_match(known.lower(), action.lower()) for known in ACTIONS):
                yield Finding(statement.label, "action-unknown", action)
        if statement.allow:
            yield from _check_allowed_actions(statement, roles)
        if statement.resources_negated or "*" not in statement.resources:
            yield Finding(statement.label, "resource-narrow", ", ".join(statement.resources))


def _check_allowed_actions(statement: Statement, roles: set[Principal]) -> Iterator[Finding]:
    """`roles` are those that open keys anywhere in the policy."""
    if allows_everything(statement):
        if not all(principal.account_named for principal in statement.principals):
            yield Finding(statement.label, "action-everything")
        return
    if others := [call for call in SECRET_CALLS if call not in USED_ACTIONS and statement.covers(call)]:
        yield Finding(statement.label, "action-opens-otherwise", ", ".join(others))
    if statement.covers("kms:CreateGrant"):
        yield Finding(statement.label, "grant-open")
    if found := [call for call in _ENCRYPTS if statement.covers(call)]:
        yield Finding(statement.label, "encrypt-open", ", ".join(found))
    if roles.isdisjoint(statement.principals):
        return
    if statement.covers("kms:PutKeyPolicy"):
        yield Finding(statement.label, "role-administers")
    if found := [call for call in _DESTROYS if statement.covers(call)]:
        yield Finding(statement.label, "role-destroys", ", ".join(found))
