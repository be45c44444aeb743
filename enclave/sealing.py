"""AES-256-GCM under derived keys, with everything that a ciphertext belongs to in its AAD (KM-10, KM-11, KM-12).

A key is derived for each record and purpose, so one random 96-bit nonce a write stays far below the bound of 2^32 for
one key. Every failure to open is one error that says nothing about the plaintext.
"""

from collections.abc import Callable
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from enclave.secret import Secret
from protocol import cbor

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SHA256: Final = SHA256()


class SealError(Exception):
    """A ciphertext does not open: wrong key, wrong place or changed bytes. Indistinct on purpose."""

    def __init__(self) -> None:
        super().__init__("seal")


def derive(key: Secret, purpose: str, *parts: Any) -> Secret:
    """HKDF-Expand(key, deterministic CBOR of [purpose, *parts]): another purpose or part gives an unrelated key."""
    derived = Secret(KEY_BYTES)
    HKDFExpand(_SHA256, KEY_BYTES, cbor.dumps([purpose, *parts])).derive_into(key.view, derived.view)
    return derived


def keyed_hash(key: Secret, *parts: Any) -> bytes:
    """HMAC-SHA256 over the deterministic CBOR of `parts`: 32 bytes that say nothing without the key (LP-04)."""
    mac = HMAC(key.view, _SHA256)
    mac.update(cbor.dumps(list(parts)))
    return mac.finalize()


def seal(key: Secret, plaintext: bytes | memoryview, aad: Any, random: Callable[[int], bytes]) -> bytes:
    """`nonce || ciphertext || tag`, bound to the deterministic CBOR of `aad`."""
    nonce = random(_NONCE_BYTES)
    return nonce + AESGCM(key.view).encrypt(nonce, plaintext, cbor.dumps(aad))


def open_sealed(key: Secret, sealed: bytes, aad: Any) -> bytes:
    """The plaintext of `seal`; `SealError` otherwise."""
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise SealError
    try:
        return AESGCM(key.view).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], cbor.dumps(aad))
    except InvalidTag:
        raise SealError from None


def open_secret(key: Secret, sealed: bytes, aad: Any) -> Secret:
    """Like `open_sealed`, with the plaintext going straight into a `Secret` of its exact size."""
    size = len(sealed) - _NONCE_BYTES - _TAG_BYTES
    if not 1 <= size <= 64:
        raise SealError
    secret = Secret(size)
    try:
        AESGCM(key.view).decrypt_into(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], cbor.dumps(aad), secret.view)
    except InvalidTag:
        secret.wipe()
        raise SealError from None
    return secret
