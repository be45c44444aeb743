"""COSE_Sign1 in our profile. Every case runs a second time through pycose, the independent implementation."""

import sys
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from attestation import cose
from attestation.cose import (
    ES256,
    ES256K,
    ES384,
    Algorithm,
    Sign1,
    encode_sign1,
    parse_sign1,
    sig_structure,
    verify_sign1,
)
from attestation.cross_check import cross_check, cross_check_document
from attestation.document import parse_attestation_document
from attestation.errors import AttestationError
from protocol import cbor
from tests.attestation import pki

ALGORITHMS = {"ES384": ES384, "ES256": ES256, "ES256K": ES256K}
PAYLOAD = b"payload"
Verifier = Callable[[Sign1, Algorithm, ec.EllipticCurvePublicKey], None]


@pytest.fixture(params=["ours", "pycose"])
def verifier(request: pytest.FixtureRequest) -> Verifier:
    """Both implementations, in the same cases."""
    if request.param == "ours":
        return verify_sign1
    pytest.importorskip("pycose")
    return cross_check


def private_key(algorithm: Algorithm, seed: int = 7) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(seed, algorithm.curve)


def signed(algorithm: Algorithm, seed: int = 7, payload: bytes = PAYLOAD) -> Sign1:
    protected = cbor.dumps({1: algorithm.cose_id})
    der = private_key(algorithm, seed).sign(sig_structure(protected, payload), algorithm.ecdsa)
    r, s = decode_dss_signature(der)
    s = min(s, algorithm.order - s)
    return Sign1(protected, payload, r.to_bytes(algorithm.width, "big") + s.to_bytes(algorithm.width, "big"))


def refused(verifier: Verifier, sign1: Sign1, algorithm: Algorithm, seed: int = 7) -> str:
    with pytest.raises(AttestationError) as caught:
        verifier(sign1, algorithm, private_key(algorithm, seed).public_key())
    return caught.value.code


@pytest.mark.parametrize("name", ALGORITHMS)
def test_right_signature_is_accepted(name: str, verifier: Verifier) -> None:
    algorithm = ALGORITHMS[name]
    verifier(signed(algorithm), algorithm, private_key(algorithm).public_key())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_altered_payload_header_signature_or_key_is_refused(name: str, verifier: Verifier) -> None:
    algorithm = ALGORITHMS[name]
    right = signed(algorithm)
    flipped = right.signature[:-1] + bytes([right.signature[-1] ^ 1])
    alterations = [
        Sign1(right.protected, PAYLOAD + b"x", right.signature),
        Sign1(right.protected, b"", right.signature),
        Sign1(right.protected, PAYLOAD, flipped),
        Sign1(cbor.dumps({1: algorithm.cose_id, 4: b"k"}), PAYLOAD, right.signature),
    ]
    for altered in alterations:
        assert refused(verifier, altered, algorithm) in ("cose-signature", "cross-check-disagrees")
    assert refused(verifier, right, algorithm, seed=8) in ("cose-signature", "cross-check-disagrees")


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("change", [-1, 1, -64, 8])
def test_at04_signature_of_another_length_is_refused(name: str, change: int, verifier: Verifier) -> None:
    algorithm = ALGORITHMS[name]
    right = signed(algorithm)
    signature = right.signature[:change] if change < 0 else right.signature + bytes(change)
    altered = Sign1(right.protected, PAYLOAD, signature)
    assert refused(verifier, altered, algorithm) in ("cose-signature-form", "cross-check-disagrees")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_numbers_outside_the_group_are_refused(name: str) -> None:
    algorithm = ALGORITHMS[name]
    right, width = signed(algorithm), algorithm.width
    for number in (0, algorithm.order, 2 ** (8 * width) - 1):
        bad = number.to_bytes(width, "big")
        for signature in (bad + right.signature[width:], right.signature[:width] + bad):
            altered = Sign1(right.protected, PAYLOAD, signature)
            assert refused(verify_sign1, altered, algorithm) == "cose-signature-form"


def test_orders_are_those_of_the_curves() -> None:
    """The last multiple of the generator is the generator with the other y."""
    for algorithm in ALGORITHMS.values():
        one = private_key(algorithm, 1).public_key().public_numbers()
        last = ec.derive_private_key(algorithm.order - 1, algorithm.curve).public_key().public_numbers()
        assert (last.x, last.y != one.y) == (one.x, True)


def test_key_of_another_curve_is_refused() -> None:
    with pytest.raises(AttestationError) as caught:
        verify_sign1(signed(ES384), ES384, private_key(ES256).public_key())
    assert caught.value.code == "key-malformed"


def test_sig_structure_is_the_standard_one() -> None:
    """RFC 9052 4.4, byte by byte."""
    assert sig_structure(b"\xa1\x01\x26", b"p") == b"\x84\x6aSignature1\x43\xa1\x01\x26\x40\x41p"
    pycose = pytest.importorskip("pycose.messages")
    message = pycose.Sign1Message.from_cose_obj([cose.ES384_PROTECTED, {}, PAYLOAD, b""], True)
    assert message._create_sig_structure() == sig_structure(cose.ES384_PROTECTED, PAYLOAD)


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 65_535, 65_536])
def test_byte_strings_are_encoded_as_the_library_does(length: int) -> None:
    value = bytes(length)
    assert sig_structure(value, value) == cbor2.dumps(["Signature1", value, b"", value])
    assert encode_sign1(value, value, value) == cbor2.dumps([value, {}, value, value])
    assert encode_sign1(value, value, value, tagged=True) == cbor2.dumps(cbor2.CBORTag(18, [value, {}, value, value]))


@pytest.mark.parametrize("tagged", [True, False])
def test_encoding_and_parsing_are_inverse(tagged: bool) -> None:
    data = encode_sign1(b"h", PAYLOAD, b"s", tagged=tagged)
    assert parse_sign1(data, max_bytes=100, tag_allowed=True) == Sign1(b"h", PAYLOAD, b"s")
    assert data[0] == (0xD2 if tagged else 0x84)
    if tagged:
        with pytest.raises(AttestationError):
            parse_sign1(data, max_bytes=100)


def test_size_at_the_cap_passes_and_one_byte_more_is_refused() -> None:
    data = encode_sign1(b"h", PAYLOAD, b"s")
    parse_sign1(data, max_bytes=len(data))
    with pytest.raises(AttestationError):
        parse_sign1(data, max_bytes=len(data) - 1)


def test_document_is_cross_checked() -> None:
    pytest.importorskip("pycose")
    cross_check_document(parse_attestation_document(pki.document()))
    forged = pki.DocumentParts(pki.cbor2.dumps(pki.payload_fields()), signature=b"\x01" * 96).encode()
    with pytest.raises(AttestationError) as caught:
        cross_check_document(parse_attestation_document(forged))
    assert caught.value.code == "cross-check-disagrees"


def test_absent_second_implementation_is_said_and_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycose.messages", None)
    with pytest.raises(AttestationError) as caught:
        cross_check_document(parse_attestation_document(pki.document()))
    assert caught.value.code == "cross-check-unavailable"


def test_implementations_that_disagree_are_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: Any = pytest.importorskip("pycose.messages")
    monkeypatch.setattr(messages.Sign1Message, "_create_sig_structure", lambda _: b"other")
    with pytest.raises(AttestationError) as caught:
        cross_check(signed(ES256K), ES256K, private_key(ES256K).public_key())
    assert caught.value.code == "cross-check-disagrees"
