"""The binding of the C library, against a stand-in that the C compiler lays out (issue: layouts and ownership)."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from enclave.config import Holder
from enclave.errors import BootError, KmsError, StoreError
from enclave.kms import sdk_c, sdk_c_abi, sdk_c_worker
from enclave.kms.sdk_c import Endpoint, SdkKms
from enclave.kms.sdk_c_abi import Access, SdkLibrary, ffi
from enclave.ports import DataKey
from enclave.secret import Secret
from protocol import limits
from protocol.services import Credentials

COMPILER = shutil.which("cc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler for the stand-in library")

SOURCE = Path(__file__).with_name("fake_sdk.c")
ALPHA = Holder(name="alpha", key_arn="arn:aws:kms:eu-west-1:111111111111:key/alpha")
BETA = Holder(name="beta", key_arn="arn:aws:kms:us-gov-west-1:222222222222:key/beta")
CONTEXT = {"deployment": "test", "holder": "alpha"}
ENDPOINTS = dict.fromkeys(("alpha", "beta"), Endpoint(port=8101))
ACCESS = Access("eu-west-1", "3", 8101, 3, "AKID", "secret", "token")

ffi.cdef(
    """
    struct fake_counters {
        uint64_t initialised, live, allocated, bad_frees, unwiped_frees, dirty_outputs;
    };
    void fake_report(struct fake_counters *);
    """
)


def compile_library(target: Path, *options: str) -> str:
    assert COMPILER is not None
    warnings = ("-Wall", "-Wextra", "-Werror")
    subprocess.run(
        [COMPILER, "-std=c11", *warnings, "-shared", "-fPIC", *options, "-o", str(target), str(SOURCE)], check=True
    )
    return str(target)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_library(tmp_path_factory.mktemp("sdk") / "libfake.so")


@pytest.fixture
def library(path: str, tmp_path: Path) -> SdkLibrary:
    """A copy of its own for each test, so that counters start at zero."""
    return sdk_c_abi.load((str(shutil.copy(path, tmp_path / "libcopy.so")),))


def counters(library: SdkLibrary) -> dict[str, int]:
    report: Any = ffi.new("struct fake_counters *")
    library._library.fake_report(report)
    return {name: getattr(report, name) for name, _ in ffi.typeof("struct fake_counters").fields}


def clean(library: SdkLibrary) -> None:
    """Everything was given back once, secrets wiped, and outputs had been zeroed."""
    report = counters(library)
    assert report["initialised"] == 1
    assert {name: report[name] for name in ("live", "bad_frees", "unwiped_frees", "dirty_outputs")} == {
        "live": 0,
        "bad_frees": 0,
        "unwiped_frees": 0,
        "dirty_outputs": 0,
    }


def expected(access: Access, key_arn: str, *values: bytes) -> bytes:
    """The stand-in's hash of what it must have seen: four lanes of 64-bit FNV-1a."""
    seen = [access.region, access.address, f"{access.port}/{access.domain}"]
    seen += [access.access_key_id, access.secret_access_key, access.session_token, key_arn]
    digest = b""
    for lane in (14695981039346656037, 1, 2, 3):
        for value in (*map(str.encode, seen), *values):
            for octet in (*value, 0xFF):
                lane = (lane ^ octet) * 1099511628211 % 2**64
        digest += lane.to_bytes(8, "little")
    return digest


# --- the binding itself, in this process ---


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("aws_nitro_enclaves_kms_client_configuration", 56),
        ("aws_socket_endpoint", 112),
        ("aws_byte_buf", 32),
        ("aws_allocator", 40),
    ],
)
def test_struct_sizes_are_those_of_the_real_library(name: str, size: int) -> None:
    assert ffi.sizeof(f"struct {name}") == size


def test_member_offsets_are_those_of_the_real_library() -> None:
    configuration = "struct aws_nitro_enclaves_kms_client_configuration"
    names = ("allocator", "region", "endpoint", "domain", "credentials", "credentials_provider", "host_name")
    assert [ffi.offsetof(configuration, name) for name in names] == [0, 8, 16, 24, 32, 40, 48]
    assert ffi.offsetof("struct aws_string", "bytes") == 16


