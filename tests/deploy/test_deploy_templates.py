"""The CloudFormation templates: their own linter, the key policy that `eif.policy` writes, and least rights."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from eif.policy.generate import key_policy
from eif.policy.holders import Holder
from eif.policy.images import Image
from tests.deploy.deployment import TEMPLATES

cfn_yaml = pytest.importorskip("cfnlint.decode.cfn_yaml", reason="cfn-lint is not installed")

PARENT, HOLDER = TEMPLATES / "parent.yaml", TEMPLATES / "holder.yaml"
ACCOUNT = "000000000001"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/keys"
PCRS_A = {index: f"a{index}" * 48 for index in range(3)}
PCRS_B = {index: f"b{index}" * 48 for index in range(3)}
UNTIL = "2027-01-31T00:00:00Z"

_GONE = object()


def template(path: Path) -> dict[str, Any]:
    """The template in its long form; JSON and back, to shed the parser's own types."""
    found: dict[str, Any] = json.loads(json.dumps(cfn_yaml.load(str(path))))
    return found


@dataclass(frozen=True)
class Resolver:
    """As much of CloudFormation as the templates use: Ref, GetAtt of a role, If, Not, Equals."""

    template: Mapping[str, Any]
    parameters: Mapping[str, str]

    def resolve(self, value: Any) -> Any:
        match value:
            case {"Ref": "AWS::NoValue"}:
                return _GONE
            case {"Ref": name}:
                return self.parameters[name]
            case {"Fn::GetAtt": ["EnclaveRole", "Arn"]}:
                return f"arn:aws:iam::{ACCOUNT}:role/{self.parameters['RoleName']}"
            case {"Fn::If": [condition, yes, no]}:
                return self.resolve(yes if self.resolve(self.template["Conditions"][condition]) else no)
            case {"Fn::Not": [inner]}:
                return not self.resolve(inner)
            case {"Fn::Equals": [left, right]}:
                return self.resolve(left) == self.resolve(right)
            case dict():
                members = {name: self.resolve(member) for name, member in value.items()}
                return {name: member for name, member in members.items() if member is not _GONE}
            case list():
                return [item for item in map(self.resolve, value) if item is not _GONE]
        return value


def holder_policy(**given: str) -> Any:
    """The key policy that the holder's template makes of these parameters."""
    found = template(HOLDER)
    defaults = {name: about["Default"] for name, about in found["Parameters"].items() if "Default" in about}
    named = {f"Pcr{index}": value for index, value in PCRS_A.items()}
    common = {"Deployment": "demo", "HolderName": "operator", "AdministratorArn": ADMINISTRATOR}
    resolver = Resolver(found, defaults | named | common | given)
    return resolver.resolve(found["Resources"]["HolderKey"]["Properties"]["KeyPolicy"])


def generated(*images: Image) -> Any:
    role = f"arn:aws:iam::{ACCOUNT}:role/chancery-enclave"
    return key_policy(Holder("demo", "operator", "eu-west-1", role, (ADMINISTRATOR,)), images)


NEXT = {f"NextPcr{index}": value for index, value in PCRS_B.items()}


