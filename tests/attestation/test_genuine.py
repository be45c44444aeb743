"""Genuine documents of several years and regions, and alterations of them (the vectors; AT-04, AT-12, AT-17)."""

import json
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from attestation.cose import ES384
from attestation.document import parse_attestation_document
from attestation.errors import AttestationError
from attestation.policy import AnyImage, AnyOf, DebugImage
from attestation.roots import AMAZON
from attestation.verify import verify
from tests.vectors import folder

FOLDER = folder("attestation")
ANY = AnyImage()
EITHER = AnyOf((AnyImage(), DebugImage()))
TODAY_MS = 1_795_000_000_000


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(AttestationError) as caught:
        verify(*args, **options)
    return caught.value.code


def milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


@cache
def index() -> dict[str, Any]:
    return {row["name"]: row for row in json.loads((FOLDER / "index.json").read_text())["documents"]}


def vector(name: str) -> bytes:
    return (FOLDER / index()[name]["file"]).read_bytes()


VALID = sorted(name for name, row in index().items() if row["expected_at_own_time"] == "valid")
INVALID = {
    "neg-fortanix-tampered-signature": "cose-signature",
    "neg-oyster-custom-root": "root-untrusted",
    "neg-qemu-shape-synthetic": "document-algorithm",
    "neg-vaportpm-nitrotpm": "document-nitrotpm",
    "neg-veracruz-bad-signature": "cose-signature",
}


@pytest.mark.parametrize("name", VALID)
def test_genuine_document_verifies_at_its_own_time_and_says_what_it_says(name: str) -> None:
    row = index()[name]
    verified = verify(vector(name), EITHER, row["timestamp_ms"])
    document = verified.document
    assert verified.root == AMAZON
    assert not verified.is_archived
    assert (document.module_id, document.timestamp_ms) == (row["module_id"], row["timestamp_ms"])
    assert {str(number): value.hex() for number, value in document.pcrs.items()} == row["pcrs"]
    assert document.is_debug == row["debug_mode"]
    assert len(document.certificates) == row["chain_len"]
    for field in ("public_key", "user_data", "nonce"):
        value = getattr(document, field)
        assert (None if value is None else len(value)) == row[f"{field}_len"]


@pytest.mark.parametrize("name", VALID)
def test_genuine_document_is_expired_one_second_after_its_window(name: str) -> None:
    end_ms = milliseconds(index()[name]["chain_valid_to"])
    verify(vector(name), EITHER, end_ms)
    assert refusal(vector(name), EITHER, end_ms + 1000) == "certificate-expired"
    start_ms = milliseconds(index()[name]["chain_valid_from"])
    assert refusal(vector(name), EITHER, start_ms - 1000) == "certificate-not-yet-valid"


@pytest.mark.parametrize(("name", "code"), INVALID.items())
def test_foreign_or_altered_document_is_refused_with_its_reason(name: str, code: str) -> None:
    assert refusal(vector(name), EITHER, TODAY_MS, as_of=index()[name].get("timestamp_ms")) == code


def test_every_vector_has_a_test() -> None:
    assert {*VALID, *INVALID} == set(index())


@pytest.mark.parametrize("name", [name for name in VALID if index()[name]["debug_mode"]])
def test_at12_debug_document_is_refused_unless_the_policy_names_debug(name: str) -> None:
    now_ms = index()[name]["timestamp_ms"]
    assert refusal(vector(name), ANY, now_ms) == "debug-mode"
    verify(vector(name), DebugImage(), now_ms)


def test_at04_genuine_signatures_with_high_s_pass() -> None:
    high = [name for name in VALID if int.from_bytes(vector(name)[-48:], "big") > ES384.order // 2]
    assert high
    for name in high:
        verify(vector(name), EITHER, index()[name]["timestamp_ms"])


def test_at07_embedded_root_is_the_published_one() -> None:
    assert (FOLDER / "aws-nitro-root-g1.der").read_bytes() == AMAZON.der


@pytest.mark.parametrize("name", ["dstack-2025-12-indef-a", "veracruz-2022-11"])
def test_at17_every_flipped_bit_is_refused(name: str, seed: int) -> None:
    """All bits around the payload, and a spread inside that moves with the seed: all of those are one signature's."""
    stride = 7
    data, now_ms = vector(name), index()[name]["timestamp_ms"]
    payload = parse_attestation_document(data).sign1.payload
    first = data.index(payload) * 8
    last = first + len(payload) * 8
    bits = [*range(first), *range(first + seed % stride, last, stride), *range(last, len(data) * 8)]
    for bit in bits:
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << (bit % 8)
        assert refusal(bytes(altered), EITHER, now_ms)


@pytest.mark.parametrize("length", [0, 1, 2, 4, 5, 100, 1000, 4000, -1, -2, -96, -97])
def test_at17_truncated_document_is_refused(length: int) -> None:
    name = "dstack-2025-12-indef-a"
    assert refusal(vector(name)[:length], EITHER, index()[name]["timestamp_ms"]) == "cose-malformed"
