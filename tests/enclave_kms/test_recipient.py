"""KM-03 and KM-05: the recipient key opens KMS answers, and every other outcome looks the same."""

import copy
import os
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import load_der_public_key

from enclave.errors import KmsError
from enclave.kms import recipient
from enclave.kms.recipient import RecipientKey
from tests.enclave_kms.envelopes import Parts, seal_to

KEY = RecipientKey()
OTHER_BOOT = RecipientKey()
PLAIN = bytes(range(32))


def public(key: RecipientKey) -> RSAPublicKey:
    loaded = load_der_public_key(key.public_key)
    assert isinstance(loaded, RSAPublicKey)
    return loaded


def test_public_key_is_rsa_2048_and_new_at_each_boot() -> None:
    assert public(KEY).key_size == 2048
    assert public(KEY).public_numbers().e == 65537
    assert KEY.public_key != OTHER_BOOT.public_key


def test_wrapped_key_opens() -> None:
    with KEY.unwrap(seal_to(KEY.public_key, PLAIN).encode()) as secret:
        assert bytes(secret.view) == PLAIN


def _sha384_oaep() -> Parts:
    parts = seal_to(KEY.public_key, PLAIN)
    parts.encrypted_key = public(KEY).encrypt(os.urandom(32), padding.OAEP(padding.MGF1(SHA384()), SHA384(), None))
    return parts


def _flipped(where: str, offset: int) -> Parts:
    parts = seal_to(KEY.public_key, PLAIN)
    value = bytearray(getattr(parts, where))
    value[offset] ^= 1
    setattr(parts, where, bytes(value))
    return parts


WRONG = {
    "for another boot": lambda: seal_to(OTHER_BOOT.public_key, PLAIN),
    "OAEP bit flipped": lambda: _flipped("encrypted_key", 100),
    "OAEP with another hash": _sha384_oaep,
    "OAEP number out of range": lambda: Parts(encrypted_key=b"\xff" * 256),
    "content key of 16 bytes": lambda: seal_to(KEY.public_key, PLAIN, content_key=os.urandom(16)),
    "padding bit flipped": lambda: _flipped("ciphertext", 31),
    "padding of zero bytes": lambda: seal_to(KEY.public_key, PLAIN, pad=bytes(16)),
    "padding with one wrong byte": lambda: seal_to(KEY.public_key, PLAIN, pad=b"\x11" + b"\x10" * 15),
    "padding of one byte": lambda: seal_to(KEY.public_key, PLAIN, pad=b"\x33" * 15 + b"\x01"),
    "padding and then another block": lambda: seal_to(KEY.public_key, PLAIN, pad=b"\x10" * 32),
    "31 bytes": lambda: seal_to(KEY.public_key, PLAIN[:31]),
    "33 bytes": lambda: seal_to(KEY.public_key, PLAIN + b"\0"),
    "16 bytes": lambda: seal_to(KEY.public_key, PLAIN[:16]),
    "64 bytes": lambda: seal_to(KEY.public_key, PLAIN * 2),
}


@pytest.mark.parametrize("what", WRONG)
def test_whatever_does_not_open_has_one_code(what: str) -> None:
    with pytest.raises(KmsError) as caught:
        KEY.unwrap(WRONG[what]().encode())
    assert caught.value.code == "kms-wrong-key"
    assert caught.value.__context__ is None or not isinstance(caught.value.__context__, ValueError)


def test_failed_oaep_still_runs_the_content_step(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytearray] = []

    def watch(content_key: bytearray, parsed: object, size: int) -> None:
        seen.append(content_key)
        assert len(content_key) == 32
        assert any(content_key)
        raise KmsError(recipient.WRONG_KEY)

    monkeypatch.setattr(recipient, "open_content", watch)
    with pytest.raises(KmsError):
        KEY.unwrap(Parts().encode())
    assert seen == [bytearray(32)], "the content key is wiped afterwards"


def test_recipient_key_has_no_text_form_and_cannot_leave() -> None:
    assert repr(KEY) == "RecipientKey(<redacted>)"
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(KEY)
