"""Syntax of documents: AT-01 to AT-06, AT-21. What real hardware does passes, everything else is refused."""

from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import document as document_module
from attestation import pcr
from attestation.document import AttestationDocument, parse_attestation_document
from attestation.errors import AttestationError
from protocol import limits
from tests.attestation import pki
from tests.attestation.pki import DocumentParts, indefinite, payload_fields


def refusal(data: bytes) -> str:
    with pytest.raises(AttestationError) as caught:
        parse_attestation_document(data)
    return caught.value.code


def encode(**changes: Any) -> bytes:
    """A document with these payload members and a signature that nobody looks at here."""
    return DocumentParts(cbor2.dumps(payload_fields(**changes)), signature=b"\x01" * 96).encode()


def test_right_document_parses() -> None:
    document = parse_attestation_document(pki.document(nonce=b"n" * 20, user_data=b"", public_key=None))
    assert document.module_id == pki.MODULE_ID
    assert document.instance_id == pki.INSTANCE_ID
    assert document.timestamp_ms == pki.NOW_MS
    assert dict(document.pcrs) == payload_fields()["pcrs"]
    assert document.certificates == pki.good_chain()
    assert (document.public_key, document.user_data, document.nonce) == (None, b"", b"n" * 20)
    assert not document.is_debug


def test_at01_document_over_16_kib_is_refused_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    cap = limits.MAX_ATTESTATION_DOCUMENT_BYTES
    assert cap == 16_384
    assert refusal(bytes(cap)) == "cose-malformed"

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(document_module, "parse_sign1", never)
    assert refusal(bytes(cap + 1)) == "document-too-large"


def test_at02_tag_18_is_accepted_and_no_other() -> None:
    parts = DocumentParts(cbor2.dumps(payload_fields()))
    assert parse_attestation_document(parts.encode(tagged=True)).module_id == pki.MODULE_ID
    untagged = parts.encode()
    for tag in (b"\xd1", b"\xd3", b"\xd8\x12", b"\xd8\x3d", b"\xd9\xd9\xf7", b"\xd2\xd2"):
        assert refusal(tag + untagged) == "cose-malformed"


@pytest.mark.parametrize("tail", [b"\x00", b"\xff", b"\xf6", b"\x84"])
@pytest.mark.parametrize("tagged", [True, False])
def test_at02_trailing_byte_is_refused(tail: bytes, tagged: bool) -> None:
    assert refusal(DocumentParts(cbor2.dumps(payload_fields())).encode(tagged=tagged) + tail) == "cose-malformed"


def outer(*items: Any) -> bytes:
    return cbor2.dumps(list(items))


PAYLOAD = cbor2.dumps(payload_fields())
ES384 = b"\xa1\x01\x38\x22"
SIGNATURE = b"\x01" * 96


@pytest.mark.parametrize(
    "data",
    [
        outer(ES384, {}, PAYLOAD),
        outer(ES384, {}, PAYLOAD, SIGNATURE, b""),
        outer(ES384, {1: -35}, PAYLOAD, SIGNATURE),
        outer(ES384, {"x": 1}, PAYLOAD, SIGNATURE),
        outer(ES384, [], PAYLOAD, SIGNATURE),
        outer(ES384, b"", PAYLOAD, SIGNATURE),
        outer({1: -35}, {}, PAYLOAD, SIGNATURE),
        outer(ES384, {}, payload_fields(), SIGNATURE),
        outer(ES384, {}, None, SIGNATURE),
        outer(ES384, {}, PAYLOAD, None),
        outer(ES384, {}, PAYLOAD, "x" * 96),
        b"\x9f" + outer(ES384, {}, PAYLOAD, SIGNATURE)[1:] + b"\xff",
        b"\x98\x04" + outer(ES384, {}, PAYLOAD, SIGNATURE)[1:],
        b"",
        b"\x84",
        b"\xf6",
    ],
)
def test_at02_anything_but_four_plain_elements_is_refused(data: bytes) -> None:
    assert refusal(data) == "cose-malformed"


@pytest.mark.parametrize(
    "protected",
    [
        b"",
        b"\xa0",
        cbor2.dumps({1: -7}),
        cbor2.dumps({1: -36}),
        cbor2.dumps({1: -1}),
        cbor2.dumps({1: "ES384"}),
        cbor2.dumps({1: -35, 2: [1]}),
        cbor2.dumps({1: -35, 4: b"kid"}),
        b"\xa2\x01\x38\x22\x01\x38\x22",
        b"\xbf\x01\x38\x22\xff",
        b"\xa1\x01\x39\x00\x22",
        b"\xa1\x18\x01\x38\x22",
        b"\xb8\x01\x01\x38\x22",
        ES384 + b"\x00",
    ],
)
def test_at03_protected_header_is_exactly_es384(protected: bytes) -> None:
    assert refusal(DocumentParts(PAYLOAD, protected=protected, signature=SIGNATURE).encode()) == "document-algorithm"


