"""Frames: the same messages however the bytes arrive, and one error, for good, for everything else (VS-02, CB-04)."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol import cbor, limits
from protocol.errors import ProtocolError
from protocol.frames import FrameConnection, Request, Response, encode

REQUEST = Request(7, "POST /rpc/Signer/SignMessage", {"content-type": "application/json"}, b'{"params":{}}')
RESPONSE = Response(7, 200, {"x-attestation-document": "hEShATgi"}, b"{}")

headers = st.dictionaries(st.text(max_size=64), st.text(max_size=64), max_size=limits.MAX_HEADERS)
ids = st.integers(0, 2**64 - 1)
requests = st.builds(Request, ids, st.text(max_size=limits.MAX_METHOD_CHARS), headers, st.binary(max_size=300))
responses = st.builds(Response, ids, st.integers(100, 599), headers, st.binary(max_size=300))


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def frame_of(value: Any) -> bytes:
    return frame(cbor.dumps(value))


def receive_all(chunks: Iterable[bytes]) -> list[Request | Response]:
    connection = FrameConnection()
    return [message for chunk in chunks for message in connection.receive(chunk)]


def refusal(data: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        FrameConnection().receive(data)
    return caught.value.code


def test_wire_format_is_fixed() -> None:
    assert encode(Request(1, "m", {"k": "v"}, b"x")).hex() == "0000000c" + "850101" + "616d" + "a1616b6176" + "4178"
    assert encode(Response(1, 200, {}, b"")).hex() == "00000007" + "850201" + "18c8" + "a0" + "40"


@given(st.lists(requests | responses, max_size=4))
def test_round_trip(messages: list[Request | Response]) -> None:
    assert receive_all([b"".join(map(encode, messages))]) == messages


def test_split_at_every_byte_gives_the_same_messages() -> None:
    stream = encode(REQUEST) + encode(RESPONSE) + encode(REQUEST)
    for cut in range(len(stream) + 1):
        assert receive_all([stream[:cut], stream[cut:]]) == [REQUEST, RESPONSE, REQUEST]
    assert receive_all(bytes([byte]) for byte in stream) == [REQUEST, RESPONSE, REQUEST]


@given(st.lists(requests | responses, min_size=1, max_size=4), st.data())
def test_split_anywhere_gives_the_same_messages(messages: list[Request | Response], data: st.DataObject) -> None:
    stream = b"".join(map(encode, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    bounds = [0, *cuts, len(stream)]
    assert receive_all(stream[a:b] for a, b in pairwise(bounds)) == messages


def test_partial_is_true_only_inside_a_frame() -> None:
    connection, stream = FrameConnection(), encode(REQUEST)
    assert not connection.partial
    for byte in stream[:-1]:
        assert connection.receive(bytes([byte])) == []
        assert connection.partial
    assert connection.receive(stream[-1:]) == [REQUEST]
    assert not connection.partial


def body_filling_a_frame_of(size: int) -> bytes:
    overhead = len(encode(Request(1, "m", {}, bytes(limits.MAX_FRAME_BYTES // 2)))) - 4 - limits.MAX_FRAME_BYTES // 2
    return bytes(size - overhead)


def test_frame_at_the_cap_passes_and_one_byte_more_is_refused_on_both_sides() -> None:
    at_cap = Request(1, "m", {}, body_filling_a_frame_of(limits.MAX_FRAME_BYTES))
    assert receive_all([encode(at_cap)]) == [at_cap]
    above = Request(1, "m", {}, at_cap.body + b"\0")
    with pytest.raises(ProtocolError, match="frame-too-large"):
        encode(above)
    assert refusal(frame_of([1, 1, "m", {}, above.body])) == "frame-too-large"


@pytest.mark.parametrize("length", [limits.MAX_FRAME_BYTES + 1, 2**31, 2**32 - 1])
def test_oversized_length_is_refused_before_the_body_arrives(length: int) -> None:
    connection = FrameConnection()
    prefix = length.to_bytes(4, "big")
    assert connection.receive(prefix[:3]) == []
    with pytest.raises(ProtocolError, match="frame-too-large"):
        connection.receive(prefix[3:])
    assert not connection.partial


def test_a_connection_may_have_a_smaller_cap() -> None:
    stream = encode(REQUEST)
    size = len(stream) - 4
    assert FrameConnection(max_frame_bytes=size).receive(stream) == [REQUEST]
    with pytest.raises(ProtocolError, match="frame-too-large"):
        FrameConnection(max_frame_bytes=size - 1).receive(stream)


def test_empty_frame_is_refused() -> None:
    assert refusal(bytes(4)) == "frame-empty"


def test_after_an_error_even_a_good_frame_is_refused() -> None:
    connection = FrameConnection()
    with pytest.raises(ProtocolError, match="frame-empty"):
        connection.receive(encode(REQUEST) + bytes(4))
    for _ in range(2):
        with pytest.raises(ProtocolError, match="frame-after-error"):
            connection.receive(encode(REQUEST))


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {},
        [],
        [1, 7, "m", {}],
        [1, 7, "m", {}, b"", None],
        {0: 1, 1: 7, 2: "m", 3: {}, 4: b""},
        [0, 7, "m", {}, b""],
        [3, 7, "m", {}, b""],
        [True, 7, "m", {}, b""],  # equal to 1 in Python
        ["1", 7, "m", {}, b""],
        [1, -1, "m", {}, b""],
        [1, True, "m", {}, b""],
        [1, "7", "m", {}, b""],
        [1, 7, b"m", {}, b""],
        [1, 7, 200, {}, b""],
        [1, 7, "m", {}, ""],
        [1, 7, "m", {}, None],
        [2, 7, "200", {}, b""],
        [2, 7, 99, {}, b""],
        [2, 7, 600, {}, b""],
        [2, 7, True, {}, b""],
    ],
)
def test_other_shapes_are_refused(fields: Any) -> None:
    assert refusal(frame_of(fields)) == "frame-shape"


@pytest.mark.parametrize("bad", [[], None, {"k": b"v"}, {"k": 1}, {1: "v"}, {"k": None}])
def test_other_headers_are_refused(bad: Any) -> None:
    assert refusal(frame_of([1, 7, "m", bad, b""])) == "frame-headers"


AT_CAP = [
    ("method", "m" * limits.MAX_METHOD_CHARS, {}),
    ("headers", "m", {f"h{i:02}": "" for i in range(limits.MAX_HEADERS)}),
    ("header name", "m", {"n" * limits.MAX_HEADER_NAME_CHARS: ""}),
    ("header value", "m", {"n": "v" * limits.MAX_HEADER_VALUE_CHARS}),
]
ABOVE_CAP = [
    ("method", "m" * (limits.MAX_METHOD_CHARS + 1), {}),
    ("headers", "m", {f"h{i:02}": "" for i in range(limits.MAX_HEADERS + 1)}),
    ("header name", "m", {"n" * (limits.MAX_HEADER_NAME_CHARS + 1): ""}),
    ("header value", "m", {"n": "v" * (limits.MAX_HEADER_VALUE_CHARS + 1)}),
]


@pytest.mark.parametrize(("what", "method", "headers"), AT_CAP)
def test_fields_at_their_cap_pass(what: str, method: str, headers: dict[str, str]) -> None:
    message = Request(1, method, headers, b"")
    assert receive_all([encode(message)]) == [message]


@pytest.mark.parametrize(("what", "method", "headers"), ABOVE_CAP)
def test_fields_above_their_cap_are_refused_on_both_sides(what: str, method: str, headers: dict[str, str]) -> None:
    # The sender refuses too: otherwise one bad message would end a connection that carries many others.
    with pytest.raises(ProtocolError):
        encode(Request(1, method, headers, b""))
    assert refusal(frame_of([1, 1, method, headers, b""])) in {"frame-shape", "frame-headers"}


def test_largest_id_passes_and_the_next_is_refused() -> None:
    message = Request(2**64 - 1, "m", {}, b"")
    assert receive_all([encode(message)]) == [message]
    with pytest.raises(ProtocolError):
        encode(Request(2**64, "m", {}, b""))


@given(st.binary(max_size=200))
@example(frame(b"\xff"))
@example(frame(b"\x85\x01\x01\x61m\xa0\x40\x00"))
def test_garbage_gives_messages_or_one_error_family_and_then_silence(data: bytes) -> None:
    connection = FrameConnection()
    try:
        connection.receive(data)
    except ProtocolError:
        with pytest.raises(ProtocolError, match="frame-after-error"):
            connection.receive(b"")


@given(st.binary(min_size=1, max_size=100))
def test_garbage_inside_a_frame_never_passes_unless_it_is_the_one_encoding(payload: bytes) -> None:
    try:
        (message,) = FrameConnection().receive(frame(payload))
    except ProtocolError:
        return
    assert encode(message) == frame(payload)


@given(requests, st.data())
def test_corrupted_byte_never_gives_another_family_of_errors(message: Request, data: st.DataObject) -> None:
    stream = bytearray(encode(message))
    stream[data.draw(st.integers(4, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        received = FrameConnection().receive(bytes(stream))
    except ProtocolError:
        return
    assert received != [message]
