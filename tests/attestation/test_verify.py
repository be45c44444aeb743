"""The verifier as a whole: signatures, time, and who may say "verified" (AT-04, AT-10, AT-12, AT-13, AT-15 to 17)."""

import copy
import dataclasses
import inspect
import pickle
import time
import tracemalloc
from typing import Any

import cbor2
import pytest

from attestation import cose, errors, pcr
from attestation.bundle import VerifiedBundle
from attestation.chain import ChainCache
from attestation.document import AttestationDocument, parse_attestation_document
from attestation.errors import AttestationError
from attestation.policy import AllOf, AnyImage, Aspect, Finding, Nonce
from attestation.receipt import VerifiedReceipt
from attestation.roots import AMAZON, TrustRoot
from attestation.session import VerifiedSessionAttestation
from attestation.verify import VerifiedDocument, verify
from protocol import limits
from tests.attestation import pki
from tests.attestation.pki import NOW_MS, DocumentParts, payload_fields

ANY = AnyImage()


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(AttestationError) as caught:
        verify(*args, **options)
    return caught.value.code


@pytest.mark.parametrize("zeros", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_at12_any_zero_image_register_means_debug(zeros: tuple[int, ...]) -> None:
    pcrs = payload_fields()["pcrs"] | dict.fromkeys(zeros, pcr.ZERO)
    data = pki.document(pcrs=pcrs)
    assert refusal(data, ANY, NOW_MS, [pki.root()]) == "debug-mode"

    class Careless:
        """A policy of somebody who forgot about debug mode."""

        def validate(self, *_: Any) -> tuple[Any, ...]:
            return (Finding(Aspect.IMAGE, "looks fine"),)

    assert refusal(data, Careless(), NOW_MS, [pki.root()]) == "debug-mode"


def test_policy_without_a_word_on_the_image_is_refused() -> None:
    data = pki.document(nonce=b"n")
    assert refusal(data, AllOf(()), NOW_MS, [pki.root()]) == "policy-image"
    assert refusal(data, Nonce(b"n"), NOW_MS, [pki.root()]) == "policy-image"


def test_module_id_that_contradicts_pcr4_is_refused() -> None:
    for module_id in ("i-0123456789abcdef1-enc0123456789abcdef", "i-0123456789abcdef-enc1", "enc0123456789abcdef"):
        assert refusal(pki.document(module_id=module_id), ANY, NOW_MS, [pki.root()]) == "document-module"
    other = payload_fields()["pcrs"] | {4: pcr.ZERO}
    assert refusal(pki.document(pcrs=other), ANY, NOW_MS, [pki.root()]) == "document-module"


def test_at04_high_s_and_low_s_are_both_genuine() -> None:
    payload = cbor2.dumps(payload_fields())
    signature = pki.sign(payload)
    s = int.from_bytes(signature[48:], "big")
    for value in (s, cose.ES384.order - s):
        data = DocumentParts(payload, signature=signature[:48] + value.to_bytes(48, "big")).encode()
        verify(data, ANY, NOW_MS, [pki.root()])


def test_at04_numbers_outside_the_group_are_refused() -> None:
    payload = cbor2.dumps(payload_fields())
    good = pki.sign(payload)
    order = cose.ES384.order.to_bytes(48, "big")
    for bad in (bytes(48), order, b"\xff" * 48):
        for signature in (bad + good[48:], good[:48] + bad):
            data = DocumentParts(payload, signature=signature).encode()
            assert refusal(data, ANY, NOW_MS, [pki.root()]) == "cose-signature-form"


def test_signature_of_another_key_of_the_chain_is_refused() -> None:
    payload = cbor2.dumps(payload_fields())
    for signer in ("root", "instance", "stranger"):
        data = DocumentParts(payload, signature=pki.sign(payload, signer=pki.key(signer))).encode()
        assert refusal(data, ANY, NOW_MS, [pki.root()]) == "cose-signature"


def test_signature_over_another_structure_is_refused() -> None:
    """Neither the bare payload nor another protected header counts."""
    payload = cbor2.dumps(payload_fields())
    data = DocumentParts(payload, signature=pki.sign(payload, protected=b"")).encode()
    assert refusal(data, ANY, NOW_MS, [pki.root()]) == "cose-signature"


# --- time (AT-10) ---


def test_at10_document_from_the_future_is_refused() -> None:
    skew = limits.MAX_FUTURE_SKEW_MS
    assert verify(pki.document(timestamp=NOW_MS + skew), ANY, NOW_MS, [pki.root()])
    assert refusal(pki.document(timestamp=NOW_MS + skew + 1), ANY, NOW_MS, [pki.root()]) == "document-future"


def test_at10_archived_document_needs_an_explicit_time_and_is_labelled() -> None:
    later = NOW_MS + 365 * 86_400_000
    data = pki.document()
    assert refusal(data, ANY, later, [pki.root()]) == "certificate-expired"
    verified = verify(data, ANY, later, [pki.root()], as_of="document")
    assert verified.is_archived
    assert (verified.as_of_ms, verified.now_ms) == (NOW_MS, later)
    assert verify(data, ANY, later, [pki.root()], as_of=NOW_MS + 1000).as_of_ms == NOW_MS + 1000
    assert refusal(data, ANY, later, [pki.root()], as_of=NOW_MS - 60_001) == "document-future"
    assert refusal(data, ANY, NOW_MS - 120_000, [pki.root()], as_of="document") == "document-future"


# --- who may say "verified" (AT-13, AT-15, AT-16) ---


def test_at16_verifiers_raise_or_return_a_type_of_their_own() -> None:
    for function in (verify, cose.verify_sign1):
        assert inspect.signature(function).return_annotation not in (bool, "bool")
    for kind in (VerifiedDocument, VerifiedSessionAttestation, VerifiedReceipt, VerifiedBundle, AttestationDocument):
        names = [field.name for field in dataclasses.fields(kind)]
        with pytest.raises(TypeError):
            kind(**dict.fromkeys(names))
        with pytest.raises(TypeError):
            kind(**dict.fromkeys(names), mint=object())


def test_at16_verdict_cannot_be_copied_changed_or_stored() -> None:
    verified = verify(pki.document(), ANY, NOW_MS, [pki.root()])
    for attempt in (
        lambda: copy.copy(verified),
        lambda: copy.deepcopy(verified),
        lambda: pickle.dumps(verified),
        lambda: dataclasses.replace(verified, root=AMAZON),
    ):
        with pytest.raises((TypeError, ValueError)):
            attempt()
    with pytest.raises(dataclasses.FrozenInstanceError):
        verified.root = AMAZON  # type: ignore[misc]


def test_at13_verifier_takes_nothing_from_the_channel_but_the_document() -> None:
    parameters = set(inspect.signature(verify).parameters)
    assert parameters == {"document", "policy", "now_ms", "roots", "as_of", "cache"}


def test_at15_keys_are_reachable_from_verified_documents_only() -> None:
    assert not hasattr(AttestationDocument, "binding")
    assert hasattr(VerifiedDocument, "binding")


def test_error_codes_are_a_closed_list() -> None:
    with pytest.raises(ValueError, match="invented"):
        AttestationError("invented")
    error = AttestationError("nonce-missing", "detail")
    assert (error.code, pickle.loads(pickle.dumps(error)).text) == ("nonce-missing", error.text)  # noqa: S301
    assert all(text.endswith(".") and len(text) < 200 for text in errors.TEXTS.values())


LARGEST = DocumentParts(
    cbor2.dumps(payload_fields(public_key=bytes(1024), user_data=bytes(1024), nonce=bytes(1024)))
).encode()


def hostile_inputs() -> dict[str, bytes]:
    cap = limits.MAX_ATTESTATION_DOCUMENT_BYTES
    specs = [pki.Spec(f"authority {n}", pki.SPECS[0].life) for n in range(7)]
    return {
        "far too large": bytes(50_000_000),
        "largest genuine shape": LARGEST,
        "nested arrays": b"\x81" * cap,
        "nested maps": b"\xa1\x01" * (cap // 2),
        "claims 2^63 bytes": b"\x84\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        "claims 2^63 items": b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff" + bytes(cap - 9),
        "many small items": b"\x99\x3f\xf0" + bytes(cap - 3)[:0x3FF0],
        "many empty strings": DocumentParts(b"\xbf" + b"\x60\x60" * 8000 + b"\xff", signature=bytes(96)).encode(),
        "colliding keys": DocumentParts(
            cbor2.dumps({n * (2**61 - 1): 0 for n in range(1500)}), signature=bytes(96)
        ).encode(),
        "longest chain": pki.document(pki.chain((pki.SPECS[0], *specs, pki.SPECS[4]))),
    }


@pytest.mark.parametrize("name", hostile_inputs())
def test_at17_any_input_is_answered_in_50_ms_and_16_mib(name: str) -> None:
    data = hostile_inputs()[name]
    root = TrustRoot("test", pki.good_chain()[0])

    def attempt() -> None:
        try:
            chain_root = TrustRoot("own", parse_attestation_document(data).certificates[0])
            verify(data, ANY, NOW_MS, [root, chain_root], cache=ChainCache())
        except AttestationError:
            pass

    times = []
    for _ in range(5):
        start = time.process_time()
        attempt()
        times.append(time.process_time() - start)
    assert min(times) < 0.050
    tracemalloc.start()
    try:
        attempt()
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
