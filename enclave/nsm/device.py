"""The only file that touches /dev/nsm: one ioctl of the kernel's misc driver, through cffi.

Trust side: enclave. ABI (nitro-platform.md 4.1, drivers/misc/nsm.c): command 0xC0200A00, argument two
{u64 address, u64 length} pairs, request then response; on return the second length counts the bytes of the answer.
The kernel cuts an answer that does not fit without saying so, hence an answer that fills the whole buffer is refused.
"""

import errno
import os
from typing import Any, Final

from cffi import FFI

from enclave.errors import NsmError
from protocol import limits

DEVICE: Final = "/dev/nsm"
_COMMAND: Final = 0xC0200A00  # _IOWR(0x0A, 0, 32 bytes)

_ffi = FFI()
_ffi.cdef(
    """
    struct nsm_iovec { uint64_t address; uint64_t length; };
    struct nsm_message { struct nsm_iovec request; struct nsm_iovec response; };
    int ioctl(int, unsigned long, ...);
    """
)

_CODES: Final = {errno.EMSGSIZE: "nsm-request-too-large", errno.ETIMEDOUT: "nsm-timeout"}


class NsmDevice:
    """Port `Nsm` over the device. Calls block (the kernel gives up after 120 s) and may come from any thread."""

    def __init__(self, path: str = DEVICE, *, library: str | None = None) -> None:
        """Open `path`; `NsmError("nsm-open")`. `library`: a shared library with its own `ioctl`, to test the ABI."""
        self._libc: Any = _ffi.dlopen(library)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            raise NsmError("nsm-open") from None

    def close(self) -> None:
        """Give the descriptor back; closing twice is harmless, calling afterwards is an `NsmError`."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def call(self, request: bytes) -> bytes:
        """The module's answer to one CBOR request (at most 0x1000 bytes in, below 0x3000 out); `NsmError` otherwise."""
        if not 0 < len(request) <= limits.MAX_NSM_REQUEST_BYTES:
            raise NsmError("nsm-request-too-large" if request else "nsm-request-empty")
        source = _ffi.from_buffer(request)
        target = _ffi.new("uint8_t[]", limits.MAX_NSM_RESPONSE_BYTES)
        message: Any = _ffi.new("struct nsm_message *")
        message.request.address = int(_ffi.cast("uintptr_t", source))
        message.request.length = len(request)
        message.response.address = int(_ffi.cast("uintptr_t", target))
        message.response.length = limits.MAX_NSM_RESPONSE_BYTES
        if self._libc.ioctl(self._descriptor, _COMMAND, message) != 0:
            raise NsmError(_CODES.get(_ffi.errno, "nsm-device"))
        return self._answer(target, message.response.length)

    @staticmethod
    def _answer(target: Any, length: int) -> bytes:
        if length == 0:
            raise NsmError("nsm-response-empty")
        if length >= limits.MAX_NSM_RESPONSE_BYTES:
            raise NsmError("nsm-response-truncated")
        return bytes(_ffi.buffer(target, length))
