"""KM-04: the reader takes the shape of genuine KMS answers and nothing else."""

import contextlib
import hashlib
import json
from typing import Any

import pytest
from asn1crypto import cms as oracle
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from enclave.errors import KmsError
from enclave.kms.cms import EnvelopedData, parse_enveloped_data
from enclave.kms.recipient import open_content
from protocol import limits
from tests import vectors
from tests.enclave_kms.envelopes import END, NULL, OID_MGF1, OID_SHA256, Parts, ber, der

SHA1 = bytes.fromhex("06052b0e03021a")
SHA512 = bytes.fromhex("0609608648016503040203")
GENUINE = ["kms-ber-constructed-48.bin", "kms-ber-primitive-16.bin", "kms-ber-constructed-32-known-cek.bin"]


def genuine(name: str) -> tuple[bytes, dict[str, Any]]:
    folder = vectors.folder("cms")
    index = json.loads((folder / "index.json").read_text())
    return (folder / name).read_bytes(), next(entry for entry in index if entry["file"] == name)


def refused(data: bytes) -> None:
    with pytest.raises(KmsError) as caught:
        parse_enveloped_data(data)
    assert caught.value.code == "kms-envelope"


@pytest.mark.parametrize("name", GENUINE)
def test_genuine_answer_is_read(name: str) -> None:
    data, entry = genuine(name)
    parsed = parse_enveloped_data(data)
    assert hashlib.sha256(parsed.encrypted_key).hexdigest() == entry["encrypted_key_sha256"]
    assert parsed.iv.hex() == entry["iv"]
    assert parsed.ciphertext.hex() == entry["ciphertext"]


def test_genuine_answer_with_published_content_key_opens() -> None:
    data, entry = genuine("kms-ber-constructed-32-known-cek.bin")
    expected = entry["plaintext_utf8"].encode()
    key = bytearray.fromhex(entry["content_encryption_key"])
    with open_content(key, parse_enveloped_data(data), len(expected)) as secret:
        assert bytes(secret.view) == expected


@pytest.mark.parametrize("name", GENUINE)
def test_second_reader_agrees(name: str) -> None:
    data, _ = genuine(name)
    enveloped = oracle.ContentInfo.load(data, strict=True)["content"]
    content = enveloped["encrypted_content_info"]
    assert parse_enveloped_data(data) == EnvelopedData(
        enveloped["recipient_infos"][0].chosen["encrypted_key"].native,
        content["content_encryption_algorithm"]["parameters"].native,
        content["encrypted_content"].native,
    )


@pytest.mark.parametrize("name", GENUINE)
def test_each_structural_bit_of_a_genuine_answer_matters(name: str) -> None:
    data, _ = genuine(name)
    parsed = parse_enveloped_data(data)
    opaque = bytearray(len(data))
    for value in (parsed.encrypted_key, parsed.iv, parsed.ciphertext):
        start = data.index(value)
        opaque[start : start + len(value)] = b"\1" * len(value)
    key_id = data.index(b"\x80\x20") + 2
    opaque[key_id : key_id + 32] = b"\1" * 32
    for offset in (i for i, free in enumerate(opaque) if not free):
        for bit in range(8):
            changed = bytearray(data)
            changed[offset] ^= 1 << bit
            refused(bytes(changed))


@pytest.mark.parametrize("name", GENUINE)
def test_each_truncation_and_trailing_byte_is_refused(name: str) -> None:
    data, _ = genuine(name)
    for size in range(len(data)):
        refused(data[:size])
    refused(data + b"\0")
    refused(data + END)


def test_built_envelope_has_the_shape_of_a_genuine_one() -> None:
    data, entry = genuine("kms-ber-constructed-48.bin")
    parsed = parse_enveloped_data(data)
    parts = Parts(parsed.encrypted_key, parsed.iv, parsed.ciphertext, key_id=der(0x80, bytes.fromhex(entry["rid_ski"])))
    assert parts.encode() == data


ALTERED = {
    "content type": Parts(kind=bytes.fromhex("06092a864886f70d010702")),
    "version 0": Parts(version=b"\x02\x01\x00"),
    "version in two bytes": Parts(version=b"\x02\x02\x00\x02"),
    "recipient version 0": Parts(recipient_version=b"\x02\x01\x00"),
    "key id of 20 bytes": Parts(key_id=der(0x80, b"\x44" * 20)),
    "issuer and serial number": Parts(key_id=der(0x30, der(0x30, b"") + b"\x02\x01\x01")),
    "two recipients": Parts(recipients=2),
    "no recipient": Parts(recipients=0),
    "PKCS #1 v1.5": Parts(oaep=bytes.fromhex("06092a864886f70d010101")),
    "OAEP with SHA-1": Parts(oaep_hash=der(0xA0, der(0x30, SHA1 + NULL))),
    "OAEP with SHA-512": Parts(oaep_hash=der(0xA0, der(0x30, SHA512 + NULL))),
    "OAEP hash without NULL": Parts(oaep_hash=der(0xA0, der(0x30, OID_SHA256))),
    "MGF1 with SHA-1": Parts(mgf=der(0xA1, der(0x30, OID_MGF1 + der(0x30, SHA1 + NULL)))),
    "OAEP with a label": Parts(label=der(0xA2, der(0x30, bytes.fromhex("06092a864886f70d010109") + der(4, b"x")))),
    "encrypted key of 384 bytes": Parts(encrypted_key=b"\x11" * 384),
    "encrypted key of 255 bytes": Parts(encrypted_key=b"\x11" * 255),
    "inner content type": Parts(content_kind=bytes.fromhex("06092a864886f70d010702")),
    "AES-128": Parts(cipher=bytes.fromhex("0609608648016503040102")),
    "AES-256-GCM": Parts(cipher=bytes.fromhex("060960864801650304012e")),
    "IV of 12 bytes": Parts(iv=b"\x22" * 12),
    "half a block": Parts(ciphertext=b"\x33" * 40),
    "no ciphertext": Parts(ciphertext=b""),
    "no chunk": Parts(content=ber(0xA0, b"")),
    "no content": Parts(content=b""),
    "definite constructed content": Parts(content=der(0xA0, der(0x04, b"\x33" * 48))),
    "chunk of another type": Parts(content=ber(0xA0, der(0x04, b"\x33" * 16) + der(0x0C, b"\x33" * 16))),
    "constructed chunk": Parts(content=ber(0xA0, ber(0x24, der(0x04, b"\x33" * 48)))),
    "length not minimal": Parts(content=b"\x80\x81\x30" + b"\x33" * 48),
}


@pytest.mark.parametrize("what", ALTERED)
def test_altered_envelope_is_refused(what: str) -> None:
    refused(ALTERED[what].encode())


@pytest.mark.parametrize("where", ["info", "wrapper", "enveloped", "recipient", "content", "cipher"])
def test_element_left_over_is_refused_wherever_it_is(where: str) -> None:
    assert parse_enveloped_data(Parts().encode())
    refused(Parts(tail=where).encode())


def test_content_in_chunks_and_primitive_content_are_read() -> None:
    text = bytes(range(48))
    chunks = Parts(content=ber(0xA0, der(0x04, text[:20]) + der(0x04, text[20:])))
    assert parse_enveloped_data(chunks.encode()).ciphertext == text
    assert parse_enveloped_data(Parts(content=der(0x80, text)).encode()).ciphertext == text


def test_pure_der_is_refused() -> None:
    parts = Parts()
    content = der(0x30, parts.content_kind + der(0x30, parts.cipher + der(4, parts.iv)) + der(0x80, parts.ciphertext))
    body = der(0x30, parts.version + der(0x31, parts.recipient()) + content)
    data = der(0x30, parts.kind + der(0xA0, body))
    assert oracle.ContentInfo.load(data, strict=True)["content"]["version"].native == "v2", "well-formed otherwise"
    refused(data)


def test_size_at_cap_passes_and_one_more_is_refused() -> None:
    def envelope(small_chunks: int, chunk: int) -> bytes:
        sizes = [*[1] * small_chunks, chunk, 560 - chunk - small_chunks]
        return Parts(content=ber(0xA0, b"".join(der(0x04, b"\x33" * size) for size in sizes))).encode()

    at_cap, above = envelope(7, 200), envelope(8, 100)
    assert (len(at_cap), len(above)) == (limits.MAX_KMS_ENVELOPE_BYTES, limits.MAX_KMS_ENVELOPE_BYTES + 1)
    assert parse_enveloped_data(at_cap).ciphertext == b"\x33" * 560
    refused(above)


@pytest.mark.parametrize("data", [b"", b"0", b"0\x80" * 400, b"\xa0\x80" * 400, b"0\x84\xff\xff\xff\xff", b"\x3f" * 40])
def test_deep_short_and_boastful_input_is_refused(data: bytes) -> None:
    refused(data)


@hypothesis_settings(max_examples=200)
@given(st.binary(max_size=limits.MAX_KMS_ENVELOPE_BYTES + 1))
def test_random_bytes_are_refused(data: bytes) -> None:
    refused(data)


@hypothesis_settings(max_examples=200)
@given(st.data())
def test_spliced_envelopes_give_a_value_or_one_error(data: st.DataObject) -> None:
    whole = Parts().encode()
    start, stop = sorted((data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))))
    spliced = whole[:start] + data.draw(st.binary(max_size=8)) + whole[stop:]
    with contextlib.suppress(KmsError):
        assert len(parse_enveloped_data(spliced).encrypted_key) == 256
