"""Frames between host and enclave, without I/O: u32 big-endian length, then one deterministic CBOR array.

    request   [1, id, method, headers, body]
    response  [2, id, status, headers, body]

`id` is chosen by the requester, so one connection carries many requests and answers come in any order. The length is
checked before anything is buffered for it (VS-02). Both directions (ingress to the enclave, services of the parent) use
these frames; a `FrameConnection` is one end of one connection and never touches a socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from protocol import cbor, limits
from protocol.errors import ProtocolError

_LENGTH_BYTES: Final = 4
_REQUEST: Final = 1
_RESPONSE: Final = 2
_MAX_ID: Final = 2**64 - 1

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A call. `method` names the operation (`POST /rpc/...` at the ingress, `store.get` at the parent)."""

    id: int
    method: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to the request of the same id. `status` is an HTTP status."""

    id: int
    status: int
    headers: Headers = field(default_factory=dict)
    body: bytes = b""


def encode(message: Request | Response) -> bytes:
    """One frame; `ProtocolError` for what the receiver refuses, which would end the connection of all requests."""
    match message:
        case Request(id=id_, method=method, headers=headers, body=body):
            fields = [_REQUEST, id_, method, dict(headers), body]
        case Response(id=id_, status=status, headers=headers, body=body):
            fields = [_RESPONSE, id_, int(status), dict(headers), body]
    _message(fields)
    payload = cbor.dumps(fields)
    if len(payload) > limits.MAX_FRAME_BYTES:
        raise ProtocolError("frame-too-large")
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


class FrameConnection:
    """The receiving half of one end: bytes in, messages out. After an error it refuses everything (fail closed)."""

    def __init__(self, *, max_frame_bytes: int = limits.MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._max_frame_bytes = max_frame_bytes
        self._broken = False

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and not ended; the owner of the socket runs the frame deadline while it is true."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> list[Request | Response]:
        """All messages completed by `data`; `ProtocolError` ends the connection."""
        if self._broken:
            raise ProtocolError("frame-after-error")
        self._buffer += data
        messages: list[Request | Response] = []
        try:
            while len(self._buffer) >= _LENGTH_BYTES:
                end = _LENGTH_BYTES + self._declared_length()
                if len(self._buffer) < end:
                    break
                messages.append(_message(cbor.loads(bytes(self._buffer[_LENGTH_BYTES:end]))))
                del self._buffer[:end]
        except ProtocolError:
            self._broken = True
            self._buffer.clear()
            raise
        return messages

    def _declared_length(self) -> int:
        length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if length == 0:
            raise ProtocolError("frame-empty")
        if length > self._max_frame_bytes:
            raise ProtocolError("frame-too-large")
        return length


def _message(fields: object) -> Request | Response:
    if type(fields) is not list or len(fields) != 5:
        raise ProtocolError("frame-shape")
    kind, id_, what, headers, body = fields
    if type(kind) is not int or type(id_) is not int or not 0 <= id_ <= _MAX_ID or type(body) is not bytes:
        raise ProtocolError("frame-shape")
    if kind == _REQUEST and type(what) is str and len(what) <= limits.MAX_METHOD_CHARS:
        return Request(id_, what, _headers(headers), body)
    if kind == _RESPONSE and type(what) is int and 100 <= what <= 599:
        return Response(id_, what, _headers(headers), body)
    raise ProtocolError("frame-shape")


def _headers(value: object) -> Headers:
    if type(value) is not dict or len(value) > limits.MAX_HEADERS:
        raise ProtocolError("frame-headers")
    for name, text in value.items():
        if type(name) is not str or len(name) > limits.MAX_HEADER_NAME_CHARS:
            raise ProtocolError("frame-headers")
        if type(text) is not str or len(text) > limits.MAX_HEADER_VALUE_CHARS:
            raise ProtocolError("frame-headers")
    return cast(Headers, value)
