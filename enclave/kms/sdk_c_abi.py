"""aws-nitro-enclaves-sdk-c as plain Python calls: its functions, struct layouts and ownership rules, through cffi.

Trust side: enclave, in a child process only: the library is blocking, hangs and crashes (nitro-platform.md 5.4).
Layouts are those of section 5.2 there. The library exports none of the helpers that make its strings and buffers, so
both are laid out here. What has no allocator belongs to us, and the library neither frees nor keeps it; what it
allocates is wiped and given back to its own allocator. Output buffers are zeroed before each call.
"""

import ctypes.util
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cffi import FFI

from protocol import limits

DEFAULT_NAMES: Final = ("libaws-nitro-enclaves-sdk-c.so", "libaws-nitro-enclaves-sdk-c.so.0unstable")
KEY_BYTES: Final = 32
_FIND_NAME: Final = "aws-nitro-enclaves-sdk-c"

DOMAIN_IPV4: Final = 0
DOMAIN_VSOCK: Final = 3
_KEY_SPEC_AES_256: Final = 0
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_ALGORITHM: Final = b"SYMMETRIC_DEFAULT"

_TYPES: Final = """
    struct aws_allocator {
        void *acquire;
        void (*mem_release)(struct aws_allocator *, void *);
        void *reallocate;
        void *allocate_zeroed;
        void *implementation;
    };
    struct aws_string { struct aws_allocator *allocator; size_t len; uint8_t bytes[]; };
    struct aws_byte_buf { size_t len; uint8_t *buffer; size_t capacity; struct aws_allocator *allocator; };
    struct aws_socket_endpoint { char address[108]; uint32_t port; };
    struct aws_nitro_enclaves_kms_client_configuration {
        struct aws_allocator *allocator;
        const struct aws_string *region;
        const struct aws_socket_endpoint *endpoint;
        int domain;
        void *credentials;
        void *credentials_provider;
        const struct aws_string *host_name;
    };
"""
_FUNCTIONS: Final = {
    "aws_nitro_enclaves_library_init": "void {}(struct aws_allocator *);",
    "aws_nitro_enclaves_kms_client_config_default": """
        struct aws_nitro_enclaves_kms_client_configuration *{}(
            struct aws_string *region, struct aws_socket_endpoint *, int domain, struct aws_string *access_key_id,
            struct aws_string *secret_access_key, struct aws_string *session_token);""",
    "aws_nitro_enclaves_kms_client_config_destroy": "void {}(struct aws_nitro_enclaves_kms_client_configuration *);",
    "aws_nitro_enclaves_kms_client_new": "void *{}(struct aws_nitro_enclaves_kms_client_configuration *);",
    "aws_nitro_enclaves_kms_client_destroy": "void {}(void *client);",
    "aws_kms_decrypt_blocking_with_context": """
        int {}(
            void *client, const struct aws_string *key_id, const struct aws_string *algorithm,
            const struct aws_byte_buf *ciphertext, const struct aws_string *context,
            struct aws_byte_buf *plaintext);""",
    "aws_kms_generate_data_key_blocking": """
        int {}(
            void *client, const struct aws_string *key_id, int key_spec,
            struct aws_byte_buf *plaintext, struct aws_byte_buf *ciphertext_blob);""",
}

ffi: Any = FFI()
ffi.cdef(_TYPES + "".join(declaration.format(name) for name, declaration in _FUNCTIONS.items()))
ffi.cdef("void explicit_bzero(void *, size_t); int prctl(int, unsigned long, ...);")
_libc: Any = ffi.dlopen(None)


class LibraryMissing(Exception):
    """No library under any of the names; the text has the loader's words on each."""


class SymbolMissing(Exception):
    """The library does not export what its text names."""


class CallFailed(Exception):
    """The library says no, and never why: it drops what KMS answered. The text is a stable code."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where and as whom a client connects. `address` is a context id in decimal when `domain` is `DOMAIN_VSOCK`."""

    region: str
    address: str
    port: int
    domain: int
    access_key_id: str
    secret_access_key: str
    session_token: str


def candidates(measured_path: str) -> tuple[str, ...]:
    """The names to look for: the measured path alone, or those of the usual loader search."""
    return (measured_path,) if measured_path else DEFAULT_NAMES


def load(names: Sequence[str]) -> "SdkLibrary":
    """The first of `names` that the loader finds, initialised. `LibraryMissing`, `SymbolMissing`."""
    found = None if names != DEFAULT_NAMES else ctypes.util.find_library(_FIND_NAME)
    problems = []
    for name in (*names, *filter(None, [found])):
        try:
            library = ffi.dlopen(name, ffi.RTLD_NOW)
        except OSError as error:
            problems.append(str(error))
        else:
            return SdkLibrary(library)
    raise LibraryMissing("; ".join(problems))


