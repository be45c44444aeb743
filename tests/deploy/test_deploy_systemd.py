"""The units, judged by systemd itself where it is installed, and by their own words everywhere."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attestation.roots import AMAZON
from host_proxy.cli import build_app
from host_proxy.config import load_config
from tests.deploy.deployment import SAMPLES, SYSTEMD

UNIT = SYSTEMD / "chancery-host.service"
MAX_EXPOSURE = 20  # tenths; systemd calls up to 2.0 well protected. What remains is the network, and two devices.
ANALYZE = shutil.which("systemd-analyze")
SYSUSERS = shutil.which("systemd-sysusers")

with_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def values(name: str) -> list[str]:
    """All values of one setting, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyze(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_LOG_LEVEL": "warning"}
    command = [ANALYZE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def staged(folder: Path, text: str) -> Path:
    """The unit beside a stand-in for the allocator's; its program is replaced by one that this machine has."""
    (folder / "nitro-enclaves-allocator.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    unit = folder / UNIT.name
    unit.write_text(text.replace("/opt/chancery/venv/bin/chancery", "/bin/true"))
    return unit


@with_systemd
def test_systemd_takes_the_unit_without_a_word(tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", str(staged(tmp_path, UNIT.read_text())), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
def test_systemd_would_see_a_mistake(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("ProtectClock=yes", "ProtectClok=yes")
    done = analyze("verify", "--man=no", str(staged(tmp_path, text)), folder=tmp_path)
    assert "ProtectClok" in done.stderr


@with_systemd
def test_systemd_finds_little_exposed(tmp_path: Path) -> None:
    unit = staged(tmp_path, UNIT.read_text())
    done = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", "--no-pager", str(unit), folder=tmp_path)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a unit file offline")
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_unit_runs_the_proxy_as_a_user_of_its_own() -> None:
    [command] = values("ExecStart")
    program, *arguments = command.split()
    assert program == "/opt/chancery/venv/bin/chancery"
    assert arguments == ["run", "--config", "/etc/chancery/host.toml"]
    assert CliRunner().invoke(build_app((AMAZON,)), ["run", "--help"]).exit_code == 0
    assert values("User") == ["chancery"]
    assert values("CapabilityBoundingSet") == values("AmbientCapabilities") == [""]
    assert values("NoNewPrivileges") == ["yes"]
    assert values("ProtectSystem") == ["strict"]


def test_sandbox_leaves_what_enclaves_need() -> None:
    assert "AF_VSOCK" in values("RestrictAddressFamilies")[0].split()
    assert values("DevicePolicy") == ["closed"]
    assert values("DeviceAllow") == ["/dev/nitro_enclaves rw", "/dev/vsock rw"]
    assert values("SupplementaryGroups") == ["ne"]
    assert values("PrivateDevices") == []


def test_environment_holds_paths_and_switches_and_no_secret() -> None:
    settings = dict(value.split("=", 1) for value in values("Environment"))
    assert settings == {
        "AWS_CONFIG_FILE": "/etc/chancery/aws-config",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_V1_DISABLED": "true",
    }
    assert values("EnvironmentFile") == []


def test_requests_may_finish_before_the_unit_is_killed() -> None:
    assert int(values("TimeoutStopSec")[0]) > load_config(SAMPLES / "host.toml").grace_s
    assert values("KillMode") == ["mixed"]


@pytest.mark.skipif(SYSUSERS is None, reason="systemd-sysusers is not installed")
def test_user_is_made_without_a_shell_and_in_the_group_of_enclaves(tmp_path: Path) -> None:
    assert SYSUSERS is not None
    (tmp_path / "etc").mkdir()
    command = [SYSUSERS, f"--root={tmp_path}", "--dry-run", str(SYSTEMD / "sysusers.conf")]
    environment = os.environ | {"SYSTEMD_LOG_LEVEL": "info"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-sysusers has no dry run")
    assert done.returncode == 0, done.stderr
    assert "chancery" in done.stderr
    assert (
        'u chancery - "Chancery host proxy" /var/lib/chancery /usr/sbin/nologin'
        in (SYSTEMD / "sysusers.conf").read_text()
    )


def test_configuration_is_written_by_root_alone_and_the_key_read_by_root_alone() -> None:
    lines = [line.split() for line in (SYSTEMD / "tmpfiles.conf").read_text().splitlines() if not line.startswith("#")]
    rules = {path: (mode, owner, group) for _, path, mode, owner, group, *_ in lines}
    assert rules.pop("/etc/chancery/tls.key") == ("0600", "root", "root")
    assert rules.pop("/etc/chancery") == ("0750", "root", "chancery")
    assert set(rules.values()) == {("0640", "root", "chancery")}
    assert set(rules) == {f"/etc/chancery/{name}" for name in ("host.toml", "aws-config", "tls.crt")}
