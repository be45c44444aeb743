"""Policies: who is meant, explicit deny first, default deny, and the two ways into another account (KM-08)."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.kms.conditions import Values
from simulator.kms.errors import AwsError
from simulator.kms.policy import Principal, Request, denial, parse_identity_policy, parse_key_policy

ACCOUNT, FOREIGN = "111122223333", "444455556666"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/enclave"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/enclave/i-1"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0b7d7f5e-0000-4000-8000-000000000001"
IMAGE: Values = {"kms:recipientattestation:pcr0": ("ab" * 48,)}
ENCLAVE = Principal(ROLE, SESSION)


def allow(principal: object = ROLE, actions: object = "kms:Decrypt", **more: object) -> dict[str, Any]:
    named = principal if principal == "*" else {"AWS": principal}
    return {"Effect": "Allow", "Principal": named, "Action": actions, "Resource": "*", **more}


def deny(principal: object = ROLE, actions: object = "kms:Decrypt", **more: object) -> dict[str, Any]:
    return allow(principal, actions, **more) | {"Effect": "Deny"}


def document(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allowed(
    *statements: object,
    principal: Principal = ENCLAVE,
    action: str = "kms:Decrypt",
    resource: str = KEY,
    values: Values | None = None,
) -> bool:
    request = Request(principal, action, resource, values or {})
    return denial(request, parse_key_policy(document(*statements)), ACCOUNT) is None


def identity(*statements: dict[str, Any], arn: str = ROLE, caller: str = SESSION) -> Principal:
    bare = [{name: value for name, value in item.items() if name != "Principal"} for item in statements]
    return Principal(arn, caller, parse_identity_policy(document(*bare)))


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (ROLE, True),
        (SESSION, True),
        ("*", True),
        (["*"], True),
        ([f"arn:aws:iam::{ACCOUNT}:user/alice", ROLE], True),
        (f"arn:aws:iam::{ACCOUNT}:role/enclav", False),
        (f"arn:aws:iam::{ACCOUNT}:role/Enclave", False),
        (f"arn:aws:iam::{FOREIGN}:role/enclave", False),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/enclave/i-2", False),
        (ROOT, False),  # the account is named, but no identity policy grants
        (ACCOUNT, False),
    ],
)
def test_who_an_allow_names(principal: object, expected: bool) -> None:
    assert allowed(allow(principal)) is expected


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("kms:Decrypt", True),
        ("KMS:decrypt", True),
        ("kms:*", True),
        ("*", True),
        ("kms:De*", True),
        ("kms:Decryp?", True),
        (["kms:Encrypt", "kms:Decrypt"], True),
        ("kms:Encrypt", False),
        ("kms:Decryp", False),
        ("kms:DecryptX", False),
    ],
)
def test_which_actions_match(actions: object, expected: bool) -> None:
    assert allowed(allow(actions=actions)) is expected


def test_not_action_allows_everything_else() -> None:
    statement = allow() | {"NotAction": ["kms:Put*", "kms:Encrypt"]}
    del statement["Action"]
    assert allowed(statement)
    assert not allowed(statement, action="kms:Encrypt")
    assert not allowed(statement, action="kms:PutKeyPolicy")


@pytest.mark.parametrize(
    ("resource", "expected"),
    [(KEY, True), ("*", True), (KEY[:-1] + "*", True), (KEY[:-1] + "2", False), (KEY.replace("us-", "eu-"), False)],
)
def test_which_resources_match(resource: str, expected: bool) -> None:
    assert allowed(allow(Resource=resource)) is expected


def test_default_is_deny() -> None:
    assert not allowed(deny(actions="kms:Encrypt"))


@pytest.mark.parametrize("order", [0, 1])
def test_explicit_deny_wins_in_any_order(order: int) -> None:
    pair = [allow(), deny()]
    assert not allowed(*(pair if order else reversed(pair)))


@pytest.mark.parametrize("principal", [ROOT, ACCOUNT, "*", SESSION])
def test_deny_that_names_the_account_reaches_every_identity_in_it(principal: str) -> None:
    assert not allowed(allow(), deny(principal))


def test_deny_for_another_account_does_not_matter() -> None:
    assert allowed(allow(), deny(f"arn:aws:iam::{FOREIGN}:root"))


def test_positive_condition_refuses_without_a_document_and_negated_deny_too() -> None:
    pinned = {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": "AB" * 48}}
    unless = {"StringNotEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": "AB" * 48}}
    assert allowed(allow(Condition=pinned), values=IMAGE)
    assert not allowed(allow(Condition=pinned))
    assert not allowed(allow(), deny(Condition=unless))
    assert allowed(allow(), deny(Condition=unless), values=IMAGE)


def test_negated_allow_lets_a_caller_without_document_through_unless_guarded_by_null() -> None:
    negated = {"StringNotEquals": {"kms:RecipientAttestation:PCR0": "00" * 48}}
    assert allowed(allow(Condition=negated))
    assert not allowed(allow(Condition=negated | {"Null": {"kms:RecipientAttestation:PCR0": "false"}}))


def test_account_statement_grants_only_what_the_identity_policy_grants() -> None:
    delegating = allow(ROOT, "kms:*")
    assert allowed(delegating, principal=identity(allow(actions="kms:Decrypt")))
    assert not allowed(delegating, principal=identity(allow(actions="kms:Encrypt")))
    assert allowed(delegating, principal=Principal(ROOT, ROOT))


def test_deny_in_the_identity_policy_wins() -> None:
    assert not allowed(allow(), principal=identity(allow(), deny()))


def test_caller_from_another_account_needs_both_policies() -> None:
    arn, caller = f"arn:aws:iam::{FOREIGN}:role/x", f"arn:aws:sts::{FOREIGN}:assumed-role/x/s"
    assert not allowed(allow(arn), principal=Principal(arn, caller))
    assert allowed(allow(arn), principal=identity(allow(), arn=arn, caller=caller))
    assert allowed(allow(FOREIGN), principal=identity(allow(), arn=arn, caller=caller))
    assert not allowed(allow(), principal=identity(allow(), arn=arn, caller=caller))


def test_actions_without_a_key_are_for_identity_policies_alone() -> None:
    request = Request(ENCLAVE, "kms:GenerateRandom", "*", {})
    assert denial(request, None, ACCOUNT) is not None
    granted = Request(identity(allow(actions="kms:Generate*")), "kms:GenerateRandom", "*", {})
    assert denial(granted, None, ACCOUNT) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"Version": "2012-10-17"}',
        '{"Version": "2012-10-17", "Statement": []}',
        '{"Statement": [], "Version": "2013-01-01"}',
        '{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}',
        document("Allow"),
        document(allow() | {"Effect": "allow"}),
        document(allow(Principals=ROLE)),
        document(allow() | {"Principal": ROLE}),
        document(allow() | {"Principal": {"Service": "ec2.amazonaws.com"}}),
        document(allow() | {"Principal": {"AWS": []}}),
        document(allow(f"arn:aws:iam::{ACCOUNT}:role/*") | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}}),
        document(allow("12345678901")),
        document(allow() | {"NotPrincipal": {"AWS": ROLE}}),
        document({name: value for name, value in allow().items() if name != "Principal"}),
        document(allow(actions="s3:GetObject")),
        document(allow(actions=[])),
        document(allow(actions=1)),
        document(allow() | {"NotAction": "kms:Encrypt"}),
        document({name: value for name, value in allow().items() if name != "Resource"}),
        document(allow(Resource="${aws:username}")),
        document(allow(Condition={"Bool": {"aws:SecureTransport": "true"}})),
        document(allow(Sid="x" * 40_000)),
        "[" * 10_000,
    ],
)
def test_policy_that_is_not_evaluated_is_refused(text: str) -> None:
    with pytest.raises(AwsError) as refused:
        parse_key_policy(text)
    assert refused.value.type_name == "MalformedPolicyDocumentException"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
elements = st.sampled_from(["Effect", "Principal", "Action", "Resource", "Condition", "Sid", "NotAction"])
known = st.sampled_from(
    ["Allow", "Deny", "*", "kms:Decrypt", ROLE, {"AWS": ROLE}, {"Null": {"kms:ViaService": "true"}}]
)
statements = st.dictionaries(elements, known | json_values, max_size=6)


@given(
    st.text(max_size=200) | json_values.map(json.dumps) | st.lists(statements, max_size=3).map(lambda s: document(*s))
)
def test_any_text_is_a_policy_or_one_error(text: str) -> None:
    with suppress(AwsError):
        denial(Request(ENCLAVE, "kms:Decrypt", KEY, {}), parse_key_policy(text), ACCOUNT)
