"""The child process that holds aws-nitro-enclaves-sdk-c, and the few bytes it exchanges with its parent.

Trust side: enclave, same image and same trust as the parent; apart because the library crashes and hangs. It reads
nothing but its two arguments and the socket on descriptor 0: a u32 length and a deterministic CBOR request, answered by
`HEADER` (status, size of the secret, size of the blob), the secret and the blob. The secret goes from the library's
memory into the socket without a Python copy.

    python -m enclave.kms.sdk_c_worker serve|probe LIBRARY
"""

import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

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

SERVE: Final = "serve"
PROBE: Final = "probe"
EXIT_MISSING: Final = 3
EXIT_SYMBOL: Final = 4

LENGTH: Final = struct.Struct(">I")
HEADER: Final = struct.Struct(">BHH")
STATUSES: Final = ("", "kms-sdk-client", "kms-sdk-failed", "kms-wrong-key", "kms-reply")


@dataclass(frozen=True, slots=True)
class SdkRequest:
    """One call. An empty `ciphertext_blob` asks for a new data key; `context` is JSON."""

    access: Access
    key_arn: str
    ciphertext_blob: bytes
    context: str

    def encode(self) -> bytes:
        """The bytes that a worker reads."""
        body = cbor.dumps([list(astuple(self.access)), self.key_arn, self.ciphertext_blob, self.context])
        return LENGTH.pack(len(body)) + body


def parse_request(body: bytes) -> SdkRequest:
    """What `SdkRequest.encode` wrote after the length."""
    access, *rest = cbor.loads(body, max_bytes=limits.MAX_SDK_REQUEST_BYTES)
    return SdkRequest(Access(*access), *rest)


def main(arguments: Sequence[str]) -> int:
    """Load the library, then serve until the parent closes the socket, or stop if only asked to probe."""
    mode, path = arguments
    harden_process()
    die_with_parent()
    try:
        library = load(candidates(path))
    except LibraryMissing as error:
        sys.stdout.write(str(error))
        return EXIT_MISSING
    except SymbolMissing as error:
        sys.stdout.write(str(error))
        return EXIT_SYMBOL
    if mode == SERVE:
        with socket.socket(fileno=0) as parent:
            while body := _receive(parent):
                _answer(library, parse_request(body), parent)
    return 0


def _answer(library: SdkLibrary, request: SdkRequest, parent: socket.socket) -> None:
    access, key_arn, blob = request.access, request.key_arn, request.ciphertext_blob
    try:
        if blob:
            with library.decrypt(access, key_arn, blob, request.context) as secret:
                parent.sendall(HEADER.pack(0, len(secret), 0))
                parent.sendall(secret)
        else:
            with library.generate_data_key(access, key_arn) as (secret, new_blob):
                parent.sendall(HEADER.pack(0, len(secret), len(new_blob)))
                parent.sendall(secret)
                parent.sendall(new_blob)
    except CallFailed as error:
        parent.sendall(HEADER.pack(STATUSES.index(str(error)), 0, 0))


def _receive(parent: socket.socket) -> bytes:
    """The next request; empty, which ends the child, when the parent has closed the socket or sends nonsense."""
    head = parent.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(head) < LENGTH.size:
        return b""
    [size] = LENGTH.unpack(head)
    return parent.recv(size, socket.MSG_WAITALL) if size <= limits.MAX_SDK_REQUEST_BYTES else b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
