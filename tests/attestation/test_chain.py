"""The path from a trust root: AT-07 to AT-09, AT-19, and what the cache may remember."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from attestation.certificate import _elements, parse_certificate
from attestation.chain import ChainCache, verify_chain
from attestation.errors import AttestationError
from attestation.policy import AllOf, AnyImage
from attestation.revocation import NotRevoked
from attestation.roots import AMAZON, TrustRoot
from attestation.verify import verify
from protocol import limits
from tests.attestation import pki
from tests.attestation.pki import ENCLAVE, INSTANCE, NOW, NOW_MS, REGIONAL, ROOT, SPECS, ZONAL, Spec, defective, usage

ANY = AnyImage()


def check(certificates: tuple[bytes, ...], now_ms: int = NOW_MS) -> None:
    """Raise unless a document with this chain verifies under the chain's own root."""
    data = pki.document(certificates)
    verify(data, ANY, now_ms, [pki.root(certificates)], cache=ChainCache())


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(AttestationError) as caught:
        action()
    return caught.value.code


def refused(certificates: tuple[bytes, ...], now_ms: int = NOW_MS) -> str:
    return refusal(lambda: check(certificates, now_ms))


def test_right_chain_is_verified_and_says_which_root_vouched() -> None:
    verified = verify(pki.document(), ANY, NOW_MS, [AMAZON, pki.root()])
    assert verified.root == pki.root()
    assert verified.not_before_ms == NOW_MS - 5_400_000
    assert verified.not_after_ms == NOW_MS + 5_400_000


def test_at07_amazons_root_is_embedded_and_pinned() -> None:
    assert AMAZON.sha256.hex() == "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"


def test_at07_chain_under_another_root_is_refused() -> None:
    assert refusal(lambda: verify(pki.document(), ANY, NOW_MS)) == "root-untrusted"
    assert refusal(lambda: verify(pki.document(), ANY, NOW_MS, [])) == "root-untrusted"


def test_at07_root_of_the_same_subject_and_key_but_other_bytes_is_refused() -> None:
    twin = pki.chain()[ROOT]  # a new signature over the same content
    assert twin != pki.good_chain()[ROOT]
    assert refusal(lambda: verify(pki.document(), ANY, NOW_MS, [TrustRoot("twin", twin)])) == "root-untrusted"


