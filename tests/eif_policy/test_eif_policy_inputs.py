"""What policies are generated from: measurements and holders, from anybody's files."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import pcr
from eif.errors import EifError
from eif.policy.document import MAX_FILE_BYTES, MAX_STATEMENTS, parse_policy
from eif.policy.holders import MAX_HOLDERS, load_holders, parse_holders
from eif.policy.images import load_image, parse_image, parse_until
from tests import vectors
from tests.eif_policy.policy_world import ADMINISTRATOR, PCRS_A, ROLE, policy

GOOD_PCRS = {f"PCR{index}": value.hex() for index, value in PCRS_A.items()}


def holder(**changes: object) -> dict[str, object]:
    member: dict[str, object] = {"name": "operator", "region": "eu-central-1", "role": ROLE}
    return member | {"administrators": [ADMINISTRATOR]} | changes


def holders_file(*holders: object, **changes: object) -> bytes:
    return json.dumps({"version": 1, "deployment": "demo", "holders": list(holders)} | changes).encode()


def code_of(data: bytes) -> str:
    with pytest.raises(EifError) as refusal:
        parse_holders(data, toml=False)
    return refusal.value.code


def test_measurements_of_image_builders_are_read() -> None:
    text = json.dumps({"Measurements": {"HashAlgorithm": "Sha384 { ... }", **GOOD_PCRS, "PCR8": "AB" * 48}})
    assert dict(parse_image(text.encode()).registers) == {
        **{index: value.hex() for index, value in PCRS_A.items()},
        8: "ab" * 48,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"PCR1": None},
        {"PCR0": pcr.ZERO.hex()},
        {"PCR8": pcr.ZERO.hex()},
        {"PCR0": "ab" * 47},
        {"PCR0": "zz" * 48},
        {"PCR16": "ab" * 48},
        {"PCR0": 5},
    ],
)
def test_measurements_that_name_no_image_are_refused(changes: dict[str, object]) -> None:
    pcrs = {name: value for name, value in (GOOD_PCRS | changes).items() if value is not None}
    with pytest.raises(EifError) as refusal:
        parse_image(json.dumps({"Measurements": pcrs}).encode())
    assert refusal.value.code == "policy-image"


def test_image_file_is_measured() -> None:
    folder = vectors.folder("eif")
    index = json.loads((folder / "index.json").read_text())["images"]
    [known] = [entry for entry in index if entry["file"] == "two-ramdisks.eif"]
    registers = load_image(folder / "two-ramdisks.eif").registers
    assert {f"PCR{index}": value for index, value in registers.items()} == {
        name: known["pcrs"][name] for name in ("PCR0", "PCR1", "PCR2")
    }


def test_file_of_holders_is_read_as_toml_and_as_json(tmp_path: Path) -> None:
    toml = tmp_path / "holders.toml"
    toml.write_text(
        f'version = 1\ndeployment = "demo"\n[[holders]]\nname = "operator"\nregion = "eu-central-1"\n'
        f'role = "{ROLE}"\nadministrators = ["{ADMINISTRATOR}"]\n'
    )
    assert load_holders(toml) == parse_holders(holders_file(holder()), toml=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../etc/passwd"},
        {"name": ""},
        {"region": "eu central"},
        {"role": "arn:aws:iam::111111111111:root"},
        {"role": "*"},
        {"role": "arn:aws:iam::111111111111:user/enclave"},
        {"role": "arn:aws:sts::111111111111:assumed-role/enclave/x"},
        {"administrators": []},
        {"administrators": [ROLE]},
        {"administrators": ["arn:aws:iam::111111111111:root"]},
        {"administrators": ["arn:aws:iam::222222222222:role/keys"]},
        {"administrators": [ADMINISTRATOR, ADMINISTRATOR]},
        {"administrators": ADMINISTRATOR},
        {"administrators": [1]},
        {"key_arn": "arn:aws:kms:eu-west-1:111111111111:key/1"},
        {"key_arn": "arn:aws:kms:eu-central-1:222222222222:key/1"},
        {"key_arn": None},
        {"more": "x"},
    ],
)
def test_holder_that_breaks_one_rule_is_refused(changes: dict[str, object]) -> None:
    assert code_of(holders_file(holder(**changes))) == "policy-holders"


OTHER = ROLE.replace("111111111111", "222222222222")
OTHER_ADMINISTRATOR = ADMINISTRATOR.replace("111111111111", "222222222222")


@pytest.mark.parametrize(
    "second",
    [
        holder(name="second", region="us-east-1"),
        holder(name="second", role=OTHER, administrators=[OTHER_ADMINISTRATOR]),
        holder(region="us-east-1", role=OTHER, administrators=[OTHER_ADMINISTRATOR]),
    ],
    ids=["account", "region", "name"],
)
def test_holders_that_share_account_region_or_name_are_refused(second: dict[str, object]) -> None:
    """SH-09."""
    assert code_of(holders_file(holder(), second)) == "policy-holders"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        holders_file(),
        holders_file(holder(), version=2),
        holders_file(holder(), more=1),
        holders_file(holder(), deployment="Demo"),
        holders_file(holder(), deployment=5),
        holders_file(1),
        holders_file(*[holder()] * (MAX_HOLDERS + 1)),
        b'{"version": 1, "version": 1}',
        b"[" * 200_000,
    ],
)
def test_file_of_holders_in_another_form_is_refused(data: bytes) -> None:
    assert code_of(data) == "policy-holders"
    with pytest.raises(EifError):
        parse_holders(data, toml=True)


@pytest.mark.parametrize("text", ["tomorrow", "2027-01-31T00:00:00", ""])
def test_end_of_an_image_needs_a_zone(text: str) -> None:
    with pytest.raises(EifError) as refusal:
        parse_until(text)
    assert refusal.value.code == "policy-image"
    assert parse_until("2027-01-31T01:00:00+01:00") == "2027-01-31T00:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"Statement": []}',
        '{"Statement": [5]}',
        '{"Statement": [{}]}',
        '{"Statement": [{"Effect": "Allow"}]}',
        '{"Version": 5, "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Maybe", "Principal": "*", "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": {}, "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": "x", "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": [], "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "NotAction": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": 1}]}',
        '{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": {"Bool": 1}}}',
        '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Conditions": {}}]}',
        '{"Statement": [{"Effect": "Deny", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}',
    ],
)
def test_what_is_no_key_policy_is_refused(text: str) -> None:
    with pytest.raises(EifError) as refusal:
        parse_policy(text.encode())
    assert refusal.value.code == "policy-malformed"


def test_policy_is_bounded_in_bytes_and_statements() -> None:
    text = json.dumps(policy()).encode()
    assert parse_policy(text + b" " * (MAX_FILE_BYTES - len(text))).statements
    with pytest.raises(EifError) as refusal:
        parse_policy(text + b" " * (MAX_FILE_BYTES - len(text) + 1))
    assert refusal.value.code == "policy-too-large"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    assert parse_policy(json.dumps({"Statement": [statement] * MAX_STATEMENTS}).encode()).statements
    with pytest.raises(EifError) as refusal:
        parse_policy(json.dumps({"Statement": [statement] * (MAX_STATEMENTS + 1)}).encode())
    assert refusal.value.code == "policy-malformed"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["Allow", "*", "kms:Decrypt"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Statement", "Effect", "Principal", "Action", "Resource", "Condition", "AWS", "version"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_is_read_or_refused_with_one_error(value: object) -> None:
    data = json.dumps(value).encode()
    for parse in (parse_policy, parse_image, lambda text: parse_holders(text, toml=False)):
        with contextlib.suppress(EifError):  # any other exception fails the test
            assert parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_one_error(data: bytes) -> None:
    for parse in (parse_policy, parse_image, lambda text: parse_holders(text, toml=True)):
        with pytest.raises(EifError):
            parse(data)
