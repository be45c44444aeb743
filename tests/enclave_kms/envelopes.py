"""Builds envelopes in the BER shape of KMS, part by part, so that a test can put one part wrong."""

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

OID_ENVELOPED = bytes.fromhex("06092a864886f70d010703")
OID_DATA = bytes.fromhex("06092a864886f70d010701")
OID_OAEP = bytes.fromhex("06092a864886f70d010107")
OID_MGF1 = bytes.fromhex("06092a864886f70d010108")
OID_SHA256 = bytes.fromhex("0609608648016503040201")
OID_AES256_CBC = bytes.fromhex("060960864801650304012a")
NULL = b"\x05\x00"
END = b"\x00\x00"


def der(tag: int, contents: bytes) -> bytes:
    """A definite, minimal element."""
    size = len(contents)
    length = (
        bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + contents


def ber(tag: int, contents: bytes) -> bytes:
    """An element of indefinite length."""
    return bytes([tag]) + b"\x80" + contents + END


def _sha256() -> bytes:
    return der(0x30, OID_SHA256 + NULL)


@dataclass
class Parts:
    """The parts of an envelope; a test overrides one."""

    encrypted_key: bytes = b"\x11" * 256
    iv: bytes = b"\x22" * 16
    ciphertext: bytes = b"\x33" * 48
    kind: bytes = OID_ENVELOPED
    version: bytes = b"\x02\x01\x02"
    recipient_version: bytes = b"\x02\x01\x02"
    key_id: bytes = der(0x80, b"\x44" * 32)
    oaep: bytes = OID_OAEP
    oaep_hash: bytes = b""
    mgf: bytes = b""
    label: bytes = b""
    content_kind: bytes = OID_DATA
    cipher: bytes = OID_AES256_CBC
    content: bytes | None = None
    recipients: int = 1
    tail: str = ""
    """Where to leave something over: `info`, `wrapper`, `enveloped`, `recipient`, `content` or `cipher`."""

    def recipient(self) -> bytes:
        hash_part = self.oaep_hash or der(0xA0, _sha256())
        mask = self.mgf or der(0xA1, der(0x30, OID_MGF1 + _sha256()))
        algorithm = der(0x30, self.oaep + der(0x30, hash_part + mask + self.label))
        body = self.recipient_version + self.key_id + algorithm + der(0x04, self.encrypted_key)
        return der(0x30, body + self._rest("recipient"))

    def encode(self) -> bytes:
        content = ber(0xA0, der(0x04, self.ciphertext)) if self.content is None else self.content
        cipher = der(0x30, self.cipher + der(0x04, self.iv) + self._rest("cipher"))
        encrypted = ber(0x30, self.content_kind + cipher + content + self._rest("content"))
        recipients = der(0x31, self.recipient() * self.recipients)
        enveloped = ber(0x30, self.version + recipients + encrypted + self._rest("enveloped"))
        wrapper = ber(0xA0, enveloped + self._rest("wrapper"))
        return ber(0x30, self.kind + wrapper + self._rest("info"))

    def _rest(self, where: str) -> bytes:
        return der(0xA1, b"") if self.tail == where else b""


def encrypt(content_key: bytes, iv: bytes, plaintext: bytes, *, pad: bytes | None = None) -> bytes:
    """AES-256-CBC with PKCS #7 padding, or with `pad` in its place."""
    missing = 16 - len(plaintext) % 16
    encryptor = Cipher(algorithms.AES256(content_key), modes.CBC(iv)).encryptor()
    return encryptor.update(plaintext + (bytes([missing]) * missing if pad is None else pad))


def seal_to(
    public_key: bytes, plaintext: bytes, *, content_key: bytes | None = None, pad: bytes | None = None
) -> Parts:
    """The envelope that KMS would make for the SPKI `public_key`."""
    key, iv = os.urandom(32) if content_key is None else content_key, os.urandom(16)
    public = load_der_public_key(public_key)
    assert isinstance(public, RSAPublicKey)
    wrapped = public.encrypt(key, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    return Parts(encrypted_key=wrapped, iv=iv, ciphertext=encrypt(key.ljust(32, b"\0"), iv, plaintext, pad=pad))
