"""Session attestations and receipts: form, time, expectations, and that nothing passes as something else."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import session as session_module
from attestation.cose import ES256K, encode_sign1, parse_sign1
from attestation.errors import AttestationError
from attestation.keys import P256, SECP256K1, AuthKey, encode_cose_key, load_identity_key, parse_cose_key
from attestation.receipt import Receipt, parse_receipt, receipt_to_be_signed, verify_receipt
from attestation.session import (
    SessionExpectations,
    SessionVerifier,
    identity_hash,
    parse_session_claims,
    session_to_be_signed,
    verify_session_attestation,
)
from attestation.signed import RECEIPT_KIND, SESSION_KIND, protected_header, to_be_signed
from enclave import curve
from protocol import cbor, limits
from tests.attestation.signing import (
    AUTH_KEY,
    EPOCH,
    IDENTITY,
    IDENTITY_KEY,
    NOW_S,
    OTHER_KEY,
    SALT,
    SCOPE,
    claims,
    receipt,
    session,
    signed_receipt,
)

PUBLIC = IDENTITY_KEY.public


def refusal(data: bytes, key: bytes = PUBLIC, **options: Any) -> str:
    """Why anybody's verifier refuses `data`, and the enclave's, which has another library for the curve."""
    codes = set()
    for verifier in (SessionVerifier(key), SessionVerifier(key, is_signed=curve.is_signed)):
        with pytest.raises(AttestationError) as caught:
            verifier.verify(data, **{"now_s": NOW_S, **options})
        codes.add(caught.value.code)
    [code] = codes
    return code


def malformed(**changes: Any) -> bool:
    with pytest.raises(AttestationError) as caught:
        claims(**changes)
    return caught.value.code in ("claims-malformed", "key-malformed")


def test_attestation_verifies_and_says_what_was_signed() -> None:
    verified = verify_session_attestation(session(), PUBLIC, now_s=NOW_S)
    assert verified.claims == claims()
    assert SessionVerifier(PUBLIC, is_signed=curve.is_signed).verify(session(), now_s=NOW_S).claims == claims()
    assert verified.verified_s == NOW_S
    assert len(session()) < limits.MAX_SESSION_ATTESTATION_BYTES


@pytest.mark.parametrize("key_type", [P256, SECP256K1])
@pytest.mark.parametrize("sign", [2, 3])
def test_auth_keys_of_both_types_travel_as_cose_keys(key_type: str, sign: int) -> None:
    key = AuthKey(key_type, bytes([sign]) + b"\x07" * 32)
    assert parse_cose_key(encode_cose_key(key)) == key
    assert verify_session_attestation(session(auth_key=key), PUBLIC, now_s=NOW_S).claims.auth_key == key


def test_attestation_expires_at_its_second_and_starts_with_little_skew() -> None:
    verify_session_attestation(session(), PUBLIC, now_s=NOW_S + 299)
    assert refusal(session(), now_s=NOW_S + 300) == "session-expired"
    verify_session_attestation(session(), PUBLIC, now_s=NOW_S - 60)
    assert refusal(session(), now_s=NOW_S - 61) == "session-not-yet-valid"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("issuer", "test-2"),
        ("audience", "https://evil.example"),
        ("scope", "@2"),
        ("auth_key", AuthKey(SECP256K1, AUTH_KEY.public_key)),
        ("boot_epoch", b"\x09" * 16),
    ],
)
def test_attestation_does_not_serve_another_purpose(name: str, other: Any) -> None:
    right = SessionExpectations(**{name: getattr(claims(), name)})
    verify_session_attestation(session(), PUBLIC, now_s=NOW_S, expected=right)
    assert refusal(session(), expected=SessionExpectations(**{name: other})) == "session-mismatch"


def test_attestation_under_another_identity_key_is_refused() -> None:
    assert refusal(session(OTHER_KEY)) == "signed-kind"
    unsigned = session_to_be_signed(claims(), PUBLIC)
    assert refusal(OTHER_KEY.sign(unsigned)) == "cose-signature"


def test_high_s_is_refused_where_we_are_the_signer() -> None:
    unsigned = session_to_be_signed(claims(), PUBLIC)
    high = IDENTITY_KEY.signature(unsigned.digest, high_s=True)
    with pytest.raises(AttestationError):
        unsigned.attach(high)
    assert refusal(encode_sign1(unsigned.protected, unsigned.payload, high)) == "cose-signature-form"


@pytest.mark.parametrize("signature", [b"", bytes(64), b"\x01" * 63, b"\x01" * 65, b"\x01" * 32 + bytes(32)])
def test_signature_of_another_form_cannot_be_attached(signature: bytes) -> None:
    with pytest.raises(AttestationError):
        session_to_be_signed(claims(), PUBLIC).attach(signature)


def test_cb03_trailing_bytes_tags_and_other_encodings_are_refused() -> None:
    data = session()
    for bad in (data + b"\0", b"\xd2" + data, b"\xd8\x3d\xd2" + data, data[:-1], b"", b"\xf6"):
        assert refusal(bad) == "cose-malformed"


def test_attestation_larger_than_the_limit_is_refused() -> None:
    cap = limits.MAX_SESSION_ATTESTATION_BYTES
    unsigned = to_be_signed(SESSION_KIND, bytes(cap), PUBLIC)
    overhead = len(IDENTITY_KEY.sign(unsigned)) - cap
    at_cap = IDENTITY_KEY.sign(to_be_signed(SESSION_KIND, bytes(cap - overhead), PUBLIC))
    assert len(at_cap) == cap
    assert refusal(at_cap) == "claims-malformed"
    above = IDENTITY_KEY.sign(to_be_signed(SESSION_KIND, bytes(cap - overhead + 1), PUBLIC))
    assert refusal(above) == "cose-malformed"


def test_every_flipped_bit_is_refused() -> None:
    data = session()
    for bit in range(len(data) * 8):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << (bit % 8)
        assert refusal(bytes(altered))


# --- one kind never passes as another (CB-06, CB-11) ---


def test_cb06_kinds_do_not_verify_as_each_other() -> None:
    def as_session(data: bytes) -> Any:
        return verify_session_attestation(data, PUBLIC, now_s=NOW_S)

    def as_receipt(data: bytes) -> Any:
        return verify_receipt(data, PUBLIC)

    payloads = {SESSION_KIND: claims().encode(), RECEIPT_KIND: receipt().encode()}
    verifiers = {SESSION_KIND: as_session, RECEIPT_KIND: as_receipt}
    for header_kind in payloads:
        for payload_kind, payload in payloads.items():
            data = IDENTITY_KEY.sign(to_be_signed(header_kind, payload, PUBLIC))
            for verifier_kind, verify in verifiers.items():
                if header_kind == payload_kind == verifier_kind:
                    verify(data)
                    continue
                with pytest.raises(AttestationError) as caught:
                    verify(data)
                assert caught.value.code == ("signed-kind" if header_kind != verifier_kind else "claims-malformed")


@pytest.mark.parametrize("version", ["v0", "v2", "v10"])
def test_cb11_another_version_is_refused(version: str) -> None:
    other = SESSION_KIND.replace("v1", version)
    assert refusal(IDENTITY_KEY.sign(to_be_signed(other, claims().encode(), PUBLIC))) == "signed-kind"


@pytest.mark.parametrize(
    "header",
    [
        {1: -47},
        {1: -47, 16: SESSION_KIND},
        {1: -7, 4: b"", 16: SESSION_KIND},
        {1: -47, 2: [1], 4: b"", 16: SESSION_KIND},
    ],
)
def test_other_headers_are_refused(header: dict[int, Any]) -> None:
    from attestation.signed import ToBeSigned, key_id

    header = {label: key_id(PUBLIC) if label == 4 else value for label, value in header.items()}
    unsigned = ToBeSigned(cbor.dumps(header), claims().encode())
    assert refusal(IDENTITY_KEY.sign(unsigned)) == "signed-kind"


def test_header_is_the_published_one() -> None:
    assert cbor.loads(protected_header(SESSION_KIND, PUBLIC)).keys() == {1, 4, 16}
    assert ES256K.cose_id == -47


# --- claims ---


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"issuer": "UPPER"},
        {"issuer": "a" * 65},
        {"subject": b""},
        {"subject": bytes(31)},
        {"audience": ""},
        {"audience": "x" * (limits.MAX_ORIGIN_CHARS + 1)},
        {"audience": "https://a b"},
        {"audience": "https://a\n"},
        {"scope": ""},
        {"scope": "x" * (limits.MAX_SCOPE_CHARS + 1)},
        {"auth_method": ""},
        {"auth_method": "x" * (limits.MAX_AUTH_METHOD_CHARS + 1)},
        {"auth_key": AuthKey("other", AUTH_KEY.public_key)},
        {"auth_key": AuthKey(P256, b"\x04" + bytes(32))},
        {"auth_key": AuthKey(P256, bytes(65))},
        {"issued_s": 0},
        {"issued_s": -1},
        {"auth_time_s": 0},
        {"auth_time_s": NOW_S + 61},
        {"expires_s": NOW_S},
        {"expires_s": NOW_S - 1},
        {"expires_s": NOW_S + limits.MAX_SESSION_LIFETIME_S + 1},
        {"expires_s": 2**63},
        {"cti": bytes(15)},
        {"cti": b""},
        {"boot_epoch": bytes(17)},
    ],
)
def test_ti07_claims_out_of_range_cannot_be_written(changes: dict[str, Any]) -> None:
    assert malformed(**changes)


def test_claims_at_their_limits_pass() -> None:
    largest = {
        "issuer": "a" * limits.MAX_DEPLOYMENT_CHARS,
        "audience": "x" * limits.MAX_ORIGIN_CHARS,
        "scope": "x" * limits.MAX_SCOPE_CHARS,
        "auth_method": "x" * limits.MAX_AUTH_METHOD_CHARS,
        "expires_s": NOW_S + limits.MAX_SESSION_LIFETIME_S,
        "auth_time_s": NOW_S + 60,
    }
    assert verify_session_attestation(session(**largest), PUBLIC, now_s=NOW_S).claims == claims(**largest)


def altered_payload(change: dict[int, Any], remove: tuple[int, ...] = ()) -> bytes:
    value = cbor.loads(claims().encode()) | change
    return cbor.dumps({label: item for label, item in value.items() if label not in remove})


@pytest.mark.parametrize(
    "payload",
    [
        altered_payload({5: NOW_S}),
        altered_payload({100: 1}),
        *[altered_payload({}, remove=(label,)) for label in cbor.loads(claims().encode())],
        *[altered_payload({label: None}) for label in cbor.loads(claims().encode())],
        altered_payload({4: True}),
        altered_payload({4: "1"}),
        altered_payload({2: "00"}),
        altered_payload({2: claims().subject}),
        altered_payload({2: claims().subject.hex().upper()}),
        altered_payload({2: claims().subject.hex() + "\n"}),
        altered_payload({8: {}}),
        altered_payload({8: {1: {}}}),
        altered_payload({8: {1: encode_cose_key(AUTH_KEY), 3: b"kid"}}),
        *[
            altered_payload({8: {1: encode_cose_key(AUTH_KEY) | change}})
            for change in ({1: 1}, {-1: 2}, {-2: b""}, {-3: b""}, {2: b"kid"})
        ],
        cbor.dumps([1]),
        b"",
        b"\xf6",
        claims().encode() + b"\0",
        b"\xbf" + claims().encode()[1:] + b"\xff",
    ],
)
def test_cb08_missing_unknown_and_malformed_claims_are_refused(payload: bytes) -> None:
    with pytest.raises(AttestationError) as caught:
        parse_session_claims(payload)
    assert caught.value.code in ("claims-malformed", "key-malformed")
    assert refusal(IDENTITY_KEY.sign(to_be_signed(SESSION_KIND, payload, PUBLIC))) == caught.value.code


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_random_bytes_give_one_error_family(data: bytes) -> None:
    for attempt in (
        lambda: verify_session_attestation(data, PUBLIC, now_s=NOW_S),
        lambda: verify_receipt(data, PUBLIC),
        lambda: parse_session_claims(data),
        lambda: parse_receipt(data),
        lambda: load_identity_key(data),
    ):
        with pytest.raises(AttestationError):
            attempt()


# --- the cache ---


def test_verifier_proves_a_signature_once_and_checks_the_rest_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, data = SessionVerifier(PUBLIC), session()
    verifier.verify(data, now_s=NOW_S)
    monkeypatch.setattr(session_module, "verify_signed", lambda *_, **__: pytest.fail("proven before"))
    verifier.verify(data, now_s=NOW_S + 1)
    for options, code in (
        ({"now_s": NOW_S + 300}, "session-expired"),
        ({"now_s": NOW_S - 61}, "session-not-yet-valid"),
        ({"now_s": NOW_S, "expected": SessionExpectations(audience="https://evil.example")}, "session-mismatch"),
    ):
        with pytest.raises(AttestationError) as caught:
            verifier.verify(data, **options)
        assert caught.value.code == code


def test_verifier_keeps_no_refused_bytes_and_is_bounded() -> None:
    verifier = SessionVerifier(PUBLIC, capacity=3)
    for _ in range(2):
        with pytest.raises(AttestationError):
            verifier.verify(session(OTHER_KEY), now_s=NOW_S)
    assert len(verifier._proven) == 0
    for number in range(5):
        verifier.verify(session(cti=bytes([number]) * 16), now_s=NOW_S)
    assert len(verifier._proven) == 3
    assert limits.MAX_VERIFIED_SESSIONS == 4096


# --- identities ---


def test_identity_hash_separates_salt_scope_and_identity() -> None:
    base = identity_hash(SALT, SCOPE, IDENTITY)
    assert len(base) == 32
    others = {
        identity_hash(SALT + b"x", SCOPE, IDENTITY),
        identity_hash(SALT, SCOPE + "E", IDENTITY[1:]),
        identity_hash(SALT, "@2", IDENTITY),
        identity_hash(SALT, SCOPE, IDENTITY.upper()),
    }
    assert len(others | {base}) == 5


@pytest.mark.parametrize("length", [0, 15, 65])
def test_salt_out_of_range_is_refused(length: int) -> None:
    with pytest.raises(AttestationError):
        identity_hash(bytes(length), SCOPE, IDENTITY)


# --- receipts (SE-09) ---


def test_se09_receipt_binds_request_response_and_boot() -> None:
    verified = verify_receipt(signed_receipt(), PUBLIC, request=b"request", response=b"response", boot_epoch=EPOCH)
    assert verified.receipt == receipt()


@pytest.mark.parametrize(
    "options", [{"request": b"other"}, {"response": b"other"}, {"boot_epoch": bytes(16)}, {"request": b""}]
)
def test_se09_swapped_answer_is_refused(options: dict[str, bytes]) -> None:
    with pytest.raises(AttestationError) as caught:
        verify_receipt(signed_receipt(), PUBLIC, **options)
    assert caught.value.code == "receipt-mismatch"


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "-"},
        {"method": ""},
        {"method": "x" * (limits.MAX_RECEIPT_METHOD_CHARS + 1)},
        {"method": "\u00e4"},
        {"request_hash": b""},
        {"response_hash": bytes(31)},
        {"status": 99},
        {"status": 600},
        {"boot_epoch": b""},
        {"sequence": -1},
        {"sequence": 2**63},
        {"time_ms": 0},
        {"time_ms": 2**60},
    ],
)
def test_receipt_out_of_range_cannot_be_written(changes: dict[str, Any]) -> None:
    with pytest.raises(AttestationError):
        receipt(**changes)


def test_receipt_at_its_limits_passes_and_larger_ones_are_refused() -> None:
    largest = {
        "issuer": "a" * limits.MAX_DEPLOYMENT_CHARS,
        "method": "x" * limits.MAX_RECEIPT_METHOD_CHARS,
        "sequence": 2**63 - 1,
    }
    data = signed_receipt(**largest)
    assert len(data) <= limits.MAX_RECEIPT_BYTES
    assert verify_receipt(data, PUBLIC).receipt == receipt(**largest)
    for size, code in ((0, "claims-malformed"), (1, "cose-malformed")):
        filler = limits.MAX_RECEIPT_BYTES - len(IDENTITY_KEY.sign(to_be_signed(RECEIPT_KIND, bytes(256), PUBLIC))) + 256
        data = IDENTITY_KEY.sign(to_be_signed(RECEIPT_KIND, bytes(filler + size), PUBLIC))
        assert len(data) == limits.MAX_RECEIPT_BYTES + size
        with pytest.raises(AttestationError) as caught:
            verify_receipt(data, PUBLIC)
        assert caught.value.code == code


@pytest.mark.parametrize("place", range(8))
def test_receipt_with_a_member_of_another_type_is_refused(place: int) -> None:
    value = cbor.loads(receipt().encode())
    for bad in (None, True, 1.5, [], {}):
        payload = cbor.dumps([*value[:place], bad, *value[place + 1 :]])
        with pytest.raises(AttestationError) as caught:
            parse_receipt(payload)
        assert caught.value.code == "claims-malformed"


def test_receipt_members_are_those_of_the_published_order() -> None:
    assert parse_receipt(receipt().encode()) == receipt()
    assert list(Receipt.__slots__)[:2] == ["issuer", "method"]
    unsigned = receipt_to_be_signed(receipt(), PUBLIC)
    assert parse_sign1(IDENTITY_KEY.sign(unsigned), max_bytes=limits.MAX_RECEIPT_BYTES).payload == receipt().encode()


@pytest.mark.parametrize("point", [b"", bytes(33), b"\x04" + bytes(32), b"\x02" + b"\xff" * 32, b"\x02" * 65])
def test_identity_key_that_is_no_point_is_refused(point: bytes) -> None:
    with pytest.raises(AttestationError) as caught:
        load_identity_key(point)
    assert caught.value.code == "key-malformed"
