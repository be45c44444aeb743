"""The child process that holds aws-nitro-enclaves-sdk-c, and the few bytes it exchanges with its parent.

Trust side: enclave, same image and same trust as the parent; apart because the library crashes and hangs. All that it
reads comes over the socket on descriptor 0, as a u32 length and deterministic CBOR: first the measured path of the
library, then requests. Each is answered by `HEADER` (status, size of the secret, size of the rest), the secret and the
rest. A secret goes from the library's memory into the socket without a Python copy.
"""

import socket
import struct
import sys
from dataclasses import astuple, dataclass
from typing import Any, Final

from enclave.hardening import harden_process
from enclave.kms.sdk_c_abi import (
    Access,
    CallFailed,
    LibraryMissing,
    SdkLibrary,
    SymbolMissing,
    candidates,
    die_with_parent,
    load,
)
from protocol import cbor, limits

LENGTH: Final = struct.Struct(">I")
HEADER: Final = struct.Struct(">BHH")
LIBRARY_MISSING: Final = "sdk-library-missing"
LIBRARY_SYMBOL: Final = "sdk-library-symbol"
STATUSES: Final = (
    "",
    LIBRARY_MISSING,
    LIBRARY_SYMBOL,
    "kms-sdk-client",
    "kms-sdk-failed",
    "kms-wrong-key",
    "kms-reply",
)
_DETAIL_BYTES: Final = 2000  # of what the loader said


@dataclass(frozen=True, slots=True)
class SdkRequest:
    """One call. An empty `ciphertext_blob` asks for a new data key; `context` is JSON."""

    access: Access
    key_arn: str
    ciphertext_blob: bytes
    context: str

    def encode(self) -> bytes:
        """The bytes that a worker reads."""
        return encode_frame([list(astuple(self.access)), self.key_arn, self.ciphertext_blob, self.context])


def encode_frame(value: object) -> bytes:
    """One length and its CBOR."""
    body = cbor.dumps(value)
    return LENGTH.pack(len(body)) + body


def parse_request(body: bytes) -> SdkRequest:
    """What `SdkRequest.encode` wrote after the length."""
    access, *rest = cbor.loads(body, max_bytes=limits.MAX_SDK_REQUEST_BYTES)
    return SdkRequest(Access(*access), *rest)


def main() -> int:
    """Load the library, say so, and serve until the parent closes the socket."""
    harden_process()
    die_with_parent()
    with socket.socket(fileno=0) as parent:
        try:
            library = load(candidates(cbor.loads(_receive(parent))))
        except LibraryMissing as error:
            _send(parent, LIBRARY_MISSING, rest=str(error).encode()[:_DETAIL_BYTES])
            return 1
        except SymbolMissing as error:
            _send(parent, LIBRARY_SYMBOL, rest=str(error).encode()[:_DETAIL_BYTES])
            return 1
        _send(parent)
        while body := _receive(parent):
            _answer(library, parse_request(body), parent)
    return 0


def _answer(library: SdkLibrary, request: SdkRequest, parent: socket.socket) -> None:
    access, key_arn, blob = request.access, request.key_arn, request.ciphertext_blob
    try:
        if blob:
            with library.decrypt(access, key_arn, blob, request.context) as secret:
                _send(parent, secret=secret)
        else:
            with library.generate_data_key(access, key_arn) as (secret, new_blob):
                _send(parent, secret=secret, rest=new_blob)
    except CallFailed as error:
        _send(parent, str(error))


def _send(parent: socket.socket, status: str = "", *, secret: Any = b"", rest: bytes = b"") -> None:
    """`secret` is a buffer; it is not joined to anything, which would copy it."""
    for part in (HEADER.pack(STATUSES.index(status), len(secret), len(rest)), secret, rest):
        if len(part):  # sending nothing would still fail when the parent has read all and gone
            parent.sendall(part)


def _receive(parent: socket.socket) -> bytes:
    """The next request; empty, which ends the child, when the parent has closed the socket or sends nonsense."""
    head = parent.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(head) < LENGTH.size:
        return b""
    [size] = LENGTH.unpack(head)
    return parent.recv(size, socket.MSG_WAITALL) if size <= limits.MAX_SDK_REQUEST_BYTES else b""


if __name__ == "__main__":
    sys.exit(main())
