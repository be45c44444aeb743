"""What a relying party may demand: AT-10 to AT-14, allow-lists with expiry and floor, and how policies combine."""

from typing import Any

import pytest

from attestation import pcr
from attestation.binding import EnclaveBinding, content_user_data, parse_binding
from attestation.errors import AttestationError
from attestation.policy import (
    AllOf,
    AllowList,
    AnyImage,
    AnyOf,
    Aspect,
    Binding,
    DebugImage,
    MaxAge,
    Measurements,
    Nonce,
    Policy,
    PublicKey,
    UserData,
    online,
)
from attestation.verify import VerifiedDocument, verify
from protocol import cbor, limits
from tests.attestation import pki
from tests.attestation.pki import NOW_MS, payload_fields

ANY = AnyImage()
IMAGE = Measurements(name="release 1", pcrs=pki.image())
OTHER = Measurements(name="release 2", pcrs=pki.image(0x55))


def judge(policy: Policy, now_ms: int = NOW_MS, as_of: Any = None, **changes: Any) -> VerifiedDocument:
    return verify(pki.document(**changes), policy, now_ms, [pki.root()], as_of=as_of)


def refusal(policy: Policy, now_ms: int = NOW_MS, as_of: Any = None, **changes: Any) -> str:
    with pytest.raises(AttestationError) as caught:
        judge(policy, now_ms, as_of, **changes)
    return caught.value.code


def aspects(verified: VerifiedDocument) -> list[Aspect]:
    return [finding.aspect for finding in verified.findings]


def with_pcr(index: int, value: bytes) -> dict[int, bytes]:
    return payload_fields()["pcrs"] | {index: value}


def test_expected_image_passes_and_another_is_refused() -> None:
    assert aspects(judge(IMAGE)) == [Aspect.IMAGE]
    assert refusal(OTHER) == "measurement-mismatch"


@pytest.mark.parametrize("index", pcr.IMAGE_PCRS)
def test_at11_one_register_alone_names_no_image(index: int) -> None:
    fewer = {number: value for number, value in pki.image().items() if number != index}
    with pytest.raises(AttestationError) as caught:
        Measurements(name="part", pcrs=fewer)
    assert caught.value.code == "policy-malformed"


@pytest.mark.parametrize("index", pcr.IMAGE_PCRS)
def test_at11_each_image_register_decides(index: int) -> None:
    """Two images with a section border moved differ in one register only."""
    assert refusal(IMAGE, pcrs=with_pcr(index, b"\x99" * 48)) == "measurement-mismatch"
    almost = pki.image()[index][:-1] + b"\x00"
    assert refusal(IMAGE, pcrs=with_pcr(index, almost)) == "measurement-mismatch"


@pytest.mark.parametrize("index", [3, 8, 15, 16, 17, 31])
def test_at11_further_registers_count_when_named(index: int) -> None:
    value = b"\x77" * 48
    policy = Measurements(name="with more", pcrs=pki.image() | {index: value})
    judge(policy, pcrs=with_pcr(index, value))
    assert refusal(policy, pcrs=with_pcr(index, b"\x78" * 48)) == "measurement-mismatch"
    expected = "measurement-missing" if index >= 16 else "measurement-mismatch"
    assert refusal(policy) == expected


def test_at11_role_instance_and_signer_have_their_formulas() -> None:
    """The instance's is checked against real documents elsewhere; here, that the formulas differ as published."""
    assert pcr.of_instance("x") == pcr.of_role("x") == pcr.extend(pcr.ZERO, b"x")
    assert pcr.of_signer(b"x") == pcr.extend(pcr.ZERO, __import__("hashlib").sha384(b"x").digest())
    role = "arn:aws:iam::123456789012:role/wallet"
    pcrs = with_pcr(3, pcr.of_role(role))
    judge(Measurements(name="role", pcrs=pki.image() | {3: pcr.of_role(role)}), pcrs=pcrs)
    assert refusal(Measurements(name="role", pcrs=pki.image() | {3: pcr.of_role(role + "x")}), pcrs=pcrs)


def test_at11_entry_expires() -> None:
    entry = Measurements(name="old", pcrs=pki.image(), expires_ms=NOW_MS)
    judge(entry, NOW_MS)
    assert refusal(entry, NOW_MS + 1) == "measurement-expired"
    judge(entry, NOW_MS + 1, as_of=NOW_MS)
    assert refusal(AllowList((entry, OTHER)), NOW_MS + 1) == "measurement-expired"


