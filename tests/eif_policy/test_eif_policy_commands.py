"""`chancery-eif policy`: files in, words and exit codes out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from attestation import pcr
from eif.cli import build_app
from eif.policy.generate import key_policy
from tests.eif_policy.policy_world import ADMINISTRATOR, HOLDER, PCRS_A, PCRS_B, ROLE, Pcrs, image, policy

OTHER = {"role": ROLE.replace("111111111111", "2" * 12), "key": ADMINISTRATOR.replace("111111111111", "2" * 12)}


def run(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(build_app(), ["policy", *map(str, arguments)], input=stdin)


def measurements(folder: Path, name: str, pcrs: Pcrs) -> Path:
    path = folder / name
    path.write_text(json.dumps({"Measurements": {f"PCR{index}": value.hex() for index, value in pcrs.items()}}))
    return path


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return measurements(tmp_path, "build.json", PCRS_A)


@pytest.fixture
def holders(tmp_path: Path) -> Path:
    path = tmp_path / "holders.toml"
    path.write_text(f"""
version = 1
deployment = "demo"
[[holders]]
name = "operator"
region = "eu-central-1"
role = "{ROLE}"
administrators = ["{ADMINISTRATOR}"]
[[holders]]
name = "auditor"
region = "us-west-2"
role = "{OTHER["role"]}"
administrators = ["{OTHER["key"]}"]
""")
    return path


def test_generated_files_are_the_policies_and_have_no_finding(tmp_path: Path, build: Path, holders: Path) -> None:
    done = run("generate", "-i", build, "--holders", holders, "--out", tmp_path / "policies")
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "policies").iterdir()) == ["auditor.json", "operator.json"]
    written = (tmp_path / "policies" / "operator.json").read_text()
    assert json.loads(written) == key_policy(HOLDER, [image(PCRS_A)])
    for name in ("auditor", "operator"):
        checked = run("lint", tmp_path / "policies" / f"{name}.json", "--image", build)
        assert (checked.exit_code, checked.stdout.endswith("no findings\n")) == (0, True)


def test_options_say_the_same_as_a_file(build: Path, holders: Path) -> None:
    by_file = run("generate", "-i", build, "--holders", holders, "--holder", "operator")
    by_options = run(
        *("generate", "-i", build, "--holder", "operator", "--deployment", "demo", "--region", "eu-central-1"),
        *("--role", ROLE, "--administrator", ADMINISTRATOR),
    )
    assert by_file.exit_code == by_options.exit_code == 0
    assert by_file.stdout == by_options.stdout
    both = run("generate", "-i", build, "--holders", holders)
    assert json.loads(both.stdout)["operator"] == json.loads(by_file.stdout)


def test_upgrade_with_an_end_and_a_pinned_parent(tmp_path: Path, build: Path, holders: Path) -> None:
    new = measurements(tmp_path, "new.json", PCRS_B)
    done = run(
        *("generate", "-i", new, "--retiring", build, "--until", "2027-01-31T01:00:00+01:00", "--holders", holders),
        *("--holder", "operator", "--parent-role", ROLE, "--parent-instance", "i-0123456789abcdef0"),
    )
    assert done.exit_code == 0
    first, second = json.loads(done.stdout)["Statement"][:2]
    pinned = first["Condition"]["StringEqualsIgnoreCase"]
    assert pinned["kms:RecipientAttestation:PCR0"] == PCRS_B[0].hex()
    assert pinned["kms:RecipientAttestation:PCR3"] == pcr.of_role(ROLE).hex()
    assert pinned["kms:RecipientAttestation:PCR4"] == pcr.of_instance("i-0123456789abcdef0").hex()
    assert second["Condition"]["DateLessThan"] == {"aws:CurrentTime": "2027-01-31T00:00:00Z"}


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ((), 2, "--holders"),
        (("--holder", "operator"), 2, "--holders"),
        (("--holders", "HOLDERS", "--role", ROLE), 2, "--holders"),
        (("--holders", "HOLDERS", "--holder", "nobody"), 2, "nobody"),
        (("--holders", "HOLDERS", "--until", "2027-01-31T00:00:00Z"), 2, "--retiring"),
        (("--holders", "absent"), 3, "input-unreadable"),
        (("--holders", "HOLDERS", "--parent-role", "x"), 1, "role-malformed"),
        (("--holders", "HOLDERS", "--parent-instance", "x"), 1, "instance-malformed"),
        (("--holders", "HOLDERS", "-i", "BUILD"), 1, "policy-images"),
    ],
)
def test_wrong_usage_says_what_is_wrong(
    build: Path, holders: Path, options: tuple[str, ...], status: int, code: str
) -> None:
    named = {"HOLDERS": str(holders), "BUILD": str(build)}
    done = run("generate", "-i", build, *(named.get(option, option) for option in options))
    assert done.exit_code == status
    assert code in done.stderr


def test_findings_are_told_in_words_and_for_programs(tmp_path: Path) -> None:
    value = policy(PCRS_A)
    value["Statement"][0]["Principal"] = "*"
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(value))
    done = run("lint", path)
    assert done.exit_code == 1
    assert "error principal-wildcard [AllowImage1] (*)" in done.stdout
    assert "Instead: Name one role." in done.stdout
    [found] = json.loads(run("lint", "-", "--json", stdin=path.read_bytes()).stdout)["findings"]
    assert (found["code"], found["severity"], found["statement"]) == ("principal-wildcard", "error", "AllowImage1")


def test_another_image_than_the_named_one_is_a_finding(tmp_path: Path, build: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy(PCRS_B)))
    done = run("lint", path, "--image", build)
    assert done.exit_code == 1
    assert "image-unexpected" in done.stdout
    assert "image-absent" in done.stdout


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"Statement": [], "Statement": []}', b"\xff", b" " * 200_000])
def test_what_is_no_policy_is_unreadable(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(data)
    good = tmp_path / "good.json"
    good.write_text(json.dumps(policy()))
    for arguments in (("lint", path), ("lint", tmp_path / "absent"), ("diff", path, good), ("diff", good, path)):
        done = run(*arguments)
        assert done.exit_code == 3
        assert "UNREADABLE" in done.stderr
    assert run("lint").exit_code == 2


def test_difference_is_told_in_words(tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(policy(PCRS_A)))
    after.write_text(json.dumps(policy(PCRS_A, PCRS_B)))
    done = run("diff", before, after)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"+ {ROLE} may kms:Decrypt, kms:GenerateDataKey attested by the image with PCR0 b0b0")
    [change] = json.loads(run("diff", after, before, "--json").stdout)["changes"]
    assert (change["gained"], change["principal"]) == (False, ROLE)
    same = run("diff", before, before)
    assert (same.exit_code, same.stdout) == (0, "Both policies allow the same.\n")