class SdkLibrary:
    """The loaded library. Not for use by more than one thread."""

    def __init__(self, library: Any) -> None:
        for name in _FUNCTIONS:
            if not hasattr(library, name):
                raise SymbolMissing(name)
        self._library = library
        library.aws_nitro_enclaves_library_init(ffi.NULL)

    @contextmanager
    def decrypt(self, access: Access, key_arn: str, ciphertext_blob: bytes, context: str) -> Iterator[Any]:
        """A buffer of the plaintext inside the library's own memory, wiped on exit. `CallFailed`; `context` is JSON."""
        source = ffi.from_buffer(ciphertext_blob)
        with self._client(access) as client, _output() as plaintext, ExitStack() as strings:
            given = ffi.new("struct aws_byte_buf *", [len(ciphertext_blob), source, len(ciphertext_blob), ffi.NULL])
            status = self._library.aws_kms_decrypt_blocking_with_context(
                client,
                strings.enter_context(_string(key_arn.encode())),
                strings.enter_context(_string(_ALGORITHM)),
                given,
                strings.enter_context(_string(context.encode())),
                plaintext,
            )
            yield _opened(status, plaintext)

    @contextmanager
    def generate_data_key(self, access: Access, key_arn: str) -> Iterator[tuple[Any, bytes]]:
        """As `decrypt`, with the blob of the new key. The library's call carries no encryption context."""
        with (
            self._client(access) as client,
            _output() as plaintext,
            _output() as blob,
            _string(key_arn.encode()) as key,
        ):
            status = self._library.aws_kms_generate_data_key_blocking(client, key, _KEY_SPEC_AES_256, plaintext, blob)
            opened = _opened(status, plaintext)
            _require(0 < blob.len <= limits.MAX_KMS_CIPHERTEXT_BYTES, "kms-reply")
            yield opened, bytes(ffi.buffer(blob.buffer, blob.len))

    @contextmanager
    def _client(self, access: Access) -> Iterator[Any]:
        """A client of its own for each call: it holds one connection and never opens another."""
        with ExitStack() as stack:
            region, key_id, secret, token = (
                stack.enter_context(_string(text.encode()))
                for text in (access.region, access.access_key_id, access.secret_access_key, access.session_token)
            )
            endpoint = ffi.new("struct aws_socket_endpoint *", [access.address.encode(), access.port])
            configuration = self._library.aws_nitro_enclaves_kms_client_config_default(
                region, endpoint, access.domain, key_id, secret, token
            )
            _require(configuration != ffi.NULL, "kms-sdk-client")
            stack.callback(self._library.aws_nitro_enclaves_kms_client_config_destroy, configuration)
            client = self._library.aws_nitro_enclaves_kms_client_new(configuration)
            _require(client != ffi.NULL, "kms-sdk-client")
            stack.callback(self._library.aws_nitro_enclaves_kms_client_destroy, client)
            yield client


def die_with_parent() -> None:
    """Have the kernel end this process with its parent, also while it hangs in the library."""
    _libc.prctl(_PR_SET_PDEATHSIG, ffi.cast("unsigned long", signal.SIGKILL))


def wipe(pointer: Any, size: int) -> None:
    """Clear `size` bytes in a way that no compiler leaves out."""
    _libc.explicit_bzero(pointer, size)


@contextmanager
def _string(text: bytes) -> Iterator[Any]:
    """A string without allocator, which the library uses in place and does not free; wiped on exit."""
    string = ffi.new("struct aws_string *", {"len": len(text), "bytes": len(text) + 1})
    ffi.memmove(string.bytes, text, len(text))
    try:
        yield string
    finally:
        wipe(string.bytes, len(text))


@contextmanager
def _output() -> Iterator[Any]:
    """A zeroed buffer for the library to fill; what it put there is wiped and freed on exit, also after a failure."""
    output = ffi.new("struct aws_byte_buf *")
    try:
        yield output
    finally:
        if output.buffer != ffi.NULL:
            wipe(output.buffer, output.capacity)
            if output.allocator != ffi.NULL:
                output.allocator.mem_release(output.allocator, output.buffer)


def _opened(status: int, plaintext: Any) -> Any:
    _require(status == 0, "kms-sdk-failed")
    _require(plaintext.len == KEY_BYTES and plaintext.buffer != ffi.NULL, "kms-wrong-key")
    return ffi.buffer(plaintext.buffer, KEY_BYTES)


def _require(condition: bool, code: str) -> None:
    if not condition:
        raise CallFailed(code)