@pytest.mark.parametrize("position", range(len(ES384)))
def test_at03_each_changed_byte_of_the_header_is_refused(position: int) -> None:
    for value in set(range(256)) - {ES384[position]}:
        protected = ES384[:position] + bytes([value]) + ES384[position + 1 :]
        data = DocumentParts(PAYLOAD, protected=protected, signature=SIGNATURE).encode()
        assert refusal(data) == "document-algorithm"


@pytest.mark.parametrize("length", [0, 64, 95, 97, 102, 104, 132])
def test_at04_signature_is_exactly_96_raw_bytes(length: int) -> None:
    signature = (b"\x30" * length) or b""
    data = outer(ES384, {}, PAYLOAD, signature)
    assert refusal(data) == "cose-signature-form"


CERTIFICATES = [bytes([n]) * 1024 for n in range(9)]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("digest", ["SHA384"], ["SHA256", "SHA512", "sha384", "", b"SHA384", None, 384]),
        (
            "timestamp",
            [1_546_300_800_000, 253_402_300_799_999],
            [
                0,
                -1,
                1,
                1_780_000_000,
                1_546_300_799_999,
                253_402_300_800_000,
                2**63,
                2**64 - 1,
                True,
                1.7e12,
                "1",
                None,
                b"",
            ],
        ),
        (
            "module_id",
            ["i-1", "x" * limits.MAX_MODULE_ID_CHARS],
            ["", "x" * (limits.MAX_MODULE_ID_CHARS + 1), b"i-1", None, 1, "i-1\n", "i-1\x1b[31m", "i 1", "\u0131-1"],
        ),
        ("certificate", [b"x", b"x" * 1024], [b"", b"x" * 1025, None, "x", [b"x"], 1]),
        (
            "cabundle",
            [[b"x"], CERTIFICATES[:8]],
            [[], [b""], [b"x" * 1025], CERTIFICATES, [b"x", b"x"], [None], ["x"], b"x", None, {}],
        ),
        *[
            (name, [None, b"", b"x", b"x" * 1024, ...], [b"x" * 1025, "x", 1, [], {}, True, False])
            for name in ("public_key", "user_data", "nonce")
        ],
    ],
)
def test_at05_fields_are_taken_at_their_limits_and_refused_beyond(name: str, good: list[Any], bad: list[Any]) -> None:
    assert limits.MAX_CERTIFICATE_BYTES == limits.MAX_ATTESTATION_FIELD_BYTES == 1024
    assert limits.MAX_CABUNDLE_CERTIFICATES == 8
    for value in good:
        assert isinstance(parse_attestation_document(encode(**{name: value})), AttestationDocument)
    for value in bad:
        assert refusal(encode(**{name: value})) == "document-field", value


PCRS = payload_fields()["pcrs"]
VALUE = b"\x07" * pcr.PCR_BYTES


@pytest.mark.parametrize(
    "pcrs",
    [
        PCRS | {32: VALUE},
        PCRS | {-1: VALUE},
        PCRS | {"0": VALUE},
        PCRS | {b"\x10": VALUE},
        PCRS | {31: VALUE[:32]},
        PCRS | {31: VALUE + bytes(16)},
        PCRS | {31: b""},
        PCRS | {31: None},
        PCRS | {31: "x" * 48},
        {True if index == 1 else index: value for index, value in PCRS.items()},
        {},
        [VALUE] * 16,
        None,
        *[{index: value for index, value in PCRS.items() if index != missing} for missing in (0, 1, 2, 4, 15)],
    ],
)
def test_at05_bad_registers_are_refused(pcrs: Any) -> None:
    assert refusal(encode(pcrs=pcrs)) == "document-field"


def test_at05_register_31_is_the_last() -> None:
    everything = dict.fromkeys(range(32), VALUE)
    assert len(parse_attestation_document(encode(pcrs=everything)).pcrs) == pcr.PCR_COUNT


@pytest.mark.parametrize("name", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"])
def test_at05_missing_field_is_refused(name: str) -> None:
    assert refusal(encode(**{name: ...})) == "document-field"


@pytest.mark.parametrize("name", ["extra", "", "PCRS", "user-data"])
def test_at05_unknown_field_is_refused(name: str) -> None:
    assert refusal(encode(**{name: None})) == "document-field"


def test_nitrotpm_document_is_refused_by_name() -> None:
    pcrs = payload_fields()["pcrs"]
    assert refusal(encode(pcrs=..., nitrotpm_pcrs=pcrs)) == "document-nitrotpm"
    assert refusal(encode(nitrotpm_pcrs=pcrs)) == "document-nitrotpm"


def from_payload(payload: bytes) -> bytes:
    return DocumentParts(payload, signature=SIGNATURE).encode()


def test_at06_indefinite_payload_map_is_what_newer_hardware_makes() -> None:
    assert parse_attestation_document(from_payload(indefinite(PAYLOAD))).module_id == pki.MODULE_ID


def member(name: str, value: bytes) -> bytes:
    return cbor2.dumps(name) + value


def with_member(name: str, encoded: bytes, **removed: Any) -> bytes:
    """The payload with one member replaced by raw CBOR."""
    fields = payload_fields(**{name: ...}, **removed)
    return bytes([0xA0 | (len(fields) + 1)]) + cbor2.dumps(fields)[1:] + member(name, encoded)


@pytest.mark.parametrize(
    "payload",
    [
        PAYLOAD + b"\x00",
        indefinite(PAYLOAD) + b"\x00",
        indefinite(PAYLOAD)[:-1],
        PAYLOAD[:-1],
        b"\xb8\x09" + PAYLOAD[1:],
        b"",
        b"\xf6",
        b"\x80",
        cbor2.dumps([payload_fields()]),
        with_member("nonce", b"\x5f\x41\x01\xff"),
        with_member("nonce", b"\x58\x01\x01"),
        with_member("module_id", b"\x7f\x63i-1\xff"),
        with_member("module_id", b"\x78\x03i-1"),
        with_member("module_id", b"\x62\xc3\x28"),
        with_member("timestamp", b"\xc2\x48" + pki.NOW_MS.to_bytes(8, "big")),
        with_member("timestamp", b"\xc1\x1b" + pki.NOW_MS.to_bytes(8, "big")),
        with_member("cabundle", b"\x9f\x41\x01\xff"),
        with_member("cabundle", b"\x98\x01\x41\x01"),
        with_member("pcrs", b"\xbf" + cbor2.dumps(PCRS)[1:] + b"\xff"),
        with_member("pcrs", b"\xb8\x10" + cbor2.dumps(PCRS)[1:]),
        with_member("nonce", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        with_member("nonce", b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        bytes([0xAA]) + PAYLOAD[1:] + member("nonce", b"\xf6"),
        bytes([0xAA]) + PAYLOAD[1:] + member("public_key", b"\x41\x01"),
        bytes([0xAA]) + PAYLOAD[1:] + b"\x01\x01",
        bytes([0xAA]) + PAYLOAD[1:] + b"\x80\x01",
    ],
)
def test_at06_other_encodings_and_duplicates_are_refused(payload: bytes) -> None:
    assert refusal(from_payload(payload)) == "document-malformed"


@pytest.mark.parametrize(
    "payload", [b"\xa0", b"\xbf\xff", with_member("nonce", b"\xf7"), with_member("nonce", b"\xe0")]
)
def test_at06_plain_cbor_of_the_wrong_kind_is_refused(payload: bytes) -> None:
    assert refusal(from_payload(payload)) == "document-field"


def test_at06_duplicate_register_is_refused() -> None:
    registers = b"\xb1" + cbor2.dumps(PCRS)[1:] + b"\x00\x58\x30" + VALUE
    assert refusal(from_payload(with_member("pcrs", registers))) == "document-malformed"


@pytest.mark.parametrize("depth", [3, 4, 5, 100, 5000])
def test_at06_depth_is_refused(depth: int) -> None:
    assert refusal(from_payload(with_member("nonce", b"\x81" * depth + b"\x00"))) == "document-malformed"


@pytest.mark.parametrize("tag", [*range(40), 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799, 2**32])
def test_at06_no_tag_is_acted_upon(tag: int) -> None:
    head = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1]
    for inner in (b"\x63abc", b"\x43abc", b"\x01", b"\x80", b"\x82\x01\x02"):
        assert refusal(from_payload(with_member("nonce", head + inner))) == "document-malformed"


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_at17_random_bytes_give_one_error_family(data: bytes) -> None:
    for candidate in (data, b"\x84" + data, from_payload(data), from_payload(b"\xbf" + data)):
        with pytest.raises(AttestationError):
            parse_attestation_document(candidate)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(payload_fields())), PLAIN)
@settings(max_examples=200)
def test_at17_any_value_in_any_field_gives_a_document_or_one_error(name: str, value: Any) -> None:
    with suppress(AttestationError):
        parse_attestation_document(encode(**{name: value}))


def test_document_cannot_be_made_by_hand() -> None:
    document = parse_attestation_document(pki.document())
    values = {name: getattr(document, name) for name in AttestationDocument.__slots__}
    with pytest.raises(TypeError):
        AttestationDocument(**values, mint=object())


def test_at21_payload_is_decoded_once_and_kept_as_received(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    real = cbor2.loads
    monkeypatch.setattr(cbor2, "loads", lambda data, **options: calls.append(data) or real(data, **options))
    data = pki.document()
    document = parse_attestation_document(data)
    assert calls == [data, document.sign1.payload]
    assert document.sign1.payload in data
    assert document.data is data
