"""What one policy allows and another does not, in words."""

from dataclasses import replace
from typing import Any

import pytest

from eif.errors import EifError
from eif.policy.diff import Change, diff
from eif.policy.generate import key_policy
from tests.eif_policy.policy_world import (
    ADMINISTRATOR,
    FOREIGNER,
    HOLDER,
    PCRS_A,
    PCRS_B,
    ROLE,
    STRANGER,
    USED,
    Policy,
    image,
    parsed,
    policy,
)

IMAGE_A = "attested by the image with PCR0 a0a0a0a0a0a0a0a0…, PCR1 a1a1a1a1a1a1a1a1…, PCR2 a2a2a2a2a2a2a2a2…"
IMAGE_B = "attested by the image with PCR0 b0b0b0b0b0b0b0b0…, PCR1 b1b1b1b1b1b1b1b1…, PCR2 b2b2b2b2b2b2b2b2…"
IN_CONTEXT = "for the encryption context deployment=demo, generation=1, holder=operator, purpose=holder-key"


def compare(before: Policy, after: Policy) -> tuple[Change, ...]:
    return diff(parsed(before), parsed(after))


def allowing(**members: Any) -> Policy:
    value = policy(PCRS_A)
    value["Statement"].append({"Effect": "Allow", "Resource": "*"} | members)
    return value


def test_policy_does_not_differ_from_itself_in_another_order() -> None:
    turned = policy(PCRS_A)
    turned["Statement"].reverse()
    assert compare(policy(PCRS_A), turned) == ()


def test_upgrade_is_told_as_a_new_image_and_its_end_as_the_loss_of_the_old() -> None:
    both, new = policy(PCRS_A, PCRS_B), policy(PCRS_B)
    assert compare(policy(PCRS_A), both) == (Change(True, ROLE, USED, f" {IMAGE_B}, {IN_CONTEXT}"),)
    assert compare(both, new) == (Change(False, ROLE, USED, f" {IMAGE_A}, {IN_CONTEXT}"),)


def test_end_of_a_retiring_image_is_told_with_its_time() -> None:
    ending = [image(PCRS_B), replace(image(PCRS_A), until="2027-01-31T00:00:00Z")]
    [change] = compare(policy(PCRS_B, PCRS_A), key_policy(HOLDER, ending))
    assert change == Change(False, ROLE, USED, f" {IMAGE_A}, {IN_CONTEXT} from 2027-01-31T00:00:00Z on")


def test_dropped_register_is_told_as_a_wider_image() -> None:
    value = policy(PCRS_A)
    value["Statement"] = [s for s in value["Statement"] if s["Effect"] == "Allow"]
    wider = policy(PCRS_A)
    wider["Statement"] = [s for s in wider["Statement"] if s["Effect"] == "Allow"]
    del wider["Statement"][0]["Condition"]["StringEqualsIgnoreCase"]["kms:RecipientAttestation:PCR1"]
    [change] = compare(value, wider)
    assert (change.gained, change.principal) == (True, ROLE)
    assert "image with PCR0 a0a0a0a0a0a0a0a0…, PCR2 a2a2a2a2a2a2a2a2…" in change.text


def test_lost_deny_alone_changes_nothing_that_is_allowed() -> None:
    value = policy(PCRS_A)
    value["Statement"] = [s for s in value["Statement"] if s["Effect"] == "Allow"]
    assert compare(policy(PCRS_A), value) == ()


def test_unattested_call_is_told_as_such() -> None:
    bare = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": USED[0]}]}
    bare["Statement"][0]["Resource"] = "*"  # type: ignore[index]
    nothing = {"Version": "2012-10-17", "Statement": [{**bare["Statement"][0], "Effect": "Deny"}]}  # type: ignore[dict-item]
    [change] = compare(nothing, bare)
    assert change.text == f"{ROLE} may kms:Decrypt, whatever else holds."


def test_call_that_passes_without_a_document_alone_is_told_as_such() -> None:
    value = policy(PCRS_A)
    value["Statement"] = [s for s in value["Statement"] if s["Effect"] == "Allow"]
    only = {"Effect": "Allow", "Principal": {"AWS": STRANGER}, "Action": "kms:Decrypt", "Resource": "*"}
    only["Condition"] = {"Null": {"kms:RecipientAttestation:PCR0": "true"}}
    [change] = compare(value, {**value, "Statement": [*value["Statement"], only]})
    assert change.text == f"{STRANGER} may kms:Decrypt without an attestation document."


def test_new_administrator_and_delegation_are_told_by_name() -> None:
    [change] = compare(policy(PCRS_A), allowing(Principal={"AWS": STRANGER}, Action="kms:PutKeyPolicy"))
    assert change == Change(True, STRANGER, ("kms:PutKeyPolicy",), "")
    changes = compare(policy(PCRS_A), allowing(Principal={"AWS": "111111111111"}, Action="kms:TagResource"))
    assert {change.principal for change in changes} == {"any other identity of account 111111111111", ROLE}
    changes = compare(policy(PCRS_A), allowing(Principal={"AWS": "*"}, Action="kms:DescribeKey"))
    assert {change.principal for change in changes} == {
        ROLE,
        "any other identity of account 111111111111",
        "anybody of another account",
    }


def test_service_of_aws_is_told_by_its_kind() -> None:
    service = {"Service": "lambda.amazonaws.com"}
    [change] = compare(policy(PCRS_A), allowing(Principal=service, Action="kms:DescribeKey"))
    assert change.text == "Service lambda.amazonaws.com may kms:DescribeKey, whatever else holds."
    [change] = compare(policy(PCRS_A), allowing(Principal=service, Action="kms:Decrypt"))  # Denies stop all but A
    assert change.text == f"Service lambda.amazonaws.com may kms:Decrypt {IMAGE_A}."


def test_other_way_round_loses_what_was_gained() -> None:
    wide = allowing(Principal={"AWS": [FOREIGNER, ADMINISTRATOR]}, Action="kms:Encrypt")
    forth, back = compare(policy(PCRS_A), wide), compare(wide, policy(PCRS_A))
    assert [(c.principal, c.text) for c in forth] == [(c.principal, c.text) for c in back]
    assert {c.gained for c in forth} == {True}
    assert {c.gained for c in back} == {False}


def test_policies_that_name_too_much_are_refused() -> None:
    names = [f"arn:aws:iam::{account:012}:role/r" for account in range(900)]
    contexts = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": ROLE},
            "Action": f"kms:{'Decrypt'[:length]}*",
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:a": str(length)}},
        }
        for length in range(1, 8)
    ]
    wide = {"Version": "2012-10-17", "Statement": contexts}
    wide["Statement"].append({"Effect": "Allow", "Principal": {"AWS": names}, "Action": "kms:*", "Resource": "*"})  # type: ignore[attr-defined]
    with pytest.raises(EifError) as refusal:
        compare(policy(PCRS_A), wide)
    assert refusal.value.code == "policy-too-complex"
