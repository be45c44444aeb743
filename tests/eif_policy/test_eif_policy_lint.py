"""Each mistake that `lint` knows, alone in an otherwise right policy."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from eif.policy.findings import RULES, Finding
from eif.policy.lint import lint
from tests.eif_policy.policy_world import (
    ADMINISTRATOR,
    FOREIGNER,
    NOW,
    PCRS_A,
    PCRS_B,
    ROLE,
    STRANGER,
    Policy,
    codes,
    image,
    parsed,
    policy,
)

ATTESTATION = "kms:RecipientAttestation:"
CONTEXT = "kms:EncryptionContext:"
ROOT = "arn:aws:iam::111111111111:root"

Statement = dict[str, Any]
Edit = Callable[[Policy], object]


def find(value: Policy, sid: str) -> Statement:
    found: list[Statement] = [statement for statement in value["Statement"] if statement["Sid"] == sid]
    assert len(found) == 1
    return found[0]


def allow(value: Policy) -> Statement:
    return find(value, "AllowImage1")


def registers(value: Policy) -> dict[str, Any]:
    found: dict[str, Any] = allow(value)["Condition"]["StringEqualsIgnoreCase"]
    return found


def condition(value: Policy) -> dict[str, Any]:
    found: dict[str, Any] = allow(value)["Condition"]
    return found


def drop(value: Policy, *prefixes: str) -> None:
    kept = [s for s in value["Statement"] if not s["Sid"].startswith(prefixes)]
    assert len(kept) < len(value["Statement"])
    value["Statement"] = kept


def add(value: Policy, **members: Any) -> None:
    value["Statement"].append({"Sid": "Added", "Effect": "Allow", "Resource": "*"} | members)


def rename(mapping: dict[str, Any], old: str, new: str) -> None:
    """The same value under another name."""
    mapping[new] = mapping.pop(old)


def move(value: Policy, key: str, operator: str) -> None:
    """One register under another operator."""
    condition(value).setdefault(operator, {})[ATTESTATION + key] = registers(value).pop(ATTESTATION + key)


def oversize(value: Policy) -> None:
    find(value, "AdministerKey")["Principal"]["AWS"] = [f"{ADMINISTRATOR}{number:0500}" for number in range(70)]


def pcr8_only(value: Policy) -> None:
    condition(value)["StringEqualsIgnoreCase"] = {f"{ATTESTATION}PCR8": "8a" * 48}


def no_context(value: Policy) -> None:
    del condition(value)["StringEquals"], condition(value)["ForAllValues:StringEquals"]


def delegate(value: Policy) -> None:
    """What the console puts on a new key."""
    add(value, Principal={"AWS": ROOT}, Action="kms:*")


def deny_documents(value: Policy) -> None:
    add(value, Effect="Deny", Principal="*", Action="kms:Decrypt", Condition={"Null": {f"{ATTESTATION}PCR0": "false"}})


def pattern(value: Policy) -> None:
    move(value, "PCR2", "StringLike")
    condition(value)["StringLike"][f"{ATTESTATION}PCR2"] = "a2*"


def but_one(value: Policy) -> None:
    move(value, "PCR2", "StringNotEquals")
    condition(value)["Null"] = {f"{ATTESTATION}PCR2": "false"}


ONLY: list[tuple[str, Edit]] = [
    ("policy-size", oversize),
    ("version-old", lambda p: p.pop("Version")),
    ("version-old", lambda p: p.update(Version="2008-10-17")),
    ("sid-repeated", lambda p: find(p, "DenyWithoutPCR1").update(Sid="DenyWithoutPCR0")),
    ("administrator-missing", lambda p: drop(p, "AdministerKey")),
    ("principal-wildcard", lambda p: allow(p).update(Principal="*")),
    ("principal-wildcard", lambda p: allow(p).update(Principal={"AWS": ["*", ROLE]})),
    ("principal-negated", lambda p: rename(find(p, "DenyWithoutPCR1"), "Principal", "NotPrincipal")),
    ("principal-foreign", lambda p: allow(p).update(Principal={"AWS": [ROLE, FOREIGNER]})),
    ("principal-foreign", lambda p: add(p, Principal={"AWS": "999999999999"}, Action="kms:DescribeKey")),
    ("principal-account", lambda p: allow(p).update(Principal={"AWS": ROOT})),
    ("principal-account", delegate),
    ("principal-service", lambda p: allow(p).update(Principal={"AWS": ROLE, "Service": "lambda.amazonaws.com"})),
    ("principal-deleted", lambda p: allow(p).update(Principal={"AWS": [ROLE, "AROAEXAMPLEEXAMPLE123"]})),
    ("action-negated", lambda p: rename(find(p, "DenyWithoutPCR1"), "Action", "NotAction")),
    ("action-everything", lambda p: allow(p).update(Action="kms:*")),
    ("action-everything", lambda p: allow(p).update(Action=["*"])),
    ("action-unknown", lambda p: allow(p)["Action"].append("kms:Decypt")),
    ("action-opens-otherwise", lambda p: allow(p)["Action"].append("kms:ReEncryptFrom")),
    ("action-opens-otherwise", lambda p: allow(p).update(Action=["kms:Decrypt", "kms:GenerateDataKey*"])),
    ("action-opens-otherwise", lambda p: allow(p)["Action"].append("kms:DeriveSharedSecret")),
    ("grant-open", lambda p: find(p, "AdministerKey")["Action"].append("kms:CreateGrant")),
    ("role-administers", lambda p: allow(p)["Action"].append("kms:PutKeyPolicy")),
    ("role-administers", lambda p: add(p, Principal={"AWS": ROLE}, Action="kms:Put*")),
    ("role-destroys", lambda p: allow(p)["Action"].append("kms:ScheduleKeyDeletion")),
    ("encrypt-open", lambda p: allow(p)["Action"].append("kms:Encrypt")),
    ("encrypt-open", lambda p: add(p, Principal={"AWS": STRANGER}, Action="kms:Encrypt")),
    ("principal-account", lambda p: find(p, "AdministerKey").update(Principal={"AWS": ROOT})),
    ("resource-narrow", lambda p: allow(p).update(Resource="arn:aws:kms:eu-central-1:111111111111:key/1")),
    ("resource-narrow", lambda p: rename(allow(p), "Resource", "NotResource")),
    ("attestation-missing", lambda p: allow(p).pop("Condition")),
    ("attestation-missing", lambda p: add(p, Principal={"AWS": STRANGER}, Action="kms:Decrypt")),
    ("attestation-missing", lambda p: condition(p).pop("StringEqualsIgnoreCase")),
    ("pins-incomplete", lambda p: registers(p).pop(f"{ATTESTATION}PCR1")),
    ("pins-incomplete", pcr8_only),
    ("pcr-zero", lambda p: registers(p).update({f"{ATTESTATION}PCR2": "0" * 96})),
    ("pcr-form", lambda p: registers(p).update({f"{ATTESTATION}PCR2": "ab" * 32})),
    ("pcr-form", lambda p: registers(p).update({f"{ATTESTATION}PCR2": "0x" + "ab" * 47})),
    ("pcr-case", lambda p: condition(p)["StringEquals"].update({f"{ATTESTATION}PCR2": PCRS_A[2].hex().upper()})),
    ("pcr-upper-case", lambda p: registers(p).update({f"{ATTESTATION}PCR2": PCRS_A[2].hex().upper()})),
    ("pcr-operator", lambda p: move(p, "PCR1", "BinaryEquals")),
    ("pcr-wildcard", pattern),
    ("image-contradiction", lambda p: registers(p).update({f"{ATTESTATION}ImageSha384": "1d" * 48})),
    ("images-mixed", lambda p: registers(p).update({f"{ATTESTATION}PCR1": [PCRS_A[1].hex(), PCRS_B[1].hex()]})),
    ("if-exists", lambda p: move(p, "PCR2", "StringEqualsIgnoreCaseIfExists")),
    ("if-exists", lambda p: rename(condition(p), "StringEquals", "StringEqualsIfExists")),
    ("negated-unguarded", lambda p: move(p, "PCR2", "StringNotEqualsIgnoreCase")),
    ("image-negated", but_one),
    ("for-all-values", lambda p: move(p, "PCR2", "ForAllValues:StringEquals")),
    ("document-forbidden", lambda p: condition(p).update(Null={f"{ATTESTATION}PCR0": "true"})),
    ("context-missing", no_context),
    ("context-incomplete", lambda p: condition(p)["StringEquals"].pop(f"{CONTEXT}holder")),
    ("context-incomplete", lambda p: condition(p).pop("ForAllValues:StringEquals")),
    (
        "context-wildcard",
        lambda p: condition(p).update(StringLike={f"{CONTEXT}holder": "oper*"}),
    ),
    ("condition-key-unknown", lambda p: rename(registers(p), f"{ATTESTATION}PCR2", f"{ATTESTATION}PRC2")),
    ("condition-key-unknown", lambda p: rename(registers(p), f"{ATTESTATION}PCR2", "kms:RecipientAttestaton:PCR2")),
    ("condition-key-unknown", lambda p: rename(registers(p), f"{ATTESTATION}PCR2", "aws:RecipientAttestation:PCR2")),
    ("condition-operator-unknown", lambda p: condition(p).update(StringIs={"aws:PrincipalArn": ROLE})),
    ("nitrotpm-key", lambda p: rename(registers(p), f"{ATTESTATION}PCR2", f"{ATTESTATION}NitroTPMPCR2")),
    ("deny-missing", lambda p: drop(p, "DenyWithoutPCR")),
    ("deny-missing", lambda p: [find(p, f"DenyWithoutPCR{i}").update(Action=["kms:Decrypt"]) for i in range(3)]),
    ("deny-missing", lambda p: [find(p, f"DenyWithoutPCR{i}").update(Principal={"AWS": ROLE}) for i in range(3)]),
    ("deny-other-image-missing", lambda p: drop(p, "DenyOtherImages")),
    ("image-shut-out", deny_documents),
    ("overlap-expired", lambda p: condition(p).update(DateLessThan={"aws:CurrentTime": "2026-05-31T00:00:00Z"})),
    ("date-form", lambda p: condition(p).update(DateLessThan={"aws:CurrentTime": "31.5.2026"})),
]  # fmt: skip


@pytest.mark.parametrize(("code", "edit"), ONLY, ids=[f"{code}-{place}" for place, (code, _) in enumerate(ONLY)])
def test_mistake_is_found_and_nothing_else(code: str, edit: Edit) -> None:
    value = policy(PCRS_A)
    edit(value)
    assert codes(value) == {code}


def test_statement_of_one_of_the_two_calls_is_no_mistake() -> None:
    value = policy(PCRS_A)
    allow(value)["Action"] = "kms:Decrypt"
    assert codes(value) == set()


def test_images_that_were_named_are_the_ones_that_are_allowed() -> None:
    value = parsed(policy(PCRS_A))
    assert lint(value, NOW, [image(PCRS_A)]) == ()
    assert lint(value, NOW, [image(PCRS_B)]) == (
        Finding("", "image-absent", "PCR0 b0b0b0b0b0b0b0b0"),
        Finding("AllowImage1", "image-unexpected", "PCR0 a0a0a0a0a0a0a0a0"),
    )
    [found] = lint(value, NOW, [image({**PCRS_A, 8: b"\x08" * 48}), image(PCRS_A)])
    assert found.code == "image-absent"


def test_every_rule_has_its_policy() -> None:
    assert {code for code, _ in ONLY} | {"image-unexpected", "image-absent"} == set(RULES)


def test_finding_says_where_what_can_happen_and_what_to_write() -> None:
    value = policy(PCRS_A)
    registers(value).pop(f"{ATTESTATION}PCR1")
    [found] = lint(parsed(value), NOW)
    assert (found.statement, found.detail) == ("AllowImage1", "without PCR1")
    assert all(rule.consequence.endswith(".") and rule.remedy.endswith(".") for rule in RULES.values())


def test_overlap_ends_at_its_moment() -> None:
    value = policy(PCRS_A)
    condition(value)["DateLessThan"] = {"aws:CurrentTime": NOW.strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert lint(parsed(value), NOW - timedelta(seconds=1)) == ()
    assert [found.code for found in lint(parsed(value), NOW)] == ["overlap-expired"]


def test_policy_of_the_console_for_a_new_key_is_no_policy_for_an_enclave() -> None:
    statement = {"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": ROOT}}
    value = {"Version": "2012-10-17", "Statement": [statement | {"Action": "kms:*", "Resource": "*"}]}
    assert codes(value) == {"principal-account", "deny-missing", "deny-other-image-missing"}


def test_policy_as_tutorials_write_it_is_taken_apart() -> None:
    """PCR0 alone, the account in charge, and nothing denied."""
    enclave = {
        "Effect": "Allow",
        "Principal": {"AWS": ROLE},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"StringEqualsIgnoreCase": {f"{ATTESTATION}ImageSha384": PCRS_A[0].hex()}},
    }
    account = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    value = json.loads(json.dumps({"Version": "2012-10-17", "Statement": [enclave, account]}))
    assert codes(value) == {
        "pins-incomplete", "context-missing", "principal-account", "deny-missing", "deny-other-image-missing",
    }  # fmt: skip
