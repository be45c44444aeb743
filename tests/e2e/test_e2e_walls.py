"""The enclave's process as the kernel sees it: no network, no environment, no files of the user, no way to look in."""

import contextlib
import os
import re
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.e2e_support import Site

SECCOMP_FILTER = "2"
HIDDEN = "this user may not look into the enclave's process, which is as it should be"


@pytest.fixture
def process(site: Site) -> Path:
    """What /proc tells of the running enclave."""
    pid = site.appliance.launcher.pid
    assert pid is not None
    return Path(f"/proc/{pid}")


def visible(path: Path) -> bytes:
    """The contents of a file that only its owner or root may read; skips where this user may not."""
    try:
        return path.read_bytes()
    except PermissionError:
        pytest.skip(HIDDEN)


def link(path: Path) -> str:
    try:
        return os.readlink(path)
    except PermissionError:
        pytest.skip(HIDDEN)


def status(process: Path) -> dict[str, str]:
    lines = (process / "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def report(site: Site) -> str:
    return next(line for line in site.lines if line.startswith("simulator: network closed by "))


def test_the_jail_reports_what_closes_network_and_files(site: Site) -> None:
    found = re.fullmatch(r"simulator: network closed by (.+); files closed by (.+)", report(site))
    assert found is not None
    assert set(found[1].split(", ")) <= {"a network namespace of its own", "a socket filter"}
    assert re.fullmatch(r"(a root of its own)?(, )?(Landlock [0-9]+)?", found[2])


def test_the_kernel_bears_out_that_the_network_is_closed(site: Site, process: Path) -> None:
    said = report(site)
    if "a socket filter" in said:
        assert status(process)["Seccomp"] == SECCOMP_FILTER
    if "a network namespace of its own" in said:
        assert link(process / "ns" / "net") != os.readlink("/proc/self/ns/net")
        interfaces = visible(process / "net" / "dev").decode().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
        routes = visible(process / "net" / "route").decode().splitlines()
        assert len(routes) <= 1  # the header at most: not even a way to itself
        for protocol in ("tcp", "tcp6", "udp", "udp6"):
            assert len(visible(process / "net" / protocol).splitlines()) <= 1, protocol
    assert status(process)["NoNewPrivs"] == "1"
    assert int(status(process)["CapEff"], 16) == int(status(process)["CapPrm"], 16) == 0


def test_every_open_socket_is_a_unix_socket(site: Site, process: Path) -> None:
    """Also while it talks to holders and mail server: tunnels end at the host."""
    site.user().log_in()
    link(process / "fd" / "0")
    strangers: set[str] | None = None
    for _ in range(20):  # sockets come and go between two looks: a stranger is one that every look has met
        targets = set()
        for path in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                targets.add(os.readlink(path))
        sockets = {target[len("socket:[") : -1] for target in targets if target.startswith("socket:")}
        # A connection is listed in the namespace of the side that began it.
        tables = visible(process / "net" / "unix") + Path("/proc/self/net/unix").read_bytes()
        unix = {fields[6] for fields in map(str.split, tables.decode().splitlines()) if len(fields) > 6}
        strangers = sockets - unix if strangers is None else strangers & (sockets - unix)
        if not strangers:
            break
        time.sleep(0.1)
    assert strangers == set()
    assert len(sockets) >= 3  # the listener, the host's connection, the services
    assert {target.partition(":")[0] for target in targets} <= {"socket", "pipe", "anon_inode", "/dev/null"}


def test_environment_is_empty(process: Path) -> None:
    assert visible(process / "environ") == b""


def test_arguments_name_the_image_and_the_sockets_and_no_secret(site: Site, process: Path) -> None:
    arguments = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert arguments[-3] == b"simulator.guest"
    assert os.fsencode(site.appliance.image.path) == arguments[-2]
    assert all(b"secret" not in argument.lower() and b"AWS" not in argument for argument in arguments)


def test_memory_of_the_process_cannot_be_dumped(process: Path) -> None:
    limits = visible(process / "limits").decode()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            (process / "mem").open("rb")


def test_root_of_the_process_holds_nothing_of_the_user(site: Site, process: Path) -> None:
    """The state of host and stand-ins, which lies next to it, is out of sight."""
    if "a root of its own" not in report(site):
        pytest.skip("no mount namespaces here; Landlock closes the files")
    root = process / "root"
    try:
        os.listdir(root)
    except PermissionError:
        pytest.skip(HIDDEN)
    image = site.appliance.image.path
    assert (root / str(image).lstrip("/") / "app" / "config.json").exists()
    for path in (site.state, site.state / "store.sqlite", Path(__file__), Path("/etc/passwd"), Path.home() / ".ssh"):
        assert not (root / str(path).lstrip("/")).exists(), path


def test_ports_of_the_stand_ins_are_open_to_this_test_and_to_the_host_alone(site: Site) -> None:
    """The control: the very addresses that the enclave cannot reach are there, one namespace further out."""
    for (_, _), port in site.stand_ins._ports.items():
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