def test_allow_list_takes_any_of_its_entries_and_none_of_none() -> None:
    assert "release 1" in judge(AllowList((OTHER, IMAGE))).findings[0].text
    assert refusal(AllowList((OTHER,))) == "measurement-mismatch"
    assert refusal(AllowList(())) == "measurement-mismatch"
    assert refusal(AnyOf(())) == "measurement-mismatch"


def test_minimum_version_refuses_a_known_but_old_image() -> None:
    entry = Measurements(name="release 3", pcrs=pki.image(), version=3)
    judge(AllowList((entry,), minimum_version=3))
    assert refusal(AllowList((entry, OTHER), minimum_version=4)) == "measurement-version"


@pytest.mark.parametrize(
    "pcrs",
    [
        {**pki.image(), 0: pcr.ZERO},
        {**pki.image(), 2: pcr.ZERO},
        {**pki.image(), 3: b"short"},
        {**pki.image(), 32: b"\x01" * 48},
        {**pki.image(), -1: b"\x01" * 48},
        {},
    ],
)
def test_at12_debug_and_malformed_measurements_cannot_be_written_down(pcrs: dict[int, bytes]) -> None:
    with pytest.raises(AttestationError) as caught:
        Measurements(name="bad", pcrs=pcrs)
    assert caught.value.code == "policy-malformed"


DEBUG = payload_fields()["pcrs"] | dict.fromkeys(pcr.IMAGE_PCRS, pcr.ZERO)


def test_at12_debug_passes_only_where_it_is_named_and_says_so() -> None:
    assert refusal(ANY, pcrs=DEBUG) == refusal(IMAGE, pcrs=DEBUG) == refusal(AllowList((IMAGE,)), pcrs=DEBUG)
    assert refusal(ANY, pcrs=DEBUG) == "debug-mode"
    assert aspects(judge(AnyOf((IMAGE, DebugImage())), pcrs=DEBUG)) == [Aspect.DEBUG_IMAGE]
    assert aspects(judge(AnyOf((IMAGE, DebugImage())))) == [Aspect.IMAGE]
    assert refusal(DebugImage()) == "measurement-mismatch"


def test_measurements_cannot_be_changed_afterwards() -> None:
    pcrs = pki.image()
    entry = Measurements(name="frozen", pcrs=pcrs)
    pcrs[0] = b"\x99" * 48
    judge(entry)
    with pytest.raises(TypeError):
        entry.pcrs[0] = b"\x99" * 48  # type: ignore[index]


# --- freshness (AT-10) ---


def test_at10_nonce_must_be_repeated_byte_for_byte() -> None:
    policy = AllOf((ANY, Nonce(b"fresh nonce")))
    assert Aspect.NONCE in aspects(judge(policy, nonce=b"fresh nonce"))
    for nonce in (b"fresh nonc", b"fresh nonce\x00", b"FRESH NONCE", b""):
        assert refusal(policy, nonce=nonce) == "nonce-mismatch"
    assert refusal(policy) == "nonce-missing"
    assert refusal(policy, nonce=...) == "nonce-missing"


def test_at10_null_and_empty_nonce_differ() -> None:
    judge(AllOf((ANY, Nonce(b""))), nonce=b"")
    assert refusal(AllOf((ANY, Nonce(b"")))) == "nonce-missing"


def test_at10_age_is_counted_from_now_even_for_archived_documents() -> None:
    policy = AllOf((ANY, MaxAge(5000)))
    judge(policy, NOW_MS + 5000)
    assert refusal(policy, NOW_MS + 5001) == "document-too-old"
    assert refusal(policy, NOW_MS + 5001, as_of="document") == "document-too-old"


def test_at10_replayed_document_fails_an_online_client() -> None:
    judge(online(IMAGE, b"mine"), nonce=b"mine")
    assert refusal(online(IMAGE, b"mine"), nonce=b"yours") == "nonce-mismatch"
    assert refusal(online(IMAGE, b"mine"), NOW_MS + 300_001, nonce=b"mine") == "document-too-old"
    assert refusal(online(OTHER, b"mine"), nonce=b"mine") == "measurement-mismatch"


# --- what is bound (AT-14) ---


def test_at14_public_key_and_user_data_are_compared_exactly() -> None:
    key, data = AllOf((ANY, PublicKey(b"key"))), AllOf((ANY, UserData(b"data")))
    judge(key, public_key=b"key")
    judge(data, user_data=b"data")
    for changes in ({"public_key": b"kez"}, {"public_key": b""}, {}, {"user_data": b"key"}):
        assert refusal(key, **changes) == "public-key-mismatch"
    for changes in ({"user_data": b"date"}, {"user_data": b""}, {}, {"public_key": b"data"}):
        assert refusal(data, **changes) == "user-data-mismatch"


