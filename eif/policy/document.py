"""A key policy as a file says it: JSON in, statements out, nothing judged yet.

Syntax only and untrusted: what is malformed for AWS is refused, what is merely unwise is for `lint`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eif.errors import EifError
from eif.policy.conditions import Condition, glob_match, parse_conditions
from protocol import canonical_json
from protocol.errors import ProtocolError

MAX_FILE_BYTES: Final = 128 * 1024  # the service model takes a text of 131,072; the quota of 32 KiB is a finding
MAX_STATEMENTS: Final = 256

_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_ACCOUNT: Final = re.compile(r"([0-9]{12})|arn:aws[a-z-]*:iam::([0-9]{12}):root")
_ARN_ACCOUNT: Final = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::([0-9]{12}):.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a statement names: a kind (`AWS`, `Service`, …) and a text; `*` of kind AWS is everybody."""

    kind: str
    text: str

    @property
    def is_everybody(self) -> bool:
        return self.text == "*"

    @property
    def account_named(self) -> str | None:
        """The account, where a whole account is named."""
        match = _ACCOUNT.fullmatch(self.text) if self.kind == "AWS" else None
        return match and (match[1] or match[2])

    @property
    def account(self) -> str | None:
        """The account that is named or that the identity belongs to."""
        match = _ARN_ACCOUNT.fullmatch(self.text) if self.kind == "AWS" else None
        return self.account_named or (match and match[1])


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `label` is its Sid, or its place in the policy."""

    label: str
    sid: str | None
    allow: bool
    principals: tuple[Principal, ...]
    principals_negated: bool
    actions: tuple[str, ...]
    actions_negated: bool
    resources: tuple[str, ...]
    resources_negated: bool
    conditions: tuple[Condition, ...]

    def covers(self, action: str) -> bool:
        """Whether its actions include `action`."""
        found = any(glob_match(action.lower(), pattern.lower()) for pattern in self.actions)
        return found != self.actions_negated

    def names(self, caller: str) -> bool:
        """Whether its principals include a caller (an identity's ARN, a service), by itself or through its account."""
        account = Principal("AWS", caller).account
        found = any(
            principal.is_everybody or principal.text == caller or (account and principal.account_named == account)
            for principal in self.principals
        )
        return found != self.principals_negated


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A parsed policy. `size` is that of its text in bytes without needless spaces."""

    version: str | None
    statements: tuple[Statement, ...]
    size: int

    @property
    def allows(self) -> tuple[Statement, ...]:
        return tuple(statement for statement in self.statements if statement.allow)

    @property
    def denies(self) -> tuple[Statement, ...]:
        return tuple(statement for statement in self.statements if not statement.allow)


def parse_policy(data: bytes) -> PolicyDocument:
    """The policy in `data`; `EifError` with `policy-malformed` or `policy-too-large`. Repeated members are refused."""
    try:
        value = canonical_json.parse(data, max_bytes=MAX_FILE_BYTES)
        size = len(canonical_json.canonicalize(value))
    except ProtocolError as error:
        too_large = error.code == "json-too-large"
        raise EifError("policy-too-large" if too_large else "policy-malformed", error.code) from None
    if type(value) is not dict or not value.keys() <= {"Version", "Id", "Statement"} or "Statement" not in value:
        raise EifError("policy-malformed", "a policy has Version, Id and Statement")
    listed = value["Statement"] if type(value["Statement"]) is list else [value["Statement"]]
    if not 1 <= len(listed) <= MAX_STATEMENTS:
        raise EifError("policy-malformed", f"a policy has 1 to {MAX_STATEMENTS} statements")
    version = value.get("Version")
    if version is not None and type(version) is not str:
        raise EifError("policy-malformed", "Version is not a text")
    return PolicyDocument(version, tuple(_statement(item, place) for place, item in enumerate(listed, 1)), size)


def _statement(item: Any, place: int) -> Statement:
    where = f"statement {place}"
    if type(item) is not dict or not item.keys() <= _ELEMENTS:
        raise EifError("policy-malformed", f"{where} has an unknown element")
    if item.get("Effect") not in ("Allow", "Deny"):
        raise EifError("policy-malformed", f"{where}: Effect is Allow or Deny")
    sid = item.get("Sid")
    if sid is not None and (type(sid) is not str or not sid.isprintable()):
        raise EifError("policy-malformed", f"{where}: Sid is not a text")
    principals, principals_negated = _either(item, "Principal", where)
    actions, actions_negated = _either(item, "Action", where)
    resources, resources_negated = _either(item, "Resource", where)
    return Statement(
        label=sid or where,
        sid=sid,
        allow=item["Effect"] == "Allow",
        principals=_principals(principals, where),
        principals_negated=principals_negated,
        actions=_texts(actions, where),
        actions_negated=actions_negated,
        resources=_texts(resources, where),
        resources_negated=resources_negated,
        conditions=parse_conditions(item.get("Condition", {})),
    )


def _either(item: Mapping[str, Any], name: str, where: str) -> tuple[Any, bool]:
    """The value of `name` or of `Not<name>`, of which exactly one is present, and whether it is the negated one."""
    negated = f"Not{name}" in item
    if negated == (name in item):
        raise EifError("policy-malformed", f"{where} has either {name} or Not{name}")
    return item[f"Not{name}" if negated else name], negated


def _principals(value: Any, where: str) -> tuple[Principal, ...]:
    if value == "*":
        return (Principal("AWS", "*"),)
    if type(value) is not dict or not value:
        raise EifError("policy-malformed", f"{where}: a principal is * or an object")
    return tuple(Principal(kind, text) for kind, texts in value.items() for text in _texts(texts, where))


def _texts(value: Any, where: str) -> tuple[str, ...]:
    values = value if type(value) is list else [value]
    if not values or not all(type(text) is str and text for text in values):
        raise EifError("policy-malformed", f"{where}: expected texts")
    return tuple(values)
