"""The locks pin every package by hash, name no place, and agree with pyproject.toml and each other (SC-05)."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.packaging.source import ROOT

LOCKS = ("all", "enclave", "verifier")
EXTRAS = {"all": ("enclave", "host", "image", "dev"), "enclave": ("enclave",), "verifier": ()}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(lock: str) -> list[str]:
    """One text for each pinned package: requirement, then hashes."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def pinned(lock: str) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for entry in entries(lock):
        requirement = Requirement(entry.partition(" --hash")[0])
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_one_version_with_hashes_and_nothing_else(lock: str) -> None:
    assert entries(lock)
    for entry in entries(lock):
        head, *hashes = re.split(r"\s+(?=--hash)", entry.strip())
        assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.!+-]+( ; [^@]+)?", head.strip()), head
        assert hashes, head
        assert all(HASH.fullmatch(text.strip()) for text in hashes), head


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_place(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-(?!-hash)|#)", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_satisfies_pyproject(lock: str) -> None:
    wanted = list(project()["dependencies"])
    for extra in EXTRAS[lock]:
        wanted += project()["optional-dependencies"][extra]
    versions = pinned(lock)
    for requirement in map(Requirement, wanted):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name}: run make lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: run make lock"


@pytest.mark.parametrize("lock", ["enclave", "verifier"])
def test_smaller_locks_are_part_of_the_one_that_is_tested(lock: str) -> None:
    def hashes(of: str) -> dict[str, list[str]]:
        return {entry.partition("==")[0]: HASH.findall(entry) for entry in entries(of)}

    assert pinned(lock).items() <= pinned("all").items()
    assert hashes(lock).items() <= hashes("all").items()


def test_what_ends_up_in_the_image_holds_no_test_tool_and_no_second_opinion() -> None:
    unwanted = {
        "pytest",
        "hypothesis",
        "pycose",
        "ecdsa",
        "boto3",
        "uvicorn",
        "starlette",
        "moto",
        "mypy",
        "ruff",
        "hatchling",
    }
    assert unwanted.isdisjoint(pinned("enclave"))
    assert unwanted.isdisjoint(pinned("verifier"))


@pytest.mark.parametrize(("name", "floor"), [("cbor2", "5.9.0"), ("cryptography", "50")])
def test_versions_known_to_be_bad_are_out_of_reach(name: str, floor: str) -> None:
    for lock in LOCKS:
        assert pinned(lock)[name] >= Version(floor)


def test_the_project_stays_private() -> None:
    """The import names are plain words; uploaded, the distribution could overwrite a stranger's packages."""
    assert "Private :: Do Not Upload" in project()["classifiers"]
