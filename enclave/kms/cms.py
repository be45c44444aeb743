"""Reads `CiphertextForRecipient`: the one BER shape of CMS EnvelopedData that KMS emits (KM-04). Syntax only.

Trust side: enclave. The bytes are untrusted: anybody can encrypt to the attested key, so what they open to is checked
against a key check later (KM-02). Taken exactly (nitro-platform.md 6.2; RFC 5652, RFC 4055): indefinite lengths where
KMS writes them and minimal definite ones elsewhere, version 2, one recipient named by 32 bytes of subject key id (of
unknown origin, so not compared), RSAES-OAEP with SHA-256 and MGF1-SHA-256, AES-256-CBC, content constructed or
primitive, nothing left over.
"""

from dataclasses import dataclass
from typing import Final

from asn1crypto import algos, cms, core, parser  # type: ignore[import-untyped]

from enclave.errors import KmsError
from protocol import limits

IV_BYTES: Final = 16
BLOCK_BYTES: Final = 16
ENCRYPTED_KEY_BYTES: Final = 256  # RSA-2048
_KEY_ID_BYTES: Final = 32

_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_OBJECT_IDENTIFIER: Final = 0x06
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_CONTEXT: Final = 0x80  # [0] primitive
_CONTEXT_CONSTRUCTED: Final = 0xA0  # [0] constructed
_INDEFINITE: Final = b"\x80"

_VERSION: Final = b"\x02"
_ENVELOPED_DATA: Final[bytes] = cms.ContentType("enveloped_data").contents
_DATA: Final[bytes] = cms.ContentType("data").contents
_AES_256_CBC: Final[bytes] = cms.EncryptionAlgorithmId("aes256_cbc").contents
_SHA256: Final = {"algorithm": "sha256", "parameters": core.Null()}
_OAEP: Final[bytes] = cms.KeyEncryptionAlgorithm(
    {
        "algorithm": "rsaes_oaep",
        "parameters": algos.RSAESOAEPParams(
            {"hash_algorithm": _SHA256, "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": _SHA256}}
        ),
    }
).contents


@dataclass(frozen=True, slots=True)
class EnvelopedData:
    """What the envelope holds, unopened: 256 bytes of RSA-OAEP, 16 of IV, and 1 or more whole AES blocks."""

    encrypted_key: bytes
    iv: bytes
    ciphertext: bytes


class _Reader:
    """Takes the elements of one constructed value in order, each with exactly the tag and form expected."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def take(self, tag: int, *, indefinite: bool = False) -> bytes:
        """The contents of the next element."""
        try:
            _, _, _, header, contents, trailer = parser.parse(self._rest)
        except ValueError:  # truncated, or nested deeper than the library's own limit of 10
            raise KmsError("kms-envelope") from None
        if header != bytes([tag]) + (_INDEFINITE if indefinite else _definite_length(len(contents))):
            raise KmsError("kms-envelope")
        self._rest = self._rest[len(header) + len(contents) + len(trailer) :]
        return bytes(contents)

    def enter(self, tag: int, *, indefinite: bool = False) -> "_Reader":
        """A reader over the contents of the next element, which is constructed."""
        return _Reader(self.take(tag, indefinite=indefinite))

    def expect(self, tag: int, contents: bytes) -> None:
        """The next element, which has exactly these contents."""
        if self.take(tag) != contents:
            raise KmsError("kms-envelope")

    def sized(self, tag: int, size: int) -> bytes:
        """The contents of the next element, which are `size` bytes."""
        contents = self.take(tag)
        if len(contents) != size:
            raise KmsError("kms-envelope")
        return contents

    def next_is(self, tag: int) -> bool:
        return self._rest[:1] == bytes([tag])

    def end(self) -> None:
        """Nothing may be left over."""
        if self._rest:
            raise KmsError("kms-envelope")


def parse_enveloped_data(data: bytes) -> EnvelopedData:
    """The parts of one envelope of at most `MAX_KMS_ENVELOPE_BYTES`; `KmsError("kms-envelope")` for any other shape."""
    if len(data) > limits.MAX_KMS_ENVELOPE_BYTES:
        raise KmsError("kms-envelope")
    outer = _Reader(data)
    info = outer.enter(_SEQUENCE, indefinite=True)
    outer.end()
    info.expect(_OBJECT_IDENTIFIER, _ENVELOPED_DATA)
    wrapper = info.enter(_CONTEXT_CONSTRUCTED, indefinite=True)
    info.end()
    enveloped = wrapper.enter(_SEQUENCE, indefinite=True)
    wrapper.end()
    enveloped.expect(_INTEGER, _VERSION)
    encrypted_key = _parse_recipients(enveloped.enter(_SET))
    iv, ciphertext = _parse_content(enveloped.enter(_SEQUENCE, indefinite=True))
    enveloped.end()
    return EnvelopedData(encrypted_key, iv, ciphertext)


def _parse_recipients(recipients: _Reader) -> bytes:
    """The encrypted content key of the one KeyTransRecipientInfo."""
    recipient = recipients.enter(_SEQUENCE)
    recipients.end()
    recipient.expect(_INTEGER, _VERSION)
    recipient.sized(_CONTEXT, _KEY_ID_BYTES)
    recipient.expect(_SEQUENCE, _OAEP)
    encrypted_key = recipient.sized(_OCTET_STRING, ENCRYPTED_KEY_BYTES)
    recipient.end()
    return encrypted_key


def _parse_content(content: _Reader) -> tuple[bytes, bytes]:
    """IV and ciphertext of the EncryptedContentInfo."""
    content.expect(_OBJECT_IDENTIFIER, _DATA)
    algorithm = content.enter(_SEQUENCE)
    algorithm.expect(_OBJECT_IDENTIFIER, _AES_256_CBC)
    iv = algorithm.sized(_OCTET_STRING, IV_BYTES)
    algorithm.end()
    if content.next_is(_CONTEXT):
        ciphertext = content.take(_CONTEXT)
    else:
        ciphertext = _parse_chunks(content.enter(_CONTEXT_CONSTRUCTED, indefinite=True))
    content.end()
    if not ciphertext or len(ciphertext) % BLOCK_BYTES:
        raise KmsError("kms-envelope")
    return iv, ciphertext


def _parse_chunks(chunks: _Reader) -> bytes:
    """One or more octet strings, joined."""
    ciphertext = chunks.take(_OCTET_STRING)
    while chunks.next_is(_OCTET_STRING):
        ciphertext += chunks.take(_OCTET_STRING)
    chunks.end()
    return ciphertext


def _definite_length(size: int) -> bytes:
    """The one minimal encoding of a length (X.690 10.1)."""
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets
