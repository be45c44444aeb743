"""Requests of the security module byte for byte, and replies that are almost right."""

import contextlib

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.errors import NsmError
from enclave.nsm import messages
from protocol import limits

_DESCRIPTION = {
    "version_major": 1,
    "version_minor": 0,
    "version_patch": 0,
    "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
    "max_pcrs": 32,
    "locked_pcrs": [0, 1, 2],
    "digest": "SHA384",
}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (messages.encode_describe(), b"\x6bDescribeNSM"),
        (messages.encode_random(), b"\x69GetRandom"),
        (messages.encode_describe_pcr(31), b"\xa1\x6bDescribePCR\xa1\x65index\x18\x1f"),
        (messages.encode_lock_pcr(16), b"\xa1\x67LockPCR\xa1\x65index\x10"),
        (messages.encode_lock_pcrs(32), b"\xa1\x68LockPCRs\xa1\x65range\x18\x20"),
        (messages.encode_extend_pcr(16, b"ab"), b"\xa1\x69ExtendPCR\xa2\x65index\x10\x64data\x42ab"),
        (
            messages.encode_attestation(None, b"n", b""),
            b"\xa1\x6bAttestation\xa3\x69user_data\xf6\x65nonce\x41n\x6apublic_key\x40",
        ),
    ],
)
def test_request_is_encoded_as_the_module_expects_it(request_: bytes, expected: bytes) -> None:
    assert request_ == expected


@pytest.mark.parametrize("field", ["user_data", "nonce", "public_key"])
def test_attestation_field_at_the_cap_passes_and_one_byte_more_is_refused(field: str) -> None:
    fields: dict[str, bytes | None] = {"user_data": None, "nonce": None, "public_key": None}
    messages.encode_attestation(**(fields | {field: bytes(limits.MAX_ATTESTATION_FIELD_BYTES)}))
    with pytest.raises(NsmError, match="nsm-input-too-large"):
        messages.encode_attestation(**(fields | {field: bytes(limits.MAX_ATTESTATION_FIELD_BYTES + 1)}))


def test_largest_request_fits_the_device() -> None:
    full = bytes(limits.MAX_ATTESTATION_FIELD_BYTES)
    assert len(messages.encode_attestation(full, full, full)) <= limits.MAX_NSM_REQUEST_BYTES


@pytest.mark.parametrize("index", [-1, 32, 2**16])
def test_register_out_of_range_is_refused_before_the_call(index: int) -> None:
    for encode in (messages.encode_describe_pcr, messages.encode_lock_pcr):
        with pytest.raises(NsmError, match="nsm-invalid-index"):
            encode(index)
    with pytest.raises(NsmError, match="nsm-invalid-index"):
        messages.encode_extend_pcr(index, b"x")


@pytest.mark.parametrize("count", [-1, 0, 33])
def test_range_of_registers_that_does_not_exist_is_refused(count: int) -> None:
    with pytest.raises(NsmError, match="nsm-invalid-index"):
        messages.encode_lock_pcrs(count)


def test_extension_with_nothing_or_too_much_is_refused() -> None:
    with pytest.raises(NsmError, match="nsm-invalid-argument"):
        messages.encode_extend_pcr(16, b"")
    with pytest.raises(NsmError, match="nsm-input-too-large"):
        messages.encode_extend_pcr(16, bytes(limits.MAX_ATTESTATION_FIELD_BYTES + 1))


def test_good_replies_give_their_values() -> None:
    assert messages.parse_describe(cbor2.dumps({"DescribeNSM": _DESCRIPTION})) == messages.Description(
        (1, 0, 0), "i-0123456789abcdef0-enc0123456789abcdef", frozenset({0, 1, 2})
    )
    pcr = messages.parse_describe_pcr(cbor2.dumps({"DescribePCR": {"lock": True, "data": bytes(48)}}))
    assert pcr == messages.Pcr(True, bytes(48))
    assert messages.parse_extend_pcr(cbor2.dumps({"ExtendPCR": {"data": b"v" * 48}})) == b"v" * 48
    assert messages.parse_attestation(cbor2.dumps({"Attestation": {"document": b"d"}})) == b"d"
    assert messages.parse_random(cbor2.dumps({"GetRandom": {"random": b"r" * 256}})) == b"r" * 256
    messages.check_done(cbor2.dumps("LockPCR"), "LockPCR")


def test_random_reply_at_the_cap_passes_and_one_byte_more_is_refused() -> None:
    cap = limits.MAX_NSM_RANDOM_BYTES
    assert len(messages.parse_random(cbor2.dumps({"GetRandom": {"random": bytes(cap)}}))) == cap
    with pytest.raises(NsmError, match="nsm-malformed"):
        messages.parse_random(cbor2.dumps({"GetRandom": {"random": bytes(cap + 1)}}))


def test_module_id_at_the_cap_passes_and_one_character_more_is_refused() -> None:
    full = "i" * limits.MAX_MODULE_ID_CHARS
    reply = cbor2.dumps({"DescribeNSM": _DESCRIPTION | {"module_id": full}})
    assert messages.parse_describe(reply).module_id == full
    with pytest.raises(NsmError, match="nsm-unexpected-module"):
        messages.parse_describe(cbor2.dumps({"DescribeNSM": _DESCRIPTION | {"module_id": full + "i"}}))


