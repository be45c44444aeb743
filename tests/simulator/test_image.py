"""Staging measures exactly what will run: which byte changes which register, and what is not part of an image."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from attestation import pcr
from simulator.image import ImageError, StagedImage, new_module_id, stage

_ROOT = Path(__file__).parents[2]
_CONFIG = b'{"version":1}'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small checkout with every file and folder that an image takes, and some that it does not."""
    root = tmp_path / "checkout"
    files = {
        **{f"{package}/__init__.py": f"# {package}\n" for package in ("attestation", "enclave", "evm", "protocol")},
        "enclave/login/otp.py": "code = 1\n",
        "evm/abi/token.json": "[]",
        "simulator/__init__.py": "",
        "simulator/guest.py": "import enclave, json, sys; print(json.dumps([enclave.__file__, sys.argv[1:]]))\n",
        "simulator/jail/__init__.py": "",
        "simulator/nsm_socket.py": "",
        "simulator/sysfs/rng": "",
        "simulator/vsock.py": "",
        "simulator/kms.py": "not inside",
        "host_proxy/__init__.py": "not inside",
        "tests/test_x.py": "not inside",
        "enclave/__pycache__/x.pyc": "not inside",
        "enclave/.hidden": "not inside",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _pcrs(source: Path, target: Path, config: bytes = _CONFIG) -> dict[int, str]:
    return {index: value.hex() for index, value in stage(source, config, target).pcrs.items()}


def _changed(before: dict[int, str], after: dict[int, str]) -> set[int]:
    return {index for index in before if before[index] != after[index]}


def test_same_inputs_give_the_same_measurements_in_another_place_and_time(source: Path, tmp_path: Path) -> None:
    first = _pcrs(source, tmp_path / "a")
    moved = source.rename(tmp_path / "elsewhere")
    for path in moved.rglob("*.py"):
        path.touch()
        path.chmod(0o700)
    assert _pcrs(moved, tmp_path / "b") == first


@pytest.mark.parametrize(
    ("name", "registers"),
    [
        ("enclave/login/otp.py", {0, 2}),
        ("enclave/__init__.py", {0, 2}),
        ("protocol/__init__.py", {0, 2}),
        ("attestation/__init__.py", {0, 2}),
        ("evm/abi/token.json", {0, 2}),
        ("simulator/guest.py", {0, 1}),
        ("simulator/jail/__init__.py", {0, 1}),
        ("simulator/kms.py", set()),
        ("host_proxy/__init__.py", set()),
        ("tests/test_x.py", set()),
        ("enclave/__pycache__/x.pyc", set()),
    ],
)
def test_one_byte_changes_the_registers_that_measure_it(
    source: Path, tmp_path: Path, name: str, registers: set[int]
) -> None:
    before = _pcrs(source, tmp_path / "a")
    with (source / name).open("a") as file:
        file.write("\n")
    assert _changed(before, _pcrs(source, tmp_path / "b")) == registers


def test_configuration_is_measured_with_the_application(source: Path, tmp_path: Path) -> None:
    before = _pcrs(source, tmp_path / "a")
    assert _changed(before, _pcrs(source, tmp_path / "b", _CONFIG + b" ")) == {0, 2}


def test_added_removed_and_renamed_files_are_noticed(source: Path, tmp_path: Path) -> None:
    before = _pcrs(source, tmp_path / "a")
    (source / "enclave/new.py").touch()
    added = _pcrs(source, tmp_path / "b")
    (source / "enclave/new.py").rename(source / "enclave/other.py")
    renamed = _pcrs(source, tmp_path / "c")
    (source / "enclave/other.py").unlink()
    assert _changed(before, added) == _changed(added, renamed) == _changed(before, renamed) == {0, 2}
    assert _pcrs(source, tmp_path / "d") == before


def test_registers_follow_the_formulas_of_the_platform(source: Path, tmp_path: Path) -> None:
    image = stage(source, _CONFIG, tmp_path / "a", role_arn="arn:aws:iam::123456789012:role/r", instance_id="i-1")
    assert image.pcrs[0] == hashlib.sha384(bytes(48) + image.digest).digest()
    assert image.pcrs[3] == hashlib.sha384(bytes(48) + b"arn:aws:iam::123456789012:role/r").digest()
    assert image.pcrs[4] == hashlib.sha384(bytes(48) + b"i-1").digest()
    assert sorted(image.pcrs) == [0, 1, 2, 3, 4]
    assert pcr.ZERO not in image.pcrs.values()


def test_staged_folder_holds_what_was_measured_and_nothing_else(source: Path, tmp_path: Path) -> None:
    image = stage(source, _CONFIG, tmp_path / "a")
    staged = {p.relative_to(image.path).as_posix() for p in image.path.rglob("*") if p.is_file()}
    assert {"init/simulator/guest.py", "app/enclave/login/otp.py", "app/config.json"} <= staged
    assert not [name for name in staged if "not inside" in (image.path / name).read_text()]
    assert (image.path / "app/config.json").read_bytes() == _CONFIG


def test_link_in_the_source_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "enclave/link.py").symlink_to(source / "tests/test_x.py")
    with pytest.raises(ImageError, match="image-link"):
        stage(source, _CONFIG, tmp_path / "a")


def test_incomplete_source_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "simulator/guest.py").unlink()
    with pytest.raises(ImageError, match="image-missing"):
        stage(source, _CONFIG, tmp_path / "a")


def test_used_folder_is_refused(source: Path, tmp_path: Path) -> None:
    stage(source, _CONFIG, tmp_path / "a")
    with pytest.raises(ImageError, match="image-target"):
        stage(source, _CONFIG, tmp_path / "a")


def _run(image: StagedImage, *arguments: str) -> list[object]:
    done = subprocess.run(image.command("simulator.guest", arguments), env={}, check=True, capture_output=True)
    return list(json.loads(done.stdout))


def test_command_runs_the_staged_code_and_not_the_checkout(source: Path, tmp_path: Path) -> None:
    image = stage(source, _CONFIG, tmp_path / "a")
    assert _run(image, "x", "y") == [str(tmp_path / "a/app/enclave/__init__.py"), ["x", "y"]]


def test_this_checkout_can_be_staged(tmp_path: Path) -> None:
    image = stage(_ROOT, _CONFIG, tmp_path / "a")
    assert image.pcrs[0] != image.pcrs[1]


def test_launches_have_ids_of_their_own() -> None:
    first, second = new_module_id("i-1"), new_module_id("i-1")
    assert first != second
    assert first.startswith("i-1-enc")
