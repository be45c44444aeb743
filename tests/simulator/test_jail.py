"""The walls of the simulated enclave, seen from inside: every layer alone, all together, and what they keep out.

Each case runs in a child process, because walls are for good. A kernel or container that lacks a layer skips its cases.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator import jail
from simulator.jail import socket_filter

_ROOT = Path(__file__).parents[2]
_PACKAGES = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]

# Locks itself in, then runs the probe, which finds `readable` and `writable` and prints one JSON value.
_CHILD = """
import json, sys
path, layers, as_user, readable, writable, probe = json.loads(sys.argv[1])
sys.path += path
from pathlib import Path
from simulator import jail
try:
    report = jail.lock_in([Path(readable)], [Path(writable)], layers=frozenset(layers), as_user=as_user)
except jail.JailError as error:
    print(json.dumps({"refused": error.code}))
    sys.exit()
def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return type(error).__name__
names = {"attempt": attempt, "readable": readable, "writable": writable, "print": print}
exec("import asyncio, json, os, socket, subprocess, sys\\n" + probe, names)
print(json.dumps({"network": report.network, "files": report.files, "seen": names["seen"]}))
"""


@dataclass(frozen=True, slots=True)
class Walls:
    """One way to be locked in."""

    layers: Sequence[str]
    as_user: bool = False


_ALONE = {
    "all": Walls(sorted(jail.ALL_LAYERS)),
    "all, as an ordinary user": Walls(sorted(jail.ALL_LAYERS), as_user=True),
    "namespaces only": Walls([jail.NAMESPACES]),
    "user namespaces only": Walls([jail.NAMESPACES], as_user=True),
    "no namespaces": Walls([jail.LANDLOCK, jail.SOCKET_FILTER]),
}


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one test: what the guest may read, what it may write, and the user's home."""

    image: Path
    sockets: Path
    home: Path

    def run(
        self, walls: Walls, probe: str, environment: dict[str, str] | None = None, **options: object
    ) -> dict[str, object]:
        path = [str(_ROOT), *_PACKAGES]
        what = [path, list(walls.layers), walls.as_user, str(self.image), str(self.sockets), probe]
        command = [sys.executable, "-I", "-S", "-B", "-c", _CHILD, json.dumps(what)]
        done = subprocess.run(
            command,
            env=environment or {},
            capture_output=True,
            text=True,
            timeout=60,
            **options,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return found

    def seen(self, walls: Walls, probe: str) -> object:
        """What the probe left in `seen`; skips where the kernel does not offer these walls."""
        found = self.run(walls, probe)
        if found.get("refused") in ("jail-network", "jail-files"):
            pytest.skip("the kernel does not offer these walls here")
        return found["seen"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "image", tmp_path / "sockets", tmp_path / "home")
    for folder in (made.image, made.sockets, made.home):
        folder.mkdir()
    (made.image / "code.py").write_text("measured")
    (made.home / "secret.txt").write_text("the user's own")
    return made


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture(params=list(_ALONE.values()), ids=list(_ALONE))
def walls(request: pytest.FixtureRequest) -> Walls:
    found: Walls = request.param
    return found


def test_direct_tcp_connection_fails(place: Place, walls: Walls, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    socket.create_connection(("127.0.0.1", port)).close()  # from out here it works
    probe = f"seen = attempt(lambda: socket.create_connection(('127.0.0.1', {port}), 2))"
    assert place.seen(walls, probe) in ("PermissionError", "OSError")


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_internet_is_refused_or_unreachable(place: Place, walls: Walls, family: str) -> None:
    address = {"AF_INET": "192.0.2.1", "AF_INET6": "2001:db8::1"}[family]
    probe = f"""
def dial():
    with socket.socket(socket.{family}) as sock:
        sock.settimeout(2)
        sock.connect(("{address}", 443))
seen = attempt(dial)"""
    assert place.seen(walls, probe) in ("PermissionError", "OSError")


def test_socket_filter_leaves_unix_sockets_only(place: Place) -> None:
    probe = """
streams = (socket.AF_INET, socket.AF_INET6, socket.AF_VSOCK)
seen = [attempt(lambda: socket.socket(family, socket.SOCK_STREAM).close()) for family in streams]
seen += [attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM).close())]
seen += [attempt(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close())]
seen += [attempt(lambda: socket.socketpair()[0].fileno() > 0)]"""
    assert place.seen(_ALONE["no namespaces"], probe) == ["PermissionError"] * 5 + ["True"]


def test_files_of_the_user_cannot_be_opened(place: Place, walls: Walls) -> None:
    secret = place.home / "secret.txt"
    probe = f"""
paths = ({str(secret)!r}, {str(place.home)!r} + "/../home/secret.txt", readable + "/../home/secret.txt")
seen = [attempt(lambda: open(path).read()) for path in paths]
seen += [attempt(lambda: os.listdir({str(place.home)!r}))]
seen += [attempt(lambda: open("/etc/passwd").read()), attempt(lambda: open("/proc/1/environ").read())]"""
    found = place.seen(walls, probe)
    assert isinstance(found, list)
    assert set(found) <= {"PermissionError", "FileNotFoundError"}


def test_descriptors_of_the_caller_are_closed(place: Place) -> None:
    with (place.home / "secret.txt").open() as leaked:
        found = place.run(
            _ALONE["all"],
            f"seen = attempt(lambda: os.read({leaked.fileno()}, 10))",
            pass_fds=[leaked.fileno()],
        )
    assert found["seen"] == "OSError"


def test_image_is_readable_and_cannot_be_changed(place: Place, walls: Walls) -> None:
    probe = """
seen = [open(readable + "/code.py").read(), attempt(lambda: open(readable + "/code.py", "w"))]
seen += [attempt(lambda: open(readable + "/new.py", "w")), attempt(lambda: os.unlink(readable + "/code.py"))]"""
    found = place.seen(walls, probe)
    assert isinstance(found, list)
    assert found[0] == "measured"
    assert set(found[1:]) <= {"PermissionError", "OSError"}
    assert (place.image / "code.py").read_text() == "measured"


def test_folder_of_the_sockets_works_as_both_sides_need_it(place: Place, walls: Walls) -> None:
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(place.sockets / "guest_8000"))
        host.listen()
        probe = """
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(writable + "/guest_8000")
with socket.socket(socket.AF_UNIX) as sock:
    sock.bind(writable + "/guest")
    os.unlink(writable + "/guest")
    sock.close()
async def loop():
    await asyncio.sleep(0)
asyncio.run(loop())
seen = True"""
        assert place.seen(walls, probe) is True


def test_unix_sockets_of_the_host_are_out_of_sight_behind_a_root_of_its_own(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(place.home / "agent"))
        host.listen()
        probe = f"""
def dial():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect({str(place.home / "agent")!r})
seen = attempt(dial)"""
        assert place.seen(_ALONE["namespaces only"], probe) == "FileNotFoundError"


def test_native_libraries_and_the_devices_work_inside(place: Place, walls: Walls) -> None:
    probe = """
import coincurve, cryptography.hazmat.primitives.asymmetric.ec
from enclave.secret import Secret
from enclave.system import KernelEntropy
KernelEntropy().mix(os.urandom(32))
Secret(32).wipe()
open("/dev/null", "w").write("x")
seen = True"""
    outside = Place(_ROOT, place.sockets, place.home)  # the guest's own code stands in the image, here in the checkout
    assert outside.seen(walls, probe) is True


def test_child_processes_stay_inside(place: Place, walls: Walls) -> None:
    probe = f"""
code = "open({str(place.home / "secret.txt")!r})"
done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
seen = done.stderr.splitlines()[-1].partition(":")[0]"""
    assert place.seen(walls, probe) in ("PermissionError", "FileNotFoundError")


def test_no_privilege_is_left(place: Place, walls: Walls) -> None:
    probe = """
seen = [attempt(lambda: os.chroot("/")), attempt(lambda: os.setgroups([0]))]
seen += [attempt(lambda: os.mknod(writable + "/device", 0o600 | 0o020000, 0x0101))]"""
    assert place.seen(walls, probe) == ["PermissionError"] * 3


@pytest.mark.parametrize(
    ("layers", "code"), [([jail.LANDLOCK], "jail-network"), ([jail.SOCKET_FILTER], "jail-files"), ([], "jail-network")]
)
def test_missing_wall_is_refused(place: Place, layers: list[str], code: str) -> None:
    assert place.run(Walls(layers), "seen = True") == {"refused": code}


def test_environment_of_the_user_is_refused(place: Place) -> None:
    found = place.run(_ALONE["all"], "seen = True", {"AWS_SECRET_ACCESS_KEY": "x"})
    assert found == {"refused": "jail-environment"}


def test_environment_is_empty_inside(place: Place, walls: Walls) -> None:
    assert place.seen(walls, "seen = dict(os.environ)") == {}


def test_second_thread_is_refused(place: Place) -> None:
    child = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n" + _CHILD
    what = [[str(_ROOT), *_PACKAGES], sorted(jail.ALL_LAYERS), False, str(place.image), str(place.sockets), ""]
    command = [sys.executable, "-I", "-S", "-B", "-c", child, json.dumps(what)]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"refused": "jail-threads"}


