"""Frames between host and enclave, without I/O: u32 big-endian length, then one deterministic CBOR array.

    request   [1, id, method, headers, body]
    response  [2, id, status, headers, body]

`id` is chosen by the requester, so one connection carries many requests and answers come in any order. The length is
checked before anything is buffered for it (VS-02). Both directions (ingress to the enclave, services of the parent) use
these frames; a `FrameConnection` is one end of one connection and never touches a socket.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from protocol import cbor, limits
from protocol.errors import ProtocolError

_LENGTH_BYTES: Final = 4
_REQUEST: Final = 1
_RESPONSE: Final = 2
_MAX_ID: Final = 2**64 - 1

Headers = Mapping[str, str]


class Request(msgspec.Struct, frozen=True):
    """A call. `method` names the operation (`POST /rpc/...` at the ingress, `store.get` at the parent)."""

    id: int
    method: str
    headers: Headers
    body: bytes


class Response(msgspec.Struct, frozen=True):
    """The answer to the request of the same id. `status` is an HTTP status."""

    id: int
    status: int
    headers: Headers = {}
    body: bytes = b""


def encode(message: Request | Response) -> bytes:
    """One frame; `ProtocolError` for what the receiver refuses, which would end the connection of all requests."""
    headers = message.headers
    headers = {name: headers[name] for name in _in_order(tuple(headers))} if headers else {}
    if isinstance(message, Request):
        fields = [_REQUEST, message.id, message.method, headers, message.body]
    else:
        fields = [_RESPONSE, message.id, int(message.status), headers, message.body]
    _validate(fields)
    payload = cbor.dumps_ordered(fields)
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
        kept = self._buffer
        if kept:
            kept += data
        pending: bytes | bytearray = kept or data
        messages: list[Request | Response] = []
        start = 0
        try:
            while len(pending) - start >= _LENGTH_BYTES:
                end = start + _LENGTH_BYTES + self._declared_length(pending, start)
                if len(pending) < end:
                    break
                messages.append(_decode(bytes(pending[start + _LENGTH_BYTES : end])))
                start = end
        except ProtocolError:
            self._broken = True
            kept.clear()
            raise
        if pending is kept:
            del kept[:start]
        else:
            kept += data[start:]
        return messages

    def _declared_length(self, pending: bytes | bytearray, start: int) -> int:
        length = int.from_bytes(pending[start : start + _LENGTH_BYTES], "big")
        if length == 0:
            raise ProtocolError("frame-empty")
        if length > self._max_frame_bytes:
            raise ProtocolError("frame-too-large")
        return length


def _decode(payload: bytes) -> Request | Response:
    """The message whose one encoding is `payload` (CB-01)."""
    fields = cbor.decode(payload)
    _validate(fields)
    kind, id_, what, headers, body = fields
    names = tuple(headers)
    if _in_order(names) != names or cbor.dumps_ordered(fields) != payload:
        raise cbor.not_deterministic()
    return Request(id_, what, headers, body) if kind == _REQUEST else Response(id_, what, headers, body)


def _validate(fields: object) -> None:
    """Every type and limit of a frame's array, so that nothing else need look at it; `ProtocolError`."""
    if type(fields) is not list or len(fields) != 5:
        raise ProtocolError("frame-shape")
    kind, id_, what, headers, body = fields
    if type(kind) is not int or type(id_) is not int or not 0 <= id_ <= _MAX_ID or type(body) is not bytes:
        raise ProtocolError("frame-shape")
    is_request = kind == _REQUEST and type(what) is str and len(what) <= limits.MAX_METHOD_CHARS
    if not is_request and not (kind == _RESPONSE and type(what) is int and 100 <= what <= 599):
        raise ProtocolError("frame-shape")
    _validate_headers(headers)


def _validate_headers(value: object) -> None:
    if type(value) is not dict or len(value) > limits.MAX_HEADERS:
        raise ProtocolError("frame-headers")
    for name, text in value.items():
        if type(name) is not str or len(name) > limits.MAX_HEADER_NAME_CHARS:
            raise ProtocolError("frame-headers")
        if type(text) is not str or len(text) > limits.MAX_HEADER_VALUE_CHARS:
            raise ProtocolError("frame-headers")


@lru_cache(maxsize=256)
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """As the keys of a deterministic map stand: shorter ones first, then by their bytes (RFC 8949 section 4.2.3)."""
    return tuple(sorted(names, key=lambda name: (len(name.encode()), name.encode())))
