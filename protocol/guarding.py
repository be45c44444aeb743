"""What an instrument asks of a guard, on `SERVICES_PORT` like `protocol.services`. The parent instances carry it.

    guard.sign   [guard's address, request]   -> [HTTP status, answer], or 404 for a guard that is not configured

Request and answer are JSON: what the guard's method `GUARD_PATH` takes, and what it answers. The hosts read neither;
the guard verifies the one, the instrument the other.
"""

from typing import Final

from protocol import cbor, limits
from protocol.errors import ProtocolError

GUARD_SIGN: Final = "guard.sign"
GUARD_PATH: Final = "/rpc/GuardIntents/Sign"
_ADDRESS_BYTES: Final = 20
_STATUSES: Final = range(100, 600)


def encode_guard_request(guard: bytes, request: bytes) -> bytes:
    return cbor.dumps([guard, request])


def decode_guard_request(body: bytes) -> tuple[bytes, bytes]:
    """The guard's address (20 bytes), and the request for it; `ProtocolError("guarding-shape")`."""
    match cbor.loads(body, max_bytes=limits.MAX_FRAME_BYTES):
        case [bytes(guard), bytes(request)]:
            if len(guard) == _ADDRESS_BYTES and len(request) <= limits.MAX_BODY_BYTES:
                return guard, request
    raise ProtocolError("guarding-shape")


def encode_guard_answer(status: int, answer: bytes) -> bytes:
    return cbor.dumps([status, answer])


def decode_guard_answer(body: bytes) -> tuple[int, bytes]:
    """The HTTP status, and the answer; `ProtocolError("guarding-shape")`."""
    match cbor.loads(body, max_bytes=limits.MAX_FRAME_BYTES):
        case [int(status), bytes(answer)]:
            if status in _STATUSES and type(status) is int and len(answer) <= limits.MAX_GUARD_ANSWER_BYTES:
                return status, answer
    raise ProtocolError("guarding-shape")