def test_report_names_the_layers(place: Place) -> None:
    found = place.run(_ALONE["no namespaces"], "seen = True")
    if "refused" in found:
        pytest.skip("not offered here")
    assert found["network"] == ["a socket filter"]
    assert str(found["files"]).startswith("['Landlock ")
    assert str(jail.Report(("x", "y"), ("z",))) == "network closed by x, y; files closed by z"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_of_every_processor_jumps_where_it_should(machine: str) -> None:
    numbers = jail.kernel._ARCHITECTURES[machine]
    program = socket_filter._program(numbers)

    def run(call: int, family: int = 0, audit: int = numbers.audit) -> int:
        words = {0: call, 4: audit, 16: family}
        accumulator, at = 0, 0
        while True:
            operation, when_true, when_false, operand = program[at]
            if operation == socket_filter._RETURN:
                return operand
            if operation == socket_filter._LOAD:
                accumulator, jump = words[operand], 0
            else:
                holds = accumulator == operand if operation == socket_filter._EQUAL else accumulator >= operand
                jump = when_true if holds else when_false
            at += 1 + jump

    allow, refuse = socket_filter._ALLOW, socket_filter._REFUSE
    for call in (numbers.socket, numbers.socketpair):
        assert run(call, socket.AF_UNIX) == allow
        assert {run(call, family) for family in range(64) if family != socket.AF_UNIX} == {refuse}
    refused = {425, numbers.ptrace, numbers.process_vm_readv, numbers.process_vm_writev}
    ordinary = set(range(500)) - refused - {numbers.socket, numbers.socketpair}
    assert {run(call) for call in refused} == {refuse}
    assert {run(call) for call in ordinary} == {allow}
    assert run(numbers.socket + 0x40000000, socket.AF_INET) == refuse
    assert run(0, audit=numbers.audit ^ 1) == socket_filter._KILL