def test_at07_look_alike_with_amazons_subject_is_refused() -> None:
    name = x509.load_der_x509_certificate(AMAZON.der).subject
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(pki.key("root").public_key()).not_valid_before(NOW - timedelta(days=1))
    builder = builder.not_valid_after(NOW + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    look_alike = builder.sign(pki.key("root"), hashes.SHA384()).public_bytes(serialization.Encoding.DER)
    data = pki.document((look_alike, *pki.good_chain()[1:]))
    assert refusal(lambda: verify(data, ANY, NOW_MS, [AMAZON])) == "root-untrusted"


EXTENDED_USAGE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
NAME_CONSTRAINTS = x509.NameConstraints([x509.DNSName("x")], None)

CASES: list[tuple[str, int, dict[str, Any], str]] = [
    *[
        (f"authority {place} {what}", place, defects, code)
        for place in (ROOT, REGIONAL, ZONAL, INSTANCE)
        for what, defects, code in [
            ("is not marked as one", {"ca": False, "path_length": None}, "certificate-authority"),
            ("lacks basic constraints", {"ca": None}, "certificate-authority"),
            ("has them uncritical", {"constraints_critical": False}, "certificate-authority"),
            ("lacks key usage", {"usage": None}, "certificate-key-usage"),
            ("may not sign certificates", {"usage": usage("digital_signature", "crl_sign")}, "certificate-key-usage"),
        ]
    ],
    *[
        (f"certificate {place} {what}", place, defects, code)
        for place in range(5)
        for what, defects, code in [
            ("has an unknown critical extension", {"extensions": ((UNKNOWN, True),)}, "certificate-extension"),
            ("has critical extended usage", {"extensions": ((EXTENDED_USAGE, True),)}, "certificate-extension"),
            ("has critical name constraints", {"extensions": ((NAME_CONSTRAINTS, True),)}, "certificate-extension"),
            ("is signed over SHA-256", {"digest": hashes.SHA256()}, "certificate-algorithm"),
            ("is signed over SHA-512", {"digest": hashes.SHA512()}, "certificate-algorithm"),
        ]
    ],
    *[
        (f"authority {place} has {what}", place, {"curve": curve}, "certificate-key")
        for place in (ROOT, REGIONAL, ZONAL, INSTANCE)
        for what, curve in [("a P-256 key", "p256"), ("a P-521 key", "p521")]
    ],
    ("instance has an RSA key", INSTANCE, {"curve": "rsa"}, "certificate-key"),
    *[
        (f"certificate {place} {what}", place, defects, code)
        for place in (REGIONAL, ZONAL, INSTANCE, ENCLAVE)
        for what, defects, code in [
            ("is signed by a stranger", {"signer": "stranger"}, "certificate-issuer"),
            ("names another issuer", {"issuer": "stranger"}, "certificate-issuer"),
            ("is expired", {"not_after": NOW - timedelta(seconds=1)}, "certificate-expired"),
            ("is not valid yet", {"not_before": NOW + timedelta(seconds=1)}, "certificate-not-yet-valid"),
        ]
    ],
    ("root is expired", ROOT, {"not_after": NOW - timedelta(seconds=1)}, "certificate-expired"),
    ("root is not valid yet", ROOT, {"not_before": NOW + timedelta(seconds=1)}, "certificate-not-yet-valid"),
    ("root allows too few below", ROOT, {"path_length": 2}, "certificate-path-length"),
    ("regional allows too few below", REGIONAL, {"path_length": 1}, "certificate-path-length"),
    ("regional allows none below", REGIONAL, {"path_length": 0}, "certificate-path-length"),
    ("zonal allows too few below", ZONAL, {"path_length": 0}, "certificate-path-length"),
    ("enclave is an authority", ENCLAVE, {"ca": True}, "certificate-authority"),
    (
        "enclave may sign certificates",
        ENCLAVE,
        {"usage": usage("digital_signature", "key_cert_sign")},
        "certificate-key-usage",
    ),
    ("enclave may not sign", ENCLAVE, {"usage": usage("key_agreement")}, "certificate-key-usage"),
    ("enclave lacks key usage", ENCLAVE, {"usage": None}, "certificate-key-usage"),
]


@pytest.mark.parametrize(("place", "defects", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_at08_one_defect_in_one_certificate_is_refused(place: int, defects: dict[str, Any], code: str) -> None:
    if place == ENCLAVE and "curve" in defects:
        raise AssertionError("its own test below")
    assert refused(pki.chain(defective(place, **defects))) == code


@pytest.mark.parametrize("curve", ["p256", "p521"])
def test_at08_enclave_key_on_another_curve_is_refused(curve: str) -> None:
    data = pki.document(pki.chain(defective(ENCLAVE, curve=curve)))  # the signature does not matter any more
    root = pki.root(pki.good_chain())
    specs = defective(ENCLAVE, curve=curve)
    certificates = (*pki.good_chain()[:-1], pki.certificate(specs[ENCLAVE], specs[INSTANCE]))
    data = pki.document(certificates)
    assert refusal(lambda: verify(data, ANY, NOW_MS, [root], cache=ChainCache())) == "certificate-key"


@pytest.mark.parametrize(
    "defects",
    [
        {"ca": None},
        {"usage_critical": True},
        {"usage": usage("digital_signature")},
        {"extensions": ((EXTENDED_USAGE, False),)},
        {"extensions": ((UNKNOWN, False),)},
        {"constraints_critical": False},
    ],
)
def test_at08_harmless_variations_of_the_enclave_certificate_pass(defects: dict[str, Any]) -> None:
    check(pki.chain(defective(ENCLAVE, **defects)))


@pytest.mark.parametrize("place", [ROOT, REGIONAL, ZONAL])
def test_at08_authority_without_a_path_length_passes(place: int) -> None:
    check(pki.chain(defective(place, path_length=None)))


ATTACKER = Spec("attacker", timedelta(hours=1), ca=False, usage=usage("digital_signature"))
"""Issued by the enclave's key for a key of the attacker's choice."""
UNLIMITED = tuple(replace(spec, path_length=None) for spec in SPECS)


@pytest.mark.parametrize(
    ("specs", "code"),
    [(SPECS, "certificate-path-length"), (UNLIMITED, "certificate-authority")],
    ids=["real", "no limit"],
)
def test_at08_certificate_below_the_enclave_is_refused(specs: tuple[Spec, ...], code: str) -> None:
    certificates = pki.chain((*specs, ATTACKER))
    data = pki.DocumentParts(
        pki.cbor2.dumps(pki.payload_fields(certificates)),
        signature=pki.sign(pki.cbor2.dumps(pki.payload_fields(certificates)), signer=pki.key("attacker")),
    ).encode()
    root = pki.root(certificates)
    assert refusal(lambda: verify(data, ANY, NOW_MS, [root], cache=ChainCache())) == code


@pytest.mark.parametrize(
    "order",
    [
        (0, 2, 1, 3, 4),
        (0, 3, 2, 1, 4),
        (0, 1, 3, 4),
        (0, 1, 2, 4),
        (0, 2, 3, 4),
        (0, 4),
        (0, 1, 1, 2, 3, 4),
        (0, 1, 2, 3, 3, 4),
        (0, 0, 1, 2, 3, 4),
        (0, 1, 2, 3, 0),
        (0, 1, 2, 3, 3),
        (0, 0),
    ],
)
def test_at08_certificates_in_any_other_order_or_number_are_refused(order: tuple[int, ...]) -> None:
    good = pki.good_chain()
    code = refused(tuple(good[place] for place in order))
    assert code == "document-field" if len(set(order)) < len(order) else code.startswith("certificate-")


def test_at08_reversed_bundle_is_refused() -> None:
    good = pki.good_chain()
    data = pki.document((*reversed(good[:-1]), good[-1]))
    assert refusal(lambda: verify(data, ANY, NOW_MS, [pki.root()])) == "root-untrusted"


def test_at08_longest_bundle_passes() -> None:
    between = [Spec(f"authority {n}", timedelta(days=2)) for n in range(limits.MAX_CABUNDLE_CERTIFICATES - 1)]
    check(pki.chain((SPECS[ROOT], *between, SPECS[ENCLAVE])))


@pytest.mark.parametrize("place", range(1, 5))
@pytest.mark.parametrize("damage", ["truncated", "trailing", "empty sequence", "text"])
def test_at08_unreadable_certificate_is_refused(place: int, damage: str) -> None:
    der = pki.good_chain()[place]
    bad = {"truncated": der[:-1], "trailing": der + b"\0", "empty sequence": b"\x30\x00", "text": b"certificate"}[
        damage
    ]
    certificates = (*pki.good_chain()[:place], bad, *pki.good_chain()[place + 1 :])
    assert refused(certificates) == "certificate-malformed"


def test_at08_algorithm_inside_and_outside_must_agree() -> None:
    der = pki.good_chain()[ENCLAVE]
    sha384, sha256 = bytes.fromhex("06082a8648ce3d040303"), bytes.fromhex("06082a8648ce3d040302")
    assert der.count(sha384) == 2
    for swapped in (der.replace(sha384, sha256, 1), sha256.join(der.rsplit(sha384, 1))):
        assert refused((*pki.good_chain()[:-1], swapped)) == "certificate-algorithm"


def sequence(*elements: bytes) -> bytes:
    content = b"".join(elements)
    size = len(content)
    return (b"\x30\x82" + size.to_bytes(2, "big") if size > 255 else b"\x30\x81" + size.to_bytes(1, "big")) + content


def test_at08_certificate_of_version_1_is_refused() -> None:
    """It cannot say whether it is an authority. The library reads it, so the rule has to."""
    covered, algorithm = _elements(pki.good_chain()[ENCLAVE], 2)
    _, *fields = _elements(covered, 7)
    signature = pki.good_chain()[ENCLAVE][4 + len(covered) + len(algorithm) :]
    for unique_id in (b"", b"\x81\x02\x00\x01"):  # the second fills the place of what is missing
        first_version = sequence(sequence(*fields, unique_id), algorithm, signature)
        assert x509.load_der_x509_certificate(first_version).version is x509.Version.v1
        with pytest.raises(AttestationError) as caught:
            parse_certificate(first_version)
        assert caught.value.code == "certificate-malformed"


@pytest.mark.parametrize("serial", [0, -1, -(2**54)])
def test_at08_serial_number_that_is_not_positive_is_refused(serial: int, recwarn: pytest.WarningsRecorder) -> None:
    der = pki.good_chain()[ENCLAVE]
    altered = der.replace(b"enclave", serial.to_bytes(7, "big", signed=True), 1)  # the name comes later
    assert refused((*pki.good_chain()[:-1], altered)) == "certificate-malformed"
    assert not recwarn.list


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    ("offset_s", "code"), [(-1, None), (0, None), (1, "certificate-expired")], ids=["before", "at", "after"]
)
def test_at09_not_after_is_inclusive(place: int, offset_s: int, code: str | None) -> None:
    certificates = pki.chain(defective(place, not_after=NOW))
    if code is None:
        check(certificates, NOW_MS + 1000 * offset_s)
    else:
        assert refused(certificates, NOW_MS + 1000 * offset_s) == code
        assert refused(certificates, NOW_MS + 1) == code


@pytest.mark.parametrize("place", range(5))
def test_at09_not_before_is_inclusive(place: int) -> None:
    certificates = pki.chain(defective(place, not_before=NOW))
    check(certificates, NOW_MS)
    check(certificates, NOW_MS + 1000)
    assert refused(certificates, NOW_MS - 1) == "certificate-not-yet-valid"
    assert refused(certificates, NOW_MS - 1000) == "certificate-not-yet-valid"


def test_cached_chain_expires_all_the_same() -> None:
    cache, data, roots = ChainCache(), pki.document(), [pki.root()]
    end_ms = verify(data, ANY, NOW_MS, roots, cache=cache).not_after_ms
    verify(data, ANY, end_ms, roots, cache=cache)
    assert refusal(lambda: verify(data, ANY, end_ms + 1, roots, cache=cache)) == "certificate-expired"
    start_ms = NOW_MS - 5_400_000
    early = lambda: verify(data, ANY, NOW_MS, roots, as_of=start_ms - 1, cache=cache)  # noqa: E731
    assert refusal(early) == "certificate-not-yet-valid"


def test_cached_chain_counts_under_its_own_root_only() -> None:
    cache, data = ChainCache(), pki.document()
    verify(data, ANY, NOW_MS, [pki.root()], cache=cache)
    assert refusal(lambda: verify(data, ANY, NOW_MS, [AMAZON], cache=cache)) == "root-untrusted"


def test_cached_chain_says_nothing_about_another_certificate() -> None:
    cache, good = ChainCache(), pki.good_chain()
    verify_chain(good, cache)
    forged = pki.chain(defective(ENCLAVE, signer="stranger"))[ENCLAVE]
    assert refusal(lambda: verify_chain((*good[:-1], forged), cache)) == "certificate-issuer"
    assert refusal(lambda: verify_chain((*good[:-1], forged), cache)) == "certificate-issuer"


def test_proven_enclave_certificate_does_not_become_an_authority() -> None:
    """What the cache knows as the end of a chain must not pass as the middle of a longer one."""
    cache = ChainCache()
    longer = pki.chain((*UNLIMITED, ATTACKER))
    verify_chain(longer[:-1], cache)
    assert refusal(lambda: verify_chain(longer, cache)) == "certificate-authority"


def test_proven_authority_does_not_become_an_enclave() -> None:
    cache, good = ChainCache(), pki.good_chain()
    verify_chain(good, cache)
    assert refusal(lambda: verify_chain(good[:-1], cache)) == "certificate-authority"


def test_cache_is_bounded() -> None:
    assert limits.MAX_VERIFIED_CHAINS == 64
    cache, good = ChainCache(capacity=3), pki.good_chain()
    for _ in range(5):
        verify_chain((*good[:-1], pki.chain()[ENCLAVE]), cache)
    assert len(cache.enclaves) == len(cache.authorities) == 3


def test_cached_path_is_not_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from attestation import chain

    cache = ChainCache()
    first = verify_chain(pki.good_chain(), cache)
    monkeypatch.setattr(chain, "parse_certificate", lambda _: pytest.fail("read again"))
    assert verify_chain(pki.good_chain(), cache) is first


def revocation_list(
    place: int, revoked: tuple[int, ...] = (), signer: str = "", age: timedelta = timedelta(0)
) -> bytes:
    """A list of the authority at `place` that revokes the certificates at the places `revoked`."""
    name = SPECS[place].name
    builder = x509.CertificateRevocationListBuilder().issuer_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    builder = builder.last_update(NOW - timedelta(hours=1) - age).next_update(NOW + timedelta(hours=1) - age)
    for victim in revoked:
        serial = x509.load_der_x509_certificate(pki.good_chain()[victim]).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(hours=2) - age)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(pki.key(signer or name), hashes.SHA384()).public_bytes(serialization.Encoding.DER)


def with_lists(*lists: bytes) -> Any:
    return verify(pki.document(), AllOf((ANY, NotRevoked(lists))), NOW_MS, [pki.root()])


def test_at19_list_that_does_not_name_the_chain_is_enforced_and_reported() -> None:
    texts = [finding.text for finding in with_lists(revocation_list(ROOT), revocation_list(ZONAL)).findings]
    assert "no certificate is revoked, as far as the lists go (2 of 4)" in texts
    pem = x509.load_der_x509_crl(revocation_list(ROOT)).public_bytes(serialization.Encoding.PEM)
    with_lists(pem)


@pytest.mark.parametrize("place", [ROOT, REGIONAL, ZONAL, INSTANCE])
def test_at19_revoked_certificate_is_refused(place: int) -> None:
    assert refusal(lambda: with_lists(revocation_list(place, (place + 1,)))) == "certificate-revoked"


@pytest.mark.parametrize(
    "lists",
    [
        (),
        (revocation_list(ROOT, signer="stranger"),),
        (revocation_list(ROOT, age=timedelta(hours=2)),),
        (revocation_list(ROOT, age=-timedelta(hours=2)),),
        (revocation_list(ENCLAVE),),
    ],
    ids=["none", "forged", "stale", "not yet", "of no authority"],
)
def test_at19_list_that_says_nothing_counts_for_nothing(lists: tuple[bytes, ...]) -> None:
    assert refusal(lambda: with_lists(*lists)) == "revocation-unknown"


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\x30\x00", b"-----BEGIN X509 CRL-----", revocation_list(ROOT).replace(b"root", b"r\xff\xfft")]
)
def test_at19_unreadable_list_is_refused(data: bytes) -> None:
    assert refusal(lambda: with_lists(data)) == "policy-malformed"


def test_at19_unreadable_or_oversized_list_is_refused() -> None:
    with pytest.raises(AttestationError) as caught:
        with_lists(bytes(limits.MAX_REVOCATION_LIST_BYTES + 1))
    assert caught.value.detail == "revocation list too large"
    with pytest.raises(AttestationError) as caught:
        with_lists(bytes(limits.MAX_REVOCATION_LIST_BYTES))
    assert caught.value.detail == "revocation list"


def test_at19_list_of_an_unknown_version_is_refused_like_any_other() -> None:
    """The library has an exception of its own for this."""
    data = revocation_list(ROOT).replace(b"\x02\x01\x01", b"\x02\x01\x03", 1)
    assert refusal(lambda: with_lists(data)) == "policy-malformed"