@pytest.mark.parametrize(
    "access",
    [
        ACCESS,
        Access("us-gov-west-1", "4294967294", 4294967294, 3, "A", "s" * 4096, ""),
        Access("cn-north-1", "x" * 107, 1, 0, "AKID", "s", "t" * 8192),
    ],
)
def test_every_value_of_a_decrypt_call_arrives(library: SdkLibrary, access: Access) -> None:
    with library.decrypt(access, "arn", b"blob\0with zero", '{"a":"b"}') as plaintext:
        assert bytes(plaintext) == expected(access, "arn", b"SYMMETRIC_DEFAULT", b"blob\0with zero", b'{"a":"b"}')
    clean(library)


def test_every_value_of_a_generate_call_arrives(library: SdkLibrary) -> None:
    with library.generate_data_key(ACCESS, "arn") as (plaintext, blob):
        assert bytes(plaintext) == expected(ACCESS, "arn", b"\0")
        assert blob == b"a data key's blob"
    clean(library)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("NOCONFIG", "kms-sdk-client"),
        ("NOCLIENT", "kms-sdk-client"),
        ("FAIL", "kms-sdk-failed"),
        ("FAILLATE", "kms-sdk-failed"),
        ("SHORT", "kms-wrong-key"),
        ("SILENT", "kms-wrong-key"),
    ],
)
def test_each_failure_has_a_code_and_leaks_nothing(library: SdkLibrary, fault: str, code: str) -> None:
    access = Access("eu-west-1", "3", 8101, 3, fault, "secret", "")
    for call in (library.decrypt(access, "arn", b"blob", "{}"), library.generate_data_key(access, "arn")):
        with pytest.raises(sdk_c_abi.CallFailed, match=code), call:
            pass
    clean(library)


def test_caller_that_fails_meanwhile_leaks_nothing(library: SdkLibrary) -> None:
    with pytest.raises(ZeroDivisionError), library.decrypt(ACCESS, "arn", b"blob", "{}"):
        raise ZeroDivisionError
    clean(library)


def test_request_survives_the_way_to_the_child() -> None:
    request = sdk_c_worker.SdkRequest(ACCESS, "arn", b"blob", "{}")
    encoded = request.encode()
    assert sdk_c_worker.parse_request(encoded[4:]) == request
    assert int.from_bytes(encoded[:4], "big") == len(encoded) - 4


def test_largest_request_fits() -> None:
    token = "t" * limits.MAX_CREDENTIALS_BYTES
    access = Access("r" * 32, "a" * 107, 2**32 - 2, 3, token, token, "")
    request = sdk_c_worker.SdkRequest(access, "k" * 255, bytes(limits.MAX_KMS_CIPHERTEXT_BYTES), "{}" * 512)
    assert sdk_c_worker.parse_request(request.encode()[4:]) == request


def test_request_at_the_cap_is_read_and_one_more_byte_ends_the_child() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(sdk_c_worker.LENGTH.pack(limits.MAX_SDK_REQUEST_BYTES) + bytes(limits.MAX_SDK_REQUEST_BYTES))
        assert len(sdk_c_worker._receive(theirs)) == limits.MAX_SDK_REQUEST_BYTES
        ours.sendall(sdk_c_worker.LENGTH.pack(limits.MAX_SDK_REQUEST_BYTES + 1))
        assert sdk_c_worker._receive(theirs) == b""


# --- in child processes, behind the port ---


class Provisioner:
    """Port `Kms` of the other client; only its GenerateDataKey may be used."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def generate_data_key(self, holder: Holder, context: Mapping[str, str]) -> DataKey:
        self.asked.append((holder.name, dict(context)))
        return DataKey(b"made elsewhere", Secret(32))

    async def decrypt(self, holder: Holder, ciphertext_blob: bytes, context: Mapping[str, str]) -> Secret:
        raise AssertionError("the library decrypts")


class Host:
    """Credential hints; the access key id chooses the stand-in's fault."""

    def __init__(self) -> None:
        self.fault: dict[str, str] = {}

    async def credentials(self, name: str) -> Credentials:
        if self.fault.get(name) == "NOTHING":
            raise StoreError("store-unreachable")
        return Credentials(self.fault.get(name, "AKID"), "secret", None)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def kms(path: str, host: Host) -> AsyncIterator[SdkKms]:
    kms = SdkKms(path, host.credentials, provisioner=Provisioner(), endpoints=ENDPOINTS)
    yield kms
    kms.close()


def in_child(holder: Holder, fault: str, *values: bytes) -> bytes:
    return expected(Access(holder.region, "3", 8101, 3, fault, "secret", ""), holder.key_arn, *values)