def test_reply_with_maps_of_indefinite_length_is_taken() -> None:
    assert messages.parse_random(b"\xbf\x69GetRandom\xbf\x66random\x42ab\xff\xff") == b"ab"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("InvalidArgument", "nsm-invalid-argument"),
        ("InvalidIndex", "nsm-invalid-index"),
        ("InvalidResponse", "nsm-invalid-response"),
        ("ReadOnlyIndex", "nsm-read-only-index"),
        ("InvalidOperation", "nsm-invalid-operation"),
        ("BufferTooSmall", "nsm-buffer-too-small"),
        ("InputTooLarge", "nsm-input-too-large"),
        ("InternalError", "nsm-internal-error"),
        ("Surprise", "nsm-malformed"),
        (["InternalError"], "nsm-malformed"),
    ],
)
def test_error_reply_gets_the_code_of_its_name(name: object, code: str) -> None:
    for parse in (messages.parse_random, messages.parse_attestation, messages.parse_describe):
        with pytest.raises(NsmError) as caught:
            parse(cbor2.dumps({"Error": name}))
        assert caught.value.code == code


_GOOD = cbor2.dumps({"GetRandom": {"random": b"ab"}})


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="empty"),
        pytest.param(_GOOD + b"\x00", id="trailing byte"),
        pytest.param(_GOOD[:-1], id="cut"),
        pytest.param(cbor2.dumps("GetRandom"), id="only the name"),
        pytest.param(cbor2.dumps({"DescribePCR": {"random": b"ab"}}), id="another call"),
        pytest.param(cbor2.dumps({"GetRandom": {"random": b"ab", "more": 1}}), id="unknown field"),
        pytest.param(cbor2.dumps({"GetRandom": {"random": b"ab"}, "Error": "InternalError"}), id="two entries"),
        pytest.param(cbor2.dumps({"GetRandom": {"random": "ab"}}), id="text for bytes"),
        pytest.param(cbor2.dumps({"GetRandom": {"random": b""}}), id="no randomness"),
        pytest.param(b"\xa1\x69GetRandom\xa2\x66random\x41a\x66random\x41b", id="duplicate key"),
        pytest.param(b"\xa1\x69GetRandom\xa1\x66random\xd8\x23\x61a", id="tag that builds a regular expression"),
        pytest.param(b"\xd9\xd9\xf7" + _GOOD, id="tag around the reply"),
        pytest.param(b"\xd8\x1c" + _GOOD, id="tag that shares a reference"),
        pytest.param(b"\x81" * 5 + _GOOD, id="too deep"),
    ],
)
def test_reply_that_is_almost_right_is_refused(reply: bytes) -> None:
    with pytest.raises(NsmError) as caught:
        messages.parse_random(reply)
    assert caught.value.code == "nsm-malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "SHA256"},
        {"max_pcrs": 16},
        {"module_id": ""},
        {"module_id": "i-0\n"},
        {"module_id": "x" * 101},
        {"locked_pcrs": [0, 0]},
        {"locked_pcrs": [32]},
        {"locked_pcrs": [True]},
        {"locked_pcrs": ["0"]},
        {"version_major": True},
    ],
)
def test_module_that_is_not_what_we_know_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(NsmError):
        messages.parse_describe(cbor2.dumps({"DescribeNSM": _DESCRIPTION | change}))


@pytest.mark.parametrize("size", [0, 32, 47, 49, 64])
def test_register_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(NsmError):
        messages.parse_describe_pcr(cbor2.dumps({"DescribePCR": {"lock": False, "data": bytes(size)}}))
    with pytest.raises(NsmError):
        messages.parse_extend_pcr(cbor2.dumps({"ExtendPCR": {"data": bytes(size)}}))


def test_reply_of_another_lock_call_is_refused() -> None:
    with pytest.raises(NsmError):
        messages.check_done(cbor2.dumps("LockPCRs"), "LockPCR")


def test_reply_longer_than_the_device_buffer_is_refused_unread() -> None:
    with pytest.raises(NsmError, match="nsm-response-too-large"):
        messages.parse_attestation(bytes(limits.MAX_NSM_RESPONSE_BYTES + 1))


@given(st.binary(max_size=80))
@settings(max_examples=200)
def test_any_bytes_give_a_value_or_an_nsm_error(reply: bytes) -> None:
    for parse in (
        messages.parse_describe,
        messages.parse_describe_pcr,
        messages.parse_extend_pcr,
        messages.parse_attestation,
        messages.parse_random,
    ):
        with contextlib.suppress(NsmError):
            parse(reply)


def _document(payload: object) -> bytes:
    return cbor2.dumps([b"\xa1\x01\x20", {}, cbor2.dumps(payload), bytes(64)])


def test_own_document_tells_the_time_whatever_signed_it() -> None:
    assert messages.parse_document_timestamp(_document({"timestamp": 1_700_000_000_000, "pcrs": {0: b""}})) == (
        1_700_000_000_000
    )
    assert (
        messages.parse_document_timestamp(
            cbor2.dumps([b"", {}, b"\xbf" + cbor2.dumps("timestamp") + cbor2.dumps(5) + b"\xff", b""])
        )
        == 5
    )


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        cbor2.dumps({"timestamp": 5}),
        cbor2.dumps([b"", {}, {"timestamp": 5}, b""]),
        cbor2.dumps([b"", {}, cbor2.dumps({"timestamp": 5})]),
        _document({}),
        _document([5]),
        _document({"timestamp": None}),
        _document({"timestamp": 0}),
        _document({"timestamp": -5}),
        _document({"timestamp": 5.0}),
        _document({"timestamp": True}),
        _document({"timestamp": "5"}),
    ],
)
def test_document_without_a_time_is_refused(document: bytes) -> None:
    with pytest.raises(NsmError, match="nsm-document"):
        messages.parse_document_timestamp(document)
