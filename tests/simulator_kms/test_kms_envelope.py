"""The envelope: byte for byte the shape of genuine answers, and readable by a CMS reader that is not ours (KM-04)."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from enclave.kms.recipient import RecipientKey
from simulator.kms.envelope import ContentForm, encode_envelope, seal_envelope
from tests import vectors
from tests.simulator_kms.envelope_reader import open_envelope, read

KEY = rsa.generate_private_key(65537, 2048)


def genuine() -> list[tuple[str, bytes]]:
    folder = vectors.FOLDER / "cms"
    index = folder / "index.json"
    names = [entry["file"] for entry in json.loads(index.read_text())] if index.is_file() else []
    return [(name, (folder / name).read_bytes()) for name in names]


@pytest.mark.parametrize(("name", "answer"), genuine())
def test_genuine_answer_is_rebuilt_byte_for_byte_from_its_parts(name: str, answer: bytes) -> None:
    form = ContentForm.PRIMITIVE if "primitive" in name else ContentForm.CONSTRUCTED
    assert encode_envelope(**read(answer), form=form) == answer


def test_genuine_answers_are_at_hand() -> None:
    vectors.folder("cms")
    assert len(genuine()) == 3


@pytest.mark.parametrize(
    ("form", "sizes"), [(ContentForm.PRIMITIVE, (457, 473)), (ContentForm.CONSTRUCTED, (461, 477))]
)
def test_sizes_are_those_of_genuine_answers(form: ContentForm, sizes: tuple[int, int]) -> None:
    assert (
        len(seal_envelope(KEY.public_key(), b"x" * 15, form)),
        len(seal_envelope(KEY.public_key(), b"x" * 16, form)),
    ) == sizes


@pytest.mark.parametrize("form", list(ContentForm))
@pytest.mark.parametrize("size", [1, 15, 16, 32, 127, 128, 1024, 4096])
def test_independent_reader_opens_what_was_sealed(form: ContentForm, size: int) -> None:
    secret = bytes(range(256)) * 16
    assert open_envelope(seal_envelope(KEY.public_key(), secret[:size], form), KEY) == secret[:size]


def test_content_in_several_strings_reads_the_same() -> None:
    envelope = seal_envelope(KEY.public_key(), b"k" * 32, chunk_bytes=16)
    assert open_envelope(envelope, KEY) == b"k" * 32
    assert len(envelope) == 493 + 4


@pytest.mark.parametrize("bits", [3072, 4096])
def test_larger_recipient_keys_work(bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    assert open_envelope(seal_envelope(key.public_key(), b"s" * 32), key) == b"s" * 32


@pytest.mark.parametrize("form", list(ContentForm))
def test_enclave_opens_what_the_simulator_seals(form: ContentForm) -> None:
    recipient = RecipientKey()
    public_key = load_der_public_key(recipient.public_key)
    assert isinstance(public_key, rsa.RSAPublicKey)
    with recipient.unwrap(seal_envelope(public_key, b"k" * 32, form)) as secret:
        assert secret.view == b"k" * 32


def test_another_key_opens_nothing() -> None:
    other = rsa.generate_private_key(65537, 2048)
    with pytest.raises(ValueError):
        open_envelope(seal_envelope(KEY.public_key(), b"s" * 32), other)