async def works(kms: SdkKms, holder: Holder) -> None:
    with await kms.decrypt(holder, b"blob", CONTEXT) as key:
        context = b'{"deployment": "test", "holder": "alpha"}'
        assert bytes(key.view) == in_child(holder, "AKID", b"SYMMETRIC_DEFAULT", b"blob", context)


def children(kms: SdkKms) -> list[int]:
    return [worker._process.pid for worker in kms._workers.values() if worker._process]


async def test_decrypt_goes_through_a_child_to_the_parent_instance(kms: SdkKms) -> None:
    await works(kms, ALPHA)
    await works(kms, ALPHA)
    await works(kms, BETA)
    assert len(set(children(kms))) == 2, "one child for each holder"


async def test_generate_without_context_uses_the_library(kms: SdkKms) -> None:
    data_key = await kms.generate_data_key(ALPHA, {})
    assert bytes(data_key.key.view) == in_child(ALPHA, "AKID", b"\0")
    assert data_key.ciphertext_blob == b"a data key's blob"


async def test_generate_with_context_is_left_to_the_client_that_can(path: str, host: Host) -> None:
    provisioner = Provisioner()
    kms = SdkKms(path, host.credentials, provisioner=provisioner, endpoints=ENDPOINTS)
    assert (await kms.generate_data_key(ALPHA, CONTEXT)).ciphertext_blob == b"made elsewhere"
    assert provisioner.asked == [("alpha", CONTEXT)]
    assert children(kms) == []


@pytest.mark.parametrize("fault", ["CRASH", "EXIT"])
async def test_crash_costs_one_call_and_the_child_is_replaced(kms: SdkKms, host: Host, fault: str) -> None:
    await works(kms, ALPHA)
    [before] = children(kms)
    host.fault["alpha"] = fault
    with pytest.raises(KmsError, match="kms-sdk-crashed"):
        await kms.decrypt(ALPHA, b"blob", CONTEXT)
    host.fault.clear()
    await works(kms, ALPHA)
    assert children(kms) != [before]


async def test_child_that_died_while_idle_is_replaced(kms: SdkKms) -> None:
    await works(kms, ALPHA)
    worker = kms._workers["alpha"]
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    await works(kms, ALPHA)


async def test_hang_ends_at_the_deadline_and_does_not_hold_up_others(
    kms: SdkKms, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await works(kms, ALPHA)
    await works(kms, BETA)
    [alpha, _] = children(kms)
    host.fault["alpha"] = "HANG"
    monkeypatch.setattr(limits, "KMS_DEADLINE_S", 0.2)
    hung = asyncio.create_task(kms.decrypt(ALPHA, b"blob", CONTEXT))
    await asyncio.sleep(0)
    monkeypatch.undo()
    await works(kms, BETA)
    with pytest.raises(KmsError, match="kms-deadline"):
        await hung
    with pytest.raises(ProcessLookupError):  # killed and reaped
        os.kill(alpha, 0)
    host.fault.clear()
    await works(kms, ALPHA)


async def test_cancelled_call_leaves_no_answer_for_the_next(kms: SdkKms, host: Host) -> None:
    await works(kms, ALPHA)
    os.kill(children(kms)[0], signal.SIGSTOP)  # so that it cannot answer first
    call = asyncio.create_task(kms.decrypt(ALPHA, b"another blob", CONTEXT))
    for _ in range(5):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await works(kms, ALPHA)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("NOCLIENT", "kms-sdk-client"), ("FAIL", "kms-sdk-failed"), ("SHORT", "kms-wrong-key"), ("NOTHING", "kms-cred")],
)
async def test_refusal_keeps_the_child(kms: SdkKms, host: Host, fault: str, code: str) -> None:
    await works(kms, ALPHA)
    before = children(kms)
    host.fault["alpha"] = fault
    with pytest.raises(KmsError, match=code):
        await kms.decrypt(ALPHA, b"blob", CONTEXT)
    host.fault.clear()
    await works(kms, ALPHA)
    assert children(kms) == before


@pytest.mark.parametrize("size", [0, limits.MAX_KMS_CIPHERTEXT_BYTES + 1])
async def test_ciphertext_out_of_bounds_is_refused_before_any_child(kms: SdkKms, size: int) -> None:
    with pytest.raises(KmsError, match="kms-ciphertext-refused"):
        await kms.decrypt(ALPHA, bytes(size), CONTEXT)
    assert children(kms) == []