def cfn_lint(path: Path) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("cfn-lint"))
    command = [program, "--non-zero-exit-code", "informational", "--", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.parametrize("path", [PARENT, HOLDER], ids=["parent", "holder"])
def test_linter_of_cloudformation_has_nothing_to_say(path: Path) -> None:
    done = cfn_lint(path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_linter_would_see_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "parent.yaml"
    path.write_text(PARENT.read_text().replace("HttpTokens: required", "HttpTokens: maybe"))
    done = cfn_lint(path)
    assert done.returncode != 0
    assert "'maybe' is not one of" in done.stdout


def test_key_policy_is_the_generated_one() -> None:
    assert holder_policy() == generated(Image(PCRS_A))


def test_key_policy_of_an_upgrade_is_the_generated_one() -> None:
    assert holder_policy(**NEXT) == generated(Image(PCRS_A), Image(PCRS_B))
    ending = replace(Image(PCRS_A), until=UNTIL)
    assert holder_policy(**NEXT, CurrentUntil=UNTIL) == generated(ending, Image(PCRS_B))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Pcr0", PCRS_A[0], ["0" * 96, PCRS_A[0].upper(), "a0" * 47, "", f"{PCRS_A[0]}0", "zz" * 48]),
        ("NextPcr2", PCRS_A[0], ["0" * 96, PCRS_A[0].upper(), "a0" * 47]),
        ("NextPcr2", "", [" "]),
        ("Deployment", "demo", ["Demo", "d", "-demo", "demo-", "d" * 65]),
        ("HolderName", "operator", ["", "a/b", "ö"]),
        ("ParentRoleArn", ADMINISTRATOR, ["*", "arn:aws:iam::000000000001:root", "arn:aws:iam::1:role/x"]),
        ("AdministratorArn", ADMINISTRATOR, ["*", "arn:aws:iam::000000000001:root"]),
        ("CurrentUntil", UNTIL, ["tomorrow", "2027-01-31"]),
    ],
)
def test_parameters_are_held_to_their_form(name: str, good: str, bad: list[str]) -> None:
    pattern = template(HOLDER)["Parameters"][name]["AllowedPattern"]
    assert re.fullmatch(pattern, good)
    assert not [text for text in bad if re.fullmatch(pattern, text)]


def test_every_text_parameter_has_a_pattern() -> None:
    for path in (PARENT, HOLDER):
        free = [
            name
            for name, about in template(path)["Parameters"].items()
            if about["Type"] in ("String", "CommaDelimitedList")
            and not about.keys() & {"AllowedPattern", "AllowedValues"}
        ]
        assert free == []


def test_role_of_the_parent_assumes_the_holders_roles_and_does_nothing_else() -> None:
    role = template(PARENT)["Resources"]["ParentRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": {"Ref": "HolderRoleArns"}}


def test_role_of_the_enclave_has_no_rights_but_those_of_the_key_policy() -> None:
    role = template(HOLDER)["Resources"]["EnclaveRole"]["Properties"]
    assert not role.keys() & {"Policies", "ManagedPolicyArns"}
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": {"Ref": "ParentRoleArn"}}


def test_instance_runs_enclaves_and_gives_its_credentials_to_itself_only() -> None:
    instance = template(PARENT)["Resources"]["Instance"]["Properties"]
    assert instance["EnclaveOptions"] == {"Enabled": True}
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert all(mapping["Ebs"]["Encrypted"] for mapping in instance["BlockDeviceMappings"])
    assert "KeyName" not in instance
    group = template(PARENT)["Resources"]["SecurityGroup"]["Properties"]
    assert [rule["CidrIp"] for rule in group["SecurityGroupIngress"]] == [{"Ref": "ClientCidr"}]
    assert "-1" not in [str(rule["IpProtocol"]) for rule in group["SecurityGroupEgress"]]


def test_key_and_store_outlive_their_stacks() -> None:
    assert template(HOLDER)["Resources"]["HolderKey"]["DeletionPolicy"] == "Retain"
    assert template(HOLDER)["Resources"]["HolderKey"]["Properties"]["PendingWindowInDays"] == 30
    assert template(PARENT)["Resources"]["StoreVolume"]["DeletionPolicy"] == "Snapshot"


def test_holder_is_told_when_the_key_is_changed() -> None:
    resources = template(HOLDER)["Resources"]
    rule = resources["KeyChangeRule"]["Properties"]
    told = set(rule["EventPattern"]["detail"]["eventName"])
    assert {"PutKeyPolicy", "ScheduleKeyDeletion", "DisableKey", "CreateGrant"} <= told
    assert "requestParameters" not in rule["EventPattern"]["detail"]  # callers name keys in several ways
    assert rule["Targets"] == [{"Id": "mail", "Arn": {"Ref": "AlarmTopic"}}]
