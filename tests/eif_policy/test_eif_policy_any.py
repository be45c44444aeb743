"""Whatever a policy says, if it can be read it can be examined and compared, in bounded time and without a trace."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eif.errors import EifError
from eif.policy.diff import diff
from eif.policy.document import PolicyDocument, parse_policy
from eif.policy.findings import Finding
from eif.policy.lint import lint
from eif.policy.vocabulary import ACTIONS, CONDITION_KEYS
from tests.eif_policy.policy_world import ADMINISTRATOR, FOREIGNER, NOW, PCRS_A, ROLE, image

_TEXT = st.text(min_size=1, max_size=6) | st.sampled_from(["*", "${aws:userid}", "true", "0" * 96, PCRS_A[0].hex()])
_DATES = st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "x"]
)
_BASES = (
    *("StringEquals", "StringEqualsIgnoreCase", "StringNotLike", "StringLike", "Null", "DateLessThan", "DateNotEquals"),
    *("Bool", "IpAddress", "ArnLike", "ArnNotEquals", "NumericLessThan", "Strange", ""),
)
_OPERATORS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "ForAnyValue:", "ForAllValues:", "x:"]),
    st.sampled_from(_BASES),
    st.sampled_from(["", "IfExists"]),
)
_KEYS = st.sampled_from(CONDITION_KEYS) | st.sampled_from(["kms:EncryptionContext:x", "kms:EncryptionContext:", "x"])
_VALUES = _TEXT | _DATES | st.booleans() | st.integers()
_CONDITIONS = st.dictionaries(
    _OPERATORS, st.dictionaries(_KEYS, _VALUES | st.lists(_VALUES, min_size=1, max_size=3), max_size=2), max_size=3
)
_NAMES = st.sampled_from([ROLE, ADMINISTRATOR, FOREIGNER, "111111111111", "AROAEXAMPLEEXAMPLE123", "*"]) | _TEXT
_PRINCIPALS = st.just("*") | st.dictionaries(
    st.sampled_from(["AWS", "Service", "Federated"]), _NAMES | st.lists(_NAMES, min_size=1, max_size=3), min_size=1
)
_ACTIONS = st.sampled_from([*ACTIONS, "kms:*", "*", "kms:Re*", "s3:GetObject"]) | _TEXT
_SOME_ACTIONS = _ACTIONS | st.lists(_ACTIONS, min_size=1, max_size=3)


@st.composite
def _statements(draw: st.DrawFn) -> dict[str, Any]:
    negated = [draw(st.sampled_from(["", "", "Not"])) for _ in range(3)]
    statement: dict[str, Any] = {"Effect": draw(st.sampled_from(["Allow", "Deny"]))}
    statement[f"{negated[0]}Principal"] = draw(_PRINCIPALS)
    statement[f"{negated[1]}Action"] = draw(_SOME_ACTIONS)
    statement[f"{negated[2]}Resource"] = draw(_TEXT)
    if draw(st.booleans()):
        statement["Condition"] = draw(_CONDITIONS)
    if draw(st.booleans()):
        statement["Sid"] = draw(st.sampled_from(["a", "b"]))
    return statement


_POLICIES = st.builds(
    lambda statements, version: {"Statement": statements} | version,
    st.lists(_statements(), min_size=1, max_size=4),
    st.sampled_from([{}, {"Version": "2012-10-17"}, {"Version": ""}]),
)


def read(value: dict[str, Any]) -> PolicyDocument | None:
    with contextlib.suppress(EifError):
        return parse_policy(json.dumps(value).encode())
    return None


@settings(max_examples=100)
@given(_POLICIES, _POLICIES)
def test_any_policy_is_examined_and_compared(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = read(one), read(other)
    if first is None or second is None:
        return
    assert all(isinstance(finding, Finding) for finding in lint(first, NOW, [image(PCRS_A)]))
    with contextlib.suppress(EifError):
        forth, back = diff(first, second), diff(second, first)
        assert {(c.principal, c.text, c.gained) for c in forth} == {(c.principal, c.text, not c.gained) for c in back}
        assert diff(first, first) == ()
