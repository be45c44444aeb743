"""What may be in the root file system, and what a build would put there (SC-04)."""

from pathlib import Path

import pytest

from eif import cpio
from eif.errors import EifError
from eif.rootfs import application, base
from eif.rootfs.allow_list import AllowList, allow_list
from tests.packaging.source import ROOT

PACKAGES = base.PACKAGES


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/sh", "usr/bin/dash", "usr/bin/bash", "bin/sh", "usr/bin/busybox", "usr/bin/env", "usr/bin/perl",
        "usr/bin/apt-get", "usr/bin/dpkg", "usr/bin/pip", "usr/bin/gcc-14", "usr/bin/ld", "usr/bin/strip", "sbin/init",
        "usr/bin/pydoc3.13", "usr/bin/python3.13-config", "usr/lib/apt/methods/http", "var/lib/dpkg/status",
        "etc/ssl/certs/ca-certificates.crt", "etc/passwd", "etc/chancery/other.json", "root/.ssh/id_rsa",
        f"{PACKAGES}/simulator/kms/service.py", f"{PACKAGES}/tests/appliance.py", f"{PACKAGES}/host_proxy/app.py",
        f"{PACKAGES}/eif/build.py", f"{PACKAGES}/benchmarks/load.py", f"{PACKAGES}/pip/__init__.pyc",
        f"{PACKAGES}/pytest/__init__.pyc", f"{PACKAGES}/boto3/__init__.pyc", f"{PACKAGES}/botocore/auth.pyc",
        f"{PACKAGES}/httpx/__init__.pyc", f"{PACKAGES}/attestation/cli/x.py", f"{PACKAGES}/attestation/client.py",
        f"{PACKAGES}/attestation/__pycache__/client.cpython-313.pyc", f"{PACKAGES}/attestation/js/chancery-fetch.js",
        f"{PACKAGES}/pycose/__init__.pyc", f"{PACKAGES}/ecdsa/__init__.pyc", f"{PACKAGES}/Crypto/SelfTest/x.pyc",
        f"{PACKAGES}/cytoolz/tests/test_x.pyc", f"{PACKAGES}/cbor2/tool.py", f"{PACKAGES}/evil.pth",
        f"{PACKAGES}/sitecustomize.py", "usr/lib/python3.13/test/test_x.pyc", "usr/lib/python3.13/pdb.pyc",
        "usr/lib/python3.13/ensurepip/__init__.pyc", "usr/lib/python3.13/idlelib/x.pyc", "usr/lib/python3.13/os.py",
        "usr/lib/python3.13/pydoc.pyc", "usr/lib/python3.13/code.pyc", "usr/lib/python3.13/cmd.pyc",
        "usr/lib/python3.13/smtpd.pyc", "usr/lib/python3.13/venv/__init__.pyc", "usr/lib/x86_64-linux-gnu/libcurl.so.4",
    ],
)  # fmt: skip
def test_stranger_is_not_allowed(path: str) -> None:
    assert not allow_list().allows(path)


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/python3.13", "usr/bin/python3", "bin", "etc/chancery/config.json", "usr/lib64/ld-linux-x86-64.so.2",
        "usr/lib/x86_64-linux-gnu/libcrypto.so.3", "usr/lib/python3.13/asyncio/events.pyc",
        f"{PACKAGES}/enclave/wallets.py", f"{PACKAGES}/enclave/__pycache__/wallets.cpython-313.pyc",
        f"{PACKAGES}/cbor2/_cbor2.cpython-313-x86_64-linux-gnu.so", f"{PACKAGES}/eth_account-0.14.0.dist-info/METADATA",
    ],
)  # fmt: skip
def test_what_the_enclave_needs_is_allowed(path: str) -> None:
    assert allow_list().allows(path)


def test_last_line_that_matches_decides() -> None:
    rules = AllowList("# all\na/**\n!a/b/**\na/b/{c,d}.py\n")
    assert [rules.allows(path) for path in ("a/x", "a/b/x", "a/b/c.py", "a/b/d.py", "a/b/e.py", "b", "a")] == [
        True, False, True, True, False, False, False,
    ]  # fmt: skip


def test_star_stays_in_its_folder_and_nothing_else_is_special() -> None:
    rules = AllowList("lib*.so\nx/*.p?c\n")
    assert rules.allows("libz.so")
    assert not rules.allows("libz/evil.so")
    assert not rules.allows("libz.so\n")
    assert not rules.allows("libzXso")
    assert rules.allows("x/a.p?c")
    assert not rules.allows("x/a.pyc")


@pytest.mark.parametrize("line", ["a{b", "a}b", "a{}", " a", "a "])
def test_malformed_pattern_is_refused(line: str) -> None:
    with pytest.raises(EifError, match="allow-list-malformed"):
        AllowList(line)


def test_file_that_is_not_on_the_list_stops_the_build() -> None:
    good = cpio.file("etc/chancery/config.json", b"{}")
    application.validate_strangers([good])
    with pytest.raises(EifError, match=r"rootfs-stranger.*usr/bin/sh"):
        application.validate_strangers([good, cpio.file("usr/bin/sh", b"")])


def test_folders_are_there_and_temporary_files_have_a_place() -> None:
    entries = {entry.path: entry for entry in application.with_folders([cpio.file("etc/chancery/config.json", b"{}")])}
    assert {"etc", "etc/chancery", "dev", "proc", "sys", "run", "tmp"} <= entries.keys()
    assert entries["tmp"].mode == 0o1777
    assert {entry.mode for name, entry in entries.items() if name not in ("tmp", "etc/chancery/config.json")} == {0o755}


def test_own_code_in_the_image_is_what_the_enclave_loads() -> None:
    """Nothing of the packages is missing but the verifier's command line and its client."""
    allowed = allow_list()
    left_out = {
        path.relative_to(ROOT).parts[:2]
        for package in application.OWN_PACKAGES
        for path in base.files_below(ROOT / package)
        if path.suffix == ".py" and not allowed.allows(f"{PACKAGES}/{path.relative_to(ROOT).as_posix()}")
    }
    assert left_out == {("attestation", "cli"), ("attestation", "client.py")}


def test_link_among_our_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "enclave").mkdir()
    (tmp_path / "enclave/x.py").symlink_to("/etc/passwd")
    with pytest.raises(EifError, match=r"rootfs-stranger.*is a link"):
        application._copy_allowed(tmp_path, "enclave", tmp_path / "target")


def test_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(EifError, match=r"input-unreadable.*no package enclave"):
        application._copy_allowed(tmp_path, "enclave", tmp_path / "target")
