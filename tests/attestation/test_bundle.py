"""Proof bundles: the whole way from a root to a device key, with each link broken once."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.binding import EnclaveBinding
from attestation.bundle import Bundle, IdentityOpening, VerifiedBundle, parse_bundle, verify_bundle
from attestation.errors import AttestationError
from attestation.policy import AllOf, AnyImage, Measurements, Policy
from attestation.roots import AMAZON
from attestation.session import SessionExpectations
from protocol import cbor, limits
from tests.attestation import pki
from tests.attestation.pki import NOW_MS
from tests.attestation.signing import EPOCH, IDENTITY, IDENTITY_KEY, NOW_S, OTHER_KEY, SALT, SCOPE, session

IMAGE = Measurements(name="release 1", pcrs=pki.image())
OTHER_IMAGE = pki.payload_fields()["pcrs"] | pki.image(0x55)
OPENING = IdentityOpening(SALT, SCOPE, IDENTITY)


def user_data(**changes: Any) -> bytes:
    binding = {
        "deployment": "test-1",
        "identity_key": IDENTITY_KEY.public,
        "channel_key": bytes(32),
        "config_hash": bytes(32),
        "boot_epoch": EPOCH,
    }
    return EnclaveBinding(**binding | changes).encode()


def bundle(opening: IdentityOpening | None = OPENING, **parts: bytes) -> bytes:
    document = parts.get("document") or pki.document(user_data=user_data())
    return Bundle(document, parts.get("session") or session(), opening).encode()


def judge(data: bytes, policy: Policy = IMAGE, now_ms: int = NOW_MS, **options: Any) -> VerifiedBundle:
    return verify_bundle(data, policy, now_ms, [pki.root()], **options)


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(AttestationError) as caught:
        action()
    return caught.value.code


def test_bundle_proves_who_holds_the_device_key() -> None:
    assert NOW_S * 1000 == NOW_MS
    data = bundle()
    verified = judge(data)
    assert verified.document.root == pki.root()
    assert verified.binding.identity_key == IDENTITY_KEY.public
    assert verified.opening == OPENING
    assert verified.session.claims.audience == "https://app.example"
    assert parse_bundle(data).encode() == data


def test_bundle_without_an_opening_proves_the_key_and_keeps_the_identity() -> None:
    assert judge(bundle(None)).opening is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bundle(document=pki.document()), "binding-malformed"),
        (bundle(document=pki.document(user_data=user_data(identity_key=OTHER_KEY.public))), "signed-kind"),
        (bundle(document=pki.document(user_data=user_data(deployment="test-2"))), "session-mismatch"),
        (bundle(document=pki.document(user_data=user_data(boot_epoch=bytes(16)))), "session-mismatch"),
        (bundle(document=pki.document(user_data=user_data(), pcrs=OTHER_IMAGE)), "measurement-mismatch"),
        (bundle(session=session(OTHER_KEY)), "signed-kind"),
        (bundle(session=session(boot_epoch=bytes(16))), "session-mismatch"),
        (bundle(session=session(issuer="test-2")), "session-mismatch"),
        (bundle(IdentityOpening(SALT, SCOPE, "Email:other@example.com")), "identity-mismatch"),
        (bundle(IdentityOpening(b"x" * 16, SCOPE, IDENTITY)), "identity-mismatch"),
        (bundle(IdentityOpening(SALT, "@2", IDENTITY)), "identity-mismatch"),
        (bundle(IdentityOpening(b"", SCOPE, IDENTITY)), "claims-malformed"),
    ],
    ids=range(12),
)  # fmt: skip
def test_one_broken_link_is_refused(data: bytes, code: str) -> None:
    assert refusal(lambda: judge(data)) == code


def test_bundle_under_another_root_is_refused() -> None:
    assert refusal(lambda: verify_bundle(bundle(), IMAGE, NOW_MS, [AMAZON])) == "root-untrusted"
    assert refusal(lambda: verify_bundle(bundle(), IMAGE, NOW_MS)) == "root-untrusted"


def test_bundle_needs_a_word_on_the_image_as_any_document_does() -> None:
    assert refusal(lambda: judge(bundle(), AllOf(()))) == "policy-image"
    judge(bundle(), AnyImage())


def test_bundle_expires_with_its_session_and_with_its_document() -> None:
    assert refusal(lambda: judge(bundle(), now_ms=NOW_MS + 300_000)) == "session-expired"
    long = bundle(session=session(expires_s=NOW_S + 86_400))
    assert refusal(lambda: judge(long, now_ms=NOW_MS + 7_200_000)) == "certificate-expired"


def test_archived_bundle_is_judged_as_of_a_time() -> None:
    later = NOW_MS + 86_400_000 * 365
    assert judge(bundle(), now_ms=later, as_of=NOW_MS + 1000).document.is_archived
    assert refusal(lambda: judge(bundle(), now_ms=later, as_of=NOW_MS + 300_000)) == "session-expired"


def test_document_as_of_its_own_time_leaves_the_session_to_be_judged_now() -> None:
    long = bundle(session=session(expires_s=NOW_S + 86_400))
    assert judge(long, now_ms=NOW_MS + 7_200_000, as_of="document").document.is_archived
    assert refusal(lambda: judge(bundle(), now_ms=NOW_MS + 7_200_000, as_of="document")) == "session-expired"


def test_expectations_are_passed_on() -> None:
    judge(bundle(), expected=SessionExpectations(audience="https://app.example", scope=SCOPE))
    for wrong in ({"audience": "https://evil.example"}, {"scope": "@2"}, {"issuer": "test-2"}):
        assert refusal(lambda wrong=wrong: judge(bundle(), expected=SessionExpectations(**wrong))) == "session-mismatch"


VALUE = cbor.loads(bundle())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xf6",
        bundle() + b"\0",
        bundle()[:-1],
        cbor.dumps(["chancery/proof-bundle/2", *VALUE[1:]]),
        cbor.dumps(VALUE[:-1]),
        cbor.dumps([*VALUE, None]),
        cbor.dumps([VALUE[0], None, *VALUE[2:]]),
        cbor.dumps([*VALUE[:2], "x", VALUE[3]]),
        *[
            cbor.dumps([*VALUE[:3], opening])
            for opening in (1, [], [SALT, SCOPE], ["x", SCOPE, IDENTITY], [SALT, 1, "x"])
        ],
        cbor.dumps([*VALUE[:3], [SALT, "x" * (limits.MAX_SCOPE_CHARS + 1), IDENTITY]]),
        cbor.dumps([*VALUE[:3], [SALT, SCOPE, "x" * (limits.MAX_IDENTITY_BYTES + 1)]]),
        cbor.dumps([*VALUE[:3], [SALT, SCOPE, "\u00e4" * (limits.MAX_IDENTITY_BYTES // 2 + 1)]]),
        bytes(limits.MAX_BUNDLE_BYTES + 1),
    ],
)
def test_anything_else_is_no_bundle(data: bytes) -> None:
    assert refusal(lambda: parse_bundle(data)) == "bundle-malformed"
    assert refusal(lambda: judge(data)) == "bundle-malformed"


def test_bundle_and_opening_at_their_limits_pass() -> None:
    opening = IdentityOpening(SALT, "x" * limits.MAX_SCOPE_CHARS, "x" * limits.MAX_IDENTITY_BYTES)
    assert parse_bundle(bundle(opening)).opening == opening
    overhead = len(Bundle(bytes(1000), bytes(1000)).encode()) - 2000
    at_cap = Bundle(bytes(1000), bytes(limits.MAX_BUNDLE_BYTES - 1000 - overhead)).encode()
    assert len(at_cap) == limits.MAX_BUNDLE_BYTES
    parse_bundle(at_cap)


def test_opening_is_not_shown_by_accident() -> None:
    assert SALT.hex() not in repr(judge(bundle()))
    assert repr(SALT)[2:-1] not in repr(judge(bundle()))


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_random_bytes_give_one_error_family(data: bytes) -> None:
    with pytest.raises(AttestationError):
        judge(data)
