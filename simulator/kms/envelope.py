"""`CiphertextForRecipient`: CMS EnvelopedData in the byte shape of the real service (nitro-platform.md 6.2).

BER, not DER: the outer sequences have indefinite lengths, the recipient set a definite one. One KeyTransRecipientInfo,
version 2, named by a 32-byte subject key identifier; RSAES-OAEP with SHA-256 and MGF1-SHA-256 spelled out; AES-256-CBC
with PKCS#7 padding. The content is constructed (`a0 80` and OCTET STRINGs) or primitive: real answers show both. There
is no MAC: what proves where an envelope came from is TLS to KMS, and the caller's own key check (KM-02).
"""

import hashlib
import os
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_OID: Final = 0x06
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_PRIMITIVE_0: Final = 0x80
_CONSTRUCTED_0: Final = 0xA0
_CONSTRUCTED_1: Final = 0xA1
_END_OF_CONTENTS: Final = b"\x00\x00"
_NULL: Final = b"\x05\x00"


class ContentForm(Enum):
    """How the encrypted content is written."""

    CONSTRUCTED = "constructed"
    PRIMITIVE = "primitive"


def seal_envelope(
    recipient: RSAPublicKey,
    plaintext: bytes,
    form: ContentForm = ContentForm.CONSTRUCTED,
    chunk_bytes: int | None = None,
) -> bytes:
    """`plaintext` sealed for `recipient`; with `chunk_bytes` the constructed content is cut into several strings."""
    key, iv = os.urandom(32), os.urandom(16)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    encrypted_key = recipient.encrypt(key, OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), None))
    return encode_envelope(_key_identifier(recipient), encrypted_key, iv, ciphertext, form, chunk_bytes)


def encode_envelope(
    key_identifier: bytes,
    encrypted_key: bytes,
    iv: bytes,
    ciphertext: bytes,
    form: ContentForm = ContentForm.CONSTRUCTED,
    chunk_bytes: int | None = None,
) -> bytes:
    """The parts of an envelope as the real service lays them out; byte for byte its answer when given its parts."""
    recipient_info = _tlv(
        _SEQUENCE,
        _tlv(_INTEGER, b"\x02"),
        _tlv(_PRIMITIVE_0, key_identifier),
        _OAEP_SHA256,
        _tlv(_OCTET_STRING, encrypted_key),
    )
    if form is ContentForm.PRIMITIVE:
        content = _tlv(_PRIMITIVE_0, ciphertext)
    else:
        step = chunk_bytes or len(ciphertext)
        chunks = (ciphertext[start : start + step] for start in range(0, len(ciphertext), step))
        content = _indefinite(_CONSTRUCTED_0, *(_tlv(_OCTET_STRING, chunk) for chunk in chunks))
    encrypted_content_info = _indefinite(
        _SEQUENCE,
        _oid("2a864886f70d010701"),  # data
        _tlv(_SEQUENCE, _oid("60864801650304012a"), _tlv(_OCTET_STRING, iv)),  # aes256-CBC
        content,
    )
    enveloped_data = _indefinite(_SEQUENCE, _tlv(_INTEGER, b"\x02"), _tlv(_SET, recipient_info), encrypted_content_info)
    return _indefinite(
        _SEQUENCE,
        _oid("2a864886f70d010703"),  # envelopedData
        _indefinite(_CONSTRUCTED_0, enveloped_data),
    )


def _key_identifier(recipient: RSAPublicKey) -> bytes:
    """32 bytes, as in every real sample; which digest the service takes is not established."""
    spki = recipient.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def _indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes((tag, 0x80)) + b"".join(parts) + _END_OF_CONTENTS


def _oid(body_hex: str) -> bytes:
    return _tlv(_OID, bytes.fromhex(body_hex))


_SHA256: Final = _tlv(_SEQUENCE, _oid("608648016503040201"), _NULL)
_OAEP_SHA256: Final = _tlv(
    _SEQUENCE,
    _oid("2a864886f70d010107"),  # id-RSAES-OAEP
    _tlv(
        _SEQUENCE,
        _tlv(_CONSTRUCTED_0, _SHA256),
        _tlv(_CONSTRUCTED_1, _tlv(_SEQUENCE, _oid("2a864886f70d010108"), _SHA256)),  # id-mgf1
    ),
)