async def test_ciphertext_at_the_cap_passes(kms: SdkKms) -> None:
    (await kms.decrypt(ALPHA, bytes(limits.MAX_KMS_CIPHERTEXT_BYTES), CONTEXT)).wipe()


async def test_endpoint_can_be_named(path: str, host: Host) -> None:
    kms = SdkKms(path, host.credentials, provisioner=Provisioner(), endpoints={"alpha": Endpoint("127.0.0.1", 443, 0)})
    with await kms.decrypt(ALPHA, b"b", {}) as key:
        access = Access(ALPHA.region, "127.0.0.1", 443, 0, "AKID", "secret", "")
        assert bytes(key.view) == expected(access, ALPHA.key_arn, b"SYMMETRIC_DEFAULT", b"b", b"{}")
    kms.close()


async def test_child_sees_no_environment_and_cannot_be_traced(kms: SdkKms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the host")
    await works(kms, ALPHA)
    [pid] = children(kms)
    environ = f"/proc/{pid}/environ"
    # The kernel gives the /proc files of a process that is not dumpable to root, and lets nobody else read them.
    assert os.stat(environ).st_uid == 0
    if os.geteuid() == 0:
        assert variables(environ) == {b"PYTHONPATH"}


def variables(environ: str) -> set[bytes]:
    return {entry.partition(b"=")[0] for entry in Path(environ).read_bytes().split(b"\0") if entry}


async def test_child_ends_with_the_socket_of_its_parent(kms: SdkKms) -> None:
    await works(kms, ALPHA)
    worker = kms._workers["alpha"]
    assert worker._process is not None
    assert worker._socket is not None
    worker._socket.close()
    assert await asyncio.to_thread(worker._process.wait, 10) == 0


# --- at boot ---


def refuses_to_boot(library: str) -> BootError:
    with pytest.raises(BootError) as caught:
        SdkKms(library, Host().credentials, provisioner=Provisioner(), endpoints=ENDPOINTS)
    return caught.value


def test_missing_measured_library_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "libaws-nitro-enclaves-sdk-c.so")
    error = refuses_to_boot(path)
    assert error.code == "sdk-library-missing"
    assert path in str(error)


def test_missing_library_of_the_loader_search_names_what_was_looked_for() -> None:
    if sdk_c_abi.ctypes.util.find_library("aws-nitro-enclaves-sdk-c"):
        pytest.skip("the real library is installed here")
    error = refuses_to_boot("")
    assert error.code == "sdk-library-missing"
    assert all(name in str(error) for name in sdk_c_abi.DEFAULT_NAMES)


def test_loader_search_finds_a_library_by_name(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(path, tmp_path / sdk_c_abi.DEFAULT_NAMES[0])
    environment = sdk_c._environment() | {"LD_LIBRARY_PATH": str(tmp_path)}
    monkeypatch.setattr(sdk_c, "_environment", lambda: environment)
    sdk_c.probe("")


def test_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(b"not a library")
    assert refuses_to_boot(str(path)).code == "sdk-library-missing"


def test_library_without_a_function_names_it(tmp_path: Path) -> None:
    error = refuses_to_boot(compile_library(tmp_path / "lib.so", "-DWITHOUT_GENERATE"))
    assert error.code == "sdk-library-symbol"
    assert "aws_kms_generate_data_key_blocking" in str(error)


def test_library_that_crashes_when_loaded_is_refused(tmp_path: Path) -> None:
    assert COMPILER is not None
    source = tmp_path / "crash.c"
    source.write_text("__attribute__((constructor)) static void start(void) { __builtin_trap(); }\n")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", tmp_path / "lib.so", source], check=True)
    assert refuses_to_boot(str(tmp_path / "lib.so")).code == "sdk-library-broken"


def test_library_that_hangs_when_loaded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert COMPILER is not None
    source = tmp_path / "hang.c"
    source.write_text(
        "#include <unistd.h>\n__attribute__((constructor)) static void start(void) { for (;;) pause(); }\n"
    )
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", tmp_path / "lib.so", source], check=True)
    monkeypatch.setattr(limits, "SDK_PROBE_DEADLINE_S", 1.0)
    assert refuses_to_boot(str(tmp_path / "lib.so")).code == "sdk-library-broken"


def test_relative_path_is_refused() -> None:
    assert refuses_to_boot("lib/sdk.so").code == "sdk-library-path"
