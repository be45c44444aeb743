"""Key policies and identity policies, evaluated as AWS does: explicit deny first, default deny (KM-08).

A key policy that names the account root does not grant by itself: it lets identity policies of that account grant. A
caller from another account needs both. Elements that are not evaluated here (NotPrincipal, service principals in Deny,
policy variables) are refused when the policy is put, never skipped. Documents' measurements arrive as condition values:
the caller of `denial` has verified the attestation document before.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from protocol import canonical_json
from protocol.errors import ProtocolError
from simulator.kms.conditions import Condition, Values, glob_match, parse_conditions
from simulator.kms.errors import malformed_policy

MAX_POLICY_BYTES: Final = 32 * 1024  # AWS's quota, below the 131,072 of the service model

_ACCOUNT: Final = re.compile(r"([0-9]{12})|arn:aws:iam::([0-9]{12}):root")
_IDENTITY: Final = re.compile(
    r"arn:aws:(iam::[0-9]{12}:(user|role)|sts::[0-9]{12}:assumed-role)/[A-Za-z0-9_+=,.@/-]{1,512}"
)
_ACTION: Final = re.compile(r"\*|[Kk][Mm][Ss]:[A-Za-z*?]{1,64}")
_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the IAM identity (user, role or root) and, for a role, the session that acts for it."""

    arn: str
    caller_arn: str
    identity_policy: "Policy | None" = None

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @property
    def is_root(self) -> bool:
        return self.arn == f"arn:aws:iam::{self.account}:root"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: an action such as `kms:Decrypt`, a key ARN or `*`, and the condition values."""

    principal: Principal
    action: str
    resource: str
    values: Values


class Match(Enum):
    """How a statement's Principal names the caller."""

    NONE = 0
    ACCOUNT = 1
    DIRECT = 2


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `principals` is None in identity policies, which name none."""

    deny: bool
    principals: tuple[str, ...] | None
    actions: tuple[str, ...]
    actions_negated: bool
    resources: tuple[str, ...]
    resources_negated: bool
    conditions: tuple[Condition, ...]

    def applies(self, request: Request) -> bool:
        """Whether action, resource and conditions match; principals are asked for apart."""
        action = any(glob_match(request.action.lower(), pattern) for pattern in self.actions)
        resource = any(glob_match(request.resource, pattern) for pattern in self.resources)
        return (
            action != self.actions_negated
            and resource != self.resources_negated
            and all(condition.holds(request.values) for condition in self.conditions)
        )

    def names(self, principal: Principal) -> Match:
        """Whether the caller is named itself, only through its account, or not at all."""
        if self.principals is None or not {"*", principal.arn, principal.caller_arn}.isdisjoint(self.principals):
            return Match.DIRECT
        return Match.ACCOUNT if principal.account in self.principals else Match.NONE


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document."""

    statements: tuple[Statement, ...]

    def denies(self, request: Request) -> bool:
        """Whether a Deny statement matches."""
        denies = (s for s in self.statements if s.deny and s.names(request.principal) is not Match.NONE)
        return any(statement.applies(request) for statement in denies)

    def grants(self, request: Request) -> Match:
        """The strongest way in which an Allow statement matches."""
        found = (s.names(request.principal) for s in self.statements if not s.deny and s.applies(request))
        return max(found, key=lambda match: match.value, default=Match.NONE)


def denial(request: Request, key_policy: Policy | None, key_account: str) -> str | None:
    """Why the request is refused, in the words of an AccessDenied text, or None when it is allowed.

    `key_policy` is None for actions without a key (GenerateRandom, CreateKey): identity policies alone decide those.
    """
    action, principal = request.action, request.principal
    identity = principal.identity_policy
    if key_policy is not None and key_policy.denies(request):
        return "with an explicit deny in a resource-based policy"
    if identity is not None and identity.denies(request):
        return "with an explicit deny in an identity-based policy"
    by_identity = principal.is_root or (identity is not None and identity.grants(request) is not Match.NONE)
    if key_policy is None:
        return None if by_identity else f"because no identity-based policy allows the {action} action"
    by_key = key_policy.grants(request)
    if by_key is Match.NONE:
        return f"because no resource-based policy allows the {action} action"
    if by_identity or (by_key is Match.DIRECT and principal.account == key_account):
        return None
    return f"because no identity-based policy allows the {action} action"


def parse_key_policy(text: str) -> Policy:
    """A key policy from its JSON text; `AwsError` (MalformedPolicyDocumentException) otherwise."""
    return _parse(text, with_principals=True)


def parse_identity_policy(text: str) -> Policy:
    """An identity policy (no principals) from its JSON text; `AwsError` otherwise."""
    return _parse(text, with_principals=False)


def _parse(text: str, *, with_principals: bool) -> Policy:
    try:
        document = canonical_json.parse(text.encode(), max_bytes=MAX_POLICY_BYTES)
    except (ProtocolError, UnicodeEncodeError):
        raise malformed_policy("The policy is not a JSON document of at most 32 KiB with unique members") from None
    if not isinstance(document, dict) or not document.keys() <= {"Version", "Id", "Statement"}:
        raise malformed_policy("A policy has Version, Id and Statement")
    if document.get("Version") not in ("2012-10-17", "2008-10-17"):
        raise malformed_policy("Version must be 2012-10-17 or 2008-10-17")
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    if not listed:
        raise malformed_policy("A policy has at least one statement")
    return Policy(tuple(_statement(item, with_principals) for item in listed))


def _statement(item: Any, with_principals: bool) -> Statement:
    if not isinstance(item, dict) or not item.keys() <= _ELEMENTS:
        raise malformed_policy("A statement has an element that is not evaluated")
    if item.get("Effect") not in ("Allow", "Deny"):
        raise malformed_policy("Effect must be Allow or Deny")
    if ("Principal" in item) != with_principals:
        raise malformed_policy("Key policies name a Principal, identity policies do not")
    actions, actions_negated = _either(item, "Action")
    if any(_ACTION.fullmatch(action) is None for action in actions):
        raise malformed_policy("Only kms actions are evaluated")
    resources, resources_negated = _either(item, "Resource")
    return Statement(
        deny=item["Effect"] == "Deny",
        principals=_principals(item["Principal"]) if with_principals else None,
        actions=tuple(action.lower() for action in actions),
        actions_negated=actions_negated,
        resources=resources,
        resources_negated=resources_negated,
        conditions=parse_conditions(item["Condition"]) if "Condition" in item else (),
    )


def _either(item: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], bool]:
    """The strings of `name` or of `Not<name>`, of which exactly one is present, and whether it is the negated one."""
    negated = f"Not{name}" in item
    if negated == (name in item):
        raise malformed_policy(f"A statement has {name} or Not{name}")
    return _strings(item[f"Not{name}" if negated else name], name), negated


def _strings(value: Any, name: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(entry, str) and entry and "${" not in entry for entry in values):
        raise malformed_policy(f"{name} must hold plain strings")
    return tuple(values)


def _principals(value: Any) -> tuple[str, ...]:
    """Identity ARNs, bare account numbers for whole accounts, or `*`."""
    if value == "*":
        return ("*",)
    if not isinstance(value, dict) or value.keys() != {"AWS"}:
        raise malformed_policy("Principal must be * or name AWS identities")
    return tuple(_principal(entry) for entry in _strings(value["AWS"], "Principal"))


def _principal(entry: str) -> str:
    if account := _ACCOUNT.fullmatch(entry):
        return account[1] or account[2]
    if entry == "*" or _IDENTITY.fullmatch(entry):
        return entry
    raise malformed_policy("Principal must be an account, a user, a role, a role session or *")
