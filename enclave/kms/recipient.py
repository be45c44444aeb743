"""The recipient key: what KMS encrypts its answers to, named in the attestation document of each call (KM-03).

Trust side: enclave. The key is made at boot and stays in this object. Whatever goes wrong after the envelope's syntax,
be it OAEP, padding or length, is `kms-wrong-key`, found after the same steps (KM-05); a failed key check of
`enclave.holders` has the same code. CMS gives no integrity here: TLS to KMS and that key check do.
"""

import hmac
import os
from typing import Final, Never

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from enclave.errors import KmsError
from enclave.kms.cms import BLOCK_BYTES, EnvelopedData, parse_enveloped_data
from enclave.secret import Secret

WRONG_KEY: Final = "kms-wrong-key"
KEY_BYTES: Final = 32  # a holder key, and the content key around it
_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537


class RecipientKey:
    """An RSA-2048 key pair of this boot. Its private half has no way out."""

    __slots__ = ("_private", "public_key")

    def __init__(self) -> None:
        """Takes about 30 ms. Call after the generator has been seeded (MS-06)."""
        self._private = rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)
        public_key = self._private.public_key()
        self.public_key: Final = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        """DER SubjectPublicKeyInfo, as the attestation document carries it."""

    def unwrap(self, envelope: bytes) -> Secret:
        """The 32 bytes inside `CiphertextForRecipient`; `KmsError` `kms-envelope` or `kms-wrong-key`."""
        parsed = parse_enveloped_data(envelope)
        content_key = bytearray(os.urandom(KEY_BYTES))  # goes on in place of one that does not open (KM-05)
        try:
            opened = self._private.decrypt(parsed.encrypted_key, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
            if len(opened) == KEY_BYTES:
                content_key[:] = opened
        except ValueError:
            pass
        try:
            return open_content(content_key, parsed, KEY_BYTES)
        finally:
            content_key[:] = bytes(len(content_key))

    def __repr__(self) -> str:
        return "RecipientKey(<redacted>)"

    def _refuse(self, *_: object) -> Never:
        raise TypeError("a recipient key cannot be copied or pickled")

    __copy__ = _refuse
    __deepcopy__ = _refuse
    __reduce_ex__ = _refuse


def open_content(content_key: bytearray, parsed: EnvelopedData, size: int) -> Secret:
    """AES-256-CBC with PKCS #7 padding around exactly `size` bytes; `KmsError("kms-wrong-key")` for anything else.

    The length is known beforehand, so the padding is one known text and is compared in constant time.
    """
    pad = BLOCK_BYTES - size % BLOCK_BYTES
    if len(parsed.ciphertext) != size + pad:
        raise KmsError(WRONG_KEY)
    plaintext = bytearray(len(parsed.ciphertext) + BLOCK_BYTES - 1)  # the slack that `update_into` asks for
    try:
        decryptor = Cipher(algorithms.AES256(content_key), modes.CBC(parsed.iv)).decryptor()
        decryptor.update_into(parsed.ciphertext, plaintext)
        if not hmac.compare_digest(plaintext[size : size + pad], bytes([pad]) * pad):
            raise KmsError(WRONG_KEY)
        secret = Secret(size)
        secret.view[:] = memoryview(plaintext)[:size]
        return secret
    finally:
        plaintext[:] = bytes(len(plaintext))
