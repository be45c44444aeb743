"""The command as people and scripts meet it: output, exit codes, one sentence for each refusal."""

import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from eif import measurements
from eif.cli import build_app
from eif.cli.exit_codes import ExitCode, of_error
from eif.errors import TEXTS, EifError
from eif.measurements import measure_path
from eif.signature import parse_signer
from tests.eif import images
from tests.eif.images import METADATA
from tests.packaging.source import ROOT, modules


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.eif"
    path.write_bytes(images.image())
    return path


@pytest.fixture
def signer(tmp_path: Path) -> tuple[Path, Path]:
    """Certificate and key, valid now."""
    key = images.new_key()
    certificate = images.certificate(key, since=datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))
    (tmp_path / "signer.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(images.pem(key))
    return tmp_path / "signer.pem", tmp_path / "key.pem"


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_measure_prints_what_nitro_cli_prints(image: Path) -> None:
    value = printed(run("measure", image))
    pcrs = {f"PCR{index}": value.hex() for index, value in measure_path(image).items()}
    assert value == {"Measurements": {"HashAlgorithm": "Sha384 { ... }"} | pcrs}
    assert printed(run("measure", image, "--json")) == value
    assert run("measure", image, "--json").stdout.count("\n") == 1


def test_describe_prints_the_description(image: Path) -> None:
    value = printed(run("describe", image))
    assert value["Measurements"] == printed(run("measure", image))["Measurements"]
    assert value["CheckCRC"] is True


def test_describe_shows_damage_and_ends_with_1(image: Path) -> None:
    damaged = bytearray(image.read_bytes())
    damaged[-1] ^= 1
    image.write_bytes(damaged)
    result = run("describe", image)
    assert (result.exit_code, json.loads(result.stdout)["CheckCRC"]) == (ExitCode.REFUSED, False)
    assert result.stderr == "REFUSED (eif-crc): see CheckCRC and Chancery.Signature\n"


def test_sign_in_place_and_to_another_file(image: Path, signer: tuple[Path, Path], tmp_path: Path) -> None:
    before = printed(run("measure", image))["Measurements"]
    options = ("--signing-certificate", signer[0], "--private-key", signer[1])
    signed = printed(run("sign", image, *options, "--output", tmp_path / "signed.eif"))["Measurements"]
    assert signed == before | {"PCR8": parse_signer(signer[0].read_bytes()).pcr8.hex()}
    assert printed(run("measure", image))["Measurements"] == before
    assert printed(run("sign", image, *options))["Measurements"] == signed
    description = printed(run("describe", image))
    assert (description["IsSigned"], description["SignatureCheck"]) == (True, True)


def test_sign_to_a_folder_that_does_not_exist(image: Path, signer: tuple[Path, Path], tmp_path: Path) -> None:
    options = ("--signing-certificate", signer[0], "--private-key", signer[1], "--output", tmp_path / "absent" / "a")
    result = run("sign", image, *options)
    assert result.exit_code == ExitCode.UNREADABLE
    assert result.stderr.startswith("REFUSED (output-unwritable): ")


def test_sign_refuses_another_key_and_leaves_the_image(image: Path, signer: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(images.pem(images.new_key()))
    result = run("sign", image, "--signing-certificate", signer[0], "--private-key", tmp_path / "other.pem")
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith("REFUSED (key-mismatch): ")
    assert image.read_bytes() == images.image()


def test_explain_ends_with_0_for_the_same_and_1_for_others(image: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.eif"
    other.write_bytes(images.image(*images.with_section(METADATA, images.CLAIMS.encode().replace(b"6.12", b"6.13"))))
    assert run("explain", image, image).exit_code == ExitCode.OK
    different = run("explain", image, other)
    assert different.exit_code == ExitCode.REFUSED
    assert "~ metadata changed" in different.stdout
    assert run("explain", image, other, "--measured").exit_code == ExitCode.OK
    other.write_bytes(images.image(*images.with_section(images.KERNEL, b"other")))
    assert run("explain", image, other, "--measured").exit_code == ExitCode.REFUSED
    value = json.loads(run("explain", image, other, "--json").stdout)
    assert value["registers"]["PCR1"]["changed"] is True


def test_pcr_computes_one_register(image: Path, signer: tuple[Path, Path]) -> None:
    with image.open("rb") as stream:
        assert printed(run("pcr", "--input", image)) == {"PCR": measurements.of_file(stream).hex()}
    pcr8 = parse_signer(signer[0].read_bytes()).pcr8.hex()
    assert printed(run("pcr", "--signing-certificate", signer[0])) == {"PCR8": pcr8}
    role, instance = "arn:aws:iam::123456789012:role/enclave", "i-0827e799ec9232d44"
    assert printed(run("pcr", "--role", role)) == {"PCR3": measurements.of_role(role).hex()}
    assert printed(run("pcr", "--instance", instance)) == {"PCR4": measurements.of_instance(instance).hex()}


def test_certificate_file_at_its_cap_is_read(signer: tuple[Path, Path], tmp_path: Path) -> None:
    certificate = signer[0].read_bytes()
    (tmp_path / "large.pem").write_bytes(certificate.rjust(1 << 16, b"\n"))
    assert printed(run("pcr", "--signing-certificate", tmp_path / "large.pem")) == {
        "PCR8": parse_signer(certificate).pcr8.hex()
    }


@pytest.mark.parametrize("options", [(), ("--role", "a", "--instance", "b")])
def test_pcr_wants_exactly_one_source(options: tuple[str, ...]) -> None:
    result = run("pcr", *options)
    assert result.exit_code == ExitCode.USAGE
    assert "exactly one of" in result.stderr


def test_each_failure_is_one_sentence_with_a_code_and_its_exit_code(image: Path, tmp_path: Path) -> None:
    cut, large = tmp_path / "cut.eif", tmp_path / "large.pem"
    cut.write_bytes(image.read_bytes()[:600])
    large.write_bytes(bytes((1 << 16) + 1))
    for arguments, exit_code, code in (
        (("measure", cut), ExitCode.REFUSED, "eif-truncated"),
        (("describe", cut), ExitCode.REFUSED, "eif-truncated"),
        (("explain", image, cut), ExitCode.REFUSED, "eif-truncated"),
        (("measure", tmp_path / "absent"), ExitCode.UNREADABLE, "input-unreadable"),
        (("measure", tmp_path), ExitCode.UNREADABLE, "input-unreadable"),
        (("pcr", "--input", tmp_path / "absent"), ExitCode.UNREADABLE, "input-unreadable"),
        (("pcr", "--signing-certificate", large), ExitCode.UNREADABLE, "input-unreadable"),
        (("pcr", "--signing-certificate", image), ExitCode.REFUSED, "certificate-malformed"),
        (("pcr", "--role", "nobody"), ExitCode.REFUSED, "role-malformed"),
        (("pcr", "--instance", "i-1"), ExitCode.REFUSED, "instance-malformed"),
    ):
        result = run(*arguments)
        assert result.exit_code == exit_code, arguments
        assert result.stderr.startswith(f"REFUSED ({code}): {TEXTS[code]}"), arguments
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""


def test_wrong_usage_ends_with_2() -> None:
    for arguments in (("measure",), ("nothing",), ("describe", "a", "b")):
        assert run(*arguments).exit_code == ExitCode.USAGE


def test_exit_codes_are_in_the_help() -> None:
    help_text = " ".join(run("--help").stdout.split())
    assert all(f"{code.value} {code.meaning}" in help_text for code in ExitCode)


def test_help_does_not_load_what_commands_need() -> None:
    """Which is what keeps it quick: below 0.3 s on the machine where it was written."""
    script = (
        "import sys\nfrom eif.cli import build_app\nbuild_app()\n"
        "print([name for name in ('cryptography', 'cbor2', 'rich', 'zstandard', 'eif.reader') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_codes_are_a_closed_list_and_each_is_raised_somewhere() -> None:
    with pytest.raises(ValueError, match="no-such-code"):
        EifError("no-such-code")
    raised = "".join(module.text for module in modules("eif") if module.name != "eif/errors.py")
    assert [code for code in TEXTS if f'"{code}"' not in raised] == []


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(EifError("eif-crc", "why")))  # noqa: S301  made a line above
    assert (error.code, error.detail, error.text) == ("eif-crc", "why", f"{TEXTS['eif-crc']} (why)")
    assert of_error(error) == ExitCode.REFUSED
