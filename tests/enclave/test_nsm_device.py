"""The ioctl ABI of /dev/nsm, checked against a C library that takes its layout from the kernel's own headers."""

import errno
import shutil
import subprocess
from pathlib import Path

import pytest

from enclave.errors import NsmError
from enclave.nsm.device import NsmDevice
from protocol import limits

# The first byte of a request tells this ioctl how to behave; anything else is answered with what it saw.
_SOURCE = r"""
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

struct nsm_raw { struct iovec request; struct iovec response; };
#define NSM_IOCTL _IOWR(0x0A, 0, struct nsm_raw)

int ioctl(int fd, unsigned long command, ...) {
    va_list list;
    va_start(list, command);
    struct nsm_raw *raw = va_arg(list, struct nsm_raw *);
    va_end(list);
    if (command != NSM_IOCTL) { errno = EINVAL; return -1; }
    const uint8_t *in = raw->request.iov_base;
    char *out = raw->response.iov_base;
    size_t room = raw->response.iov_len;
    switch (in[0]) {
    case 'E': errno = (in[1] << 8) | in[2]; return -1;
    case 'F': memset(out, 0x5a, room); return 0;
    case 'A': memset(out, 0x5a, room - 1); raw->response.iov_len = room - 1; return 0;
    case 'L': raw->response.iov_len = room + 1; return 0;
    case 'N': raw->response.iov_len = 0; return 0;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < raw->request.iov_len; i++) sum += in[i];
    size_t length = raw->request.iov_len;
    raw->response.iov_len = snprintf(out, room, "%d %zu %u %zu %zu", fd >= 0, length, sum, room, sizeof *raw);
    return 0;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("ioctl")
    source = folder / "ioctl.c"
    source.write_text(_SOURCE)
    target = folder / "libioctl.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", target, source], check=True)
    return str(target)


@pytest.fixture
def device(library: str) -> NsmDevice:
    return NsmDevice("/dev/null", library=library)


def test_request_reaches_the_driver_in_the_layout_of_the_kernel_headers(device: NsmDevice) -> None:
    request = b"hello" + bytes(range(256)) * 3
    seen = device.call(request).split()
    assert seen == [b"1", b"%d" % len(request), b"%d" % sum(request), b"12288", b"32"]


@pytest.mark.parametrize(
    ("number", "code"), [("EMSGSIZE", "nsm-request-too-large"), ("ETIMEDOUT", "nsm-timeout"), ("EIO", "nsm-device")]
)
def test_error_of_the_driver_gets_its_code(device: NsmDevice, number: str, code: str) -> None:
    with pytest.raises(NsmError) as caught:
        device.call(b"E" + getattr(errno, number).to_bytes(2, "big"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [(b"F", "nsm-response-truncated"), (b"L", "nsm-response-truncated"), (b"N", "nsm-response-empty")],
)
def test_answer_that_fills_the_buffer_or_has_an_impossible_length_is_refused(
    device: NsmDevice, behaviour: bytes, code: str
) -> None:
    with pytest.raises(NsmError) as caught:
        device.call(behaviour)
    assert caught.value.code == code


def test_longest_answer_that_cannot_have_been_cut_is_taken_whole(device: NsmDevice) -> None:
    assert device.call(b"A") == b"\x5a" * (limits.MAX_NSM_RESPONSE_BYTES - 1)


def test_request_at_the_cap_passes_and_one_byte_more_is_refused_before_the_call(device: NsmDevice) -> None:
    assert device.call(bytes(limits.MAX_NSM_REQUEST_BYTES)).split()[1] == b"4096"
    with pytest.raises(NsmError, match="nsm-request-too-large"):
        device.call(bytes(limits.MAX_NSM_REQUEST_BYTES + 1))
    with pytest.raises(NsmError, match="nsm-request-empty"):
        device.call(b"")


def test_machine_without_the_device_is_told_so() -> None:
    with pytest.raises(NsmError, match="nsm-open"):
        NsmDevice("/dev/no-such-nsm")


def test_real_ioctl_on_something_else_is_a_device_error() -> None:
    with pytest.raises(NsmError, match="nsm-device"):
        NsmDevice("/dev/null").call(b"x")


def test_closed_device_refuses_calls() -> None:
    device = NsmDevice("/dev/null")
    device.close()
    device.close()
    with pytest.raises(NsmError, match="nsm-device"):
        device.call(b"x")


def test_no_other_file_of_the_enclave_names_the_device() -> None:
    enclave = Path(__file__).parents[2] / "enclave"
    naming = {
        path.relative_to(enclave).as_posix() for path in enclave.rglob("*.py") if '"/dev/nsm"' in path.read_text()
    }
    assert naming == {"nsm/device.py"}