BOUND = EnclaveBinding(
    deployment="test-1",
    identity_key=b"\x02" + b"\x01" * 32,
    channel_key=b"\x02" * 32,
    config_hash=b"\x03" * 32,
    boot_epoch=b"\x04" * 16,
)
PARTS = {name: getattr(BOUND, name) for name in BOUND.__slots__}
CHANGED = {
    "deployment": "test-2",
    "identity_key": b"\x03" + b"\x01" * 32,
    "channel_key": b"\x09" * 32,
    "config_hash": b"\x09" * 32,
    "boot_epoch": b"\x09" * 16,
}


def test_at14_binding_covers_purpose_keys_and_configuration() -> None:
    encoded = BOUND.encode()
    assert len(encoded) <= limits.MAX_ATTESTATION_FIELD_BYTES
    assert parse_binding(encoded) == BOUND
    verified = judge(AllOf((ANY, Binding(**PARTS))), user_data=encoded)
    assert Aspect.BINDING in aspects(verified)
    assert verified.binding() == BOUND


@pytest.mark.parametrize("part", PARTS)
def test_at14_each_bound_part_decides_when_it_is_named(part: str) -> None:
    user_data = EnclaveBinding(**PARTS | {part: CHANGED[part]}).encode()
    assert refusal(AllOf((ANY, Binding(**PARTS))), user_data=user_data) == "binding-mismatch"
    judge(AllOf((ANY, Binding(**PARTS | {part: None}))), user_data=user_data)


GOOD = cbor.loads(BOUND.encode())


@pytest.mark.parametrize(
    "user_data",
    [
        b"",
        b"x",
        BOUND.encode() + b"\x00",
        BOUND.encode()[:-1],
        content_user_data("GET", "/", b"", b""),
        cbor.dumps(GOOD[:-1]),
        cbor.dumps([*GOOD, 1]),
        cbor.dumps(["chancery/enclave-binding/2", *GOOD[1:]]),
        cbor.dumps(["chancery/enclave-binding/0", *GOOD[1:]]),
        cbor.dumps([b"chancery/enclave-binding/1", *GOOD[1:]]),
        *[cbor.dumps([*GOOD[:place], GOOD[place][:-1], *GOOD[place + 1 :]]) for place in (2, 3, 4, 5)],
        *[cbor.dumps([*GOOD[:place], None, *GOOD[place + 1 :]]) for place in range(6)],
        cbor.dumps([GOOD[0], GOOD[1], b"\x04" + GOOD[2][1:], *GOOD[3:]]),
        *[cbor.dumps([GOOD[0], name, *GOOD[2:]]) for name in ("", "ab", "-ab", "ab-", "a" * 65, "Abc", "a b", "abc\n")],
    ],
)
def test_at14_user_data_of_any_other_form_binds_nothing(user_data: bytes) -> None:
    assert refusal(AllOf((ANY, Binding())), user_data=user_data) == "binding-malformed"
    with pytest.raises(AttestationError):
        judge(ANY, user_data=user_data).binding()


def test_at14_absent_user_data_binds_nothing() -> None:
    assert refusal(AllOf((ANY, Binding(**PARTS)))) == "binding-malformed"


def test_deployment_name_at_the_cap_passes() -> None:
    name = "a" * limits.MAX_DEPLOYMENT_CHARS
    assert parse_binding(EnclaveBinding(**PARTS | {"deployment": name}).encode()).deployment == name


@pytest.mark.parametrize(
    ("exchange", "expected"),
    [
        (
            ("POST", "/rpc/IdentityInstrument/Sign", b'{"a":1}', b'{"b":2}'),
            b"Sequence/1:SIjQKbJ+SJgoXNCQksDKBxmq81Is7oZDeKoK22BNbW4=",
        ),
        (("GET", "/health", b"", b""), b"Sequence/1:pf8APfpKMP8/KsOIN4HSmfkGb/UEKIqkLRQffgh5vSo="),
    ],
)
def test_content_binding_equals_the_golden_vectors(exchange: tuple[Any, ...], expected: bytes) -> None:
    assert content_user_data(*exchange) == expected


def test_content_binding_separates_its_parts() -> None:
    seen = {
        content_user_data("GET", "/a", b"", b""),
        content_user_data("POST", "/a", b"", b""),
        content_user_data("GET", "/b", b"", b""),
        content_user_data("GET", "/a", b"x", b""),
        content_user_data("GET", "/a", b"", b"x"),
    }
    assert len(seen) == 5
