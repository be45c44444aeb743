"""Our evaluation beside that of the simulated KMS, which was written apart from it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eif.policy.evaluate import Situation, may_be_allowed
from tests.eif_policy.policy_world import (
    ACCOUNT,
    ADMINISTRATOR,
    BAD_CALLS,
    CONTEXT,
    FOREIGNER,
    PCRS_A,
    ROLE,
    STRANGER,
    USED,
    Call,
    Policy,
    document,
    parsed,
    policy,
)

ATTESTATION = "kms:RecipientAttestation:"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
IDENTITIES = (ROLE, ADMINISTRATOR, STRANGER)


def ours(value: Policy, call: Call) -> bool:
    registers = None if call.pcrs is None else {i: v.hex() for i, v in document(call.pcrs).pcrs.items()}
    return may_be_allowed(parsed(value), call.principal, call.action, Situation(registers, call.context))


_KEYS = st.sampled_from(
    [f"{ATTESTATION}PCR0", f"{ATTESTATION}ImageSha384", f"{ATTESTATION}PCR1", "kms:EncryptionContext:holder"]
)
_VALUES = st.sampled_from([PCRS_A[0].hex(), PCRS_A[0].hex().upper(), PCRS_A[1].hex(), "a?a*", "operator", "oper*", "*"])
_OPERATORS = st.sampled_from(
    [
        f"String{name}{suffix}"
        for name in ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")
        for suffix in ("", "IfExists")
    ]
)
_CONDITIONS = st.dictionaries(
    _OPERATORS,
    st.dictionaries(_KEYS, _VALUES | st.lists(_VALUES, min_size=1, max_size=2), min_size=1, max_size=2),
    max_size=2,
) | st.fixed_dictionaries(
    {"Null": st.dictionaries(_KEYS, st.sampled_from(["true", "false", True]), min_size=1, max_size=2)}
)
_STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Deny"]),
        "Principal": st.just("*")
        | st.fixed_dictionaries({"AWS": st.sampled_from([ROLE, ROOT, [ROLE, ADMINISTRATOR]])}),
        "Action": st.sampled_from(["kms:*", "kms:Decrypt", ["kms:Dec*", "kms:GenerateDataKey"], "KMS:decrypt", "*"]),
        "Resource": st.just("*"),
        "Condition": _CONDITIONS,
    }
)
_CALLS = st.builds(
    Call,
    st.sampled_from([*USED, "kms:PutKeyPolicy"]),
    st.sampled_from([None, PCRS_A, {**PCRS_A, 0: PCRS_A[1]}, {}]),
    st.sampled_from(IDENTITIES),
    st.sampled_from([{}, CONTEXT, {"HOLDER": "operator"}]),
)


@settings(max_examples=200)
@given(st.lists(_STATEMENTS, min_size=1, max_size=4), _CALLS)
def test_both_evaluations_agree(statements: list[dict[str, Any]], call: Call) -> None:
    value = {"Version": "2012-10-17", "Statement": statements}
    assert ours(value, call) == call.is_allowed(value)


@pytest.mark.parametrize("call", BAD_CALLS, ids=str)
def test_both_refuse_the_table_of_bad_calls(call: Call) -> None:
    assert ours(policy(PCRS_A), call) == call.is_allowed(policy(PCRS_A)) is False


def test_condition_that_is_not_evaluated_is_met_by_an_allow_and_unmet_by_a_deny() -> None:
    strange = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    statement = {"Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*", "Condition": strange}
    allow, deny = statement | {"Effect": "Allow"}, statement | {"Effect": "Deny"}
    assert ours({"Statement": [allow, deny]}, Call("kms:Decrypt"))
    assert not ours({"Statement": [deny]}, Call("kms:Decrypt"))


def test_negated_elements_cover_everything_else() -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "NotAction": "kms:Put*", "Resource": "*"}
    value = {"Version": "2012-10-17", "Statement": [statement]}
    for action in (*USED, "kms:PutKeyPolicy"):
        call = Call(action)
        assert ours(value, call) == call.is_allowed(value) == (action != "kms:PutKeyPolicy")
    others = {"Effect": "Allow", "NotPrincipal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"}
    assert not ours({"Statement": [others]}, Call("kms:Decrypt"))
    assert ours({"Statement": [others]}, Call("kms:Decrypt", principal=FOREIGNER))


def test_nobody_of_another_account_is_reached_through_an_account() -> None:
    everyone = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:Decrypt", "Resource": "*"}
    assert ours({"Statement": [everyone]}, Call("kms:Decrypt", principal=STRANGER))
    assert not ours({"Statement": [everyone]}, Call("kms:Decrypt", principal=FOREIGNER))
