"""What the contract checks of a passkey's assertion (`WebAuthn.verify`), no more and no less.

Not checked there, and so not here: origin, hash of the relying party's id, signature counter.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from evm.wallet.errors import require
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.passkeys.signature import PasskeySignature, parse_passkey_signature
from protocol.base64url import encode_b64u

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_USER_PRESENT, _USER_VERIFIED = 0x01, 0x04
_FLAGS_AT: Final = 32
_TYPE: Final = b'"type":"webauthn.get"'


class P256Verifier(Protocol):
    """ECDSA over P-256, as the chain's precompile at 0x100 offers it: a library of the caller's choice (ADR 0018)."""

    def __call__(self, digest: bytes, r: int, s: int, x: bytes, y: bytes, /) -> bool:
        """True, and nothing else, if (r, s) is the signature of the key (x, y) on the 32 bytes of `digest`."""


@dataclass(frozen=True, slots=True)
class VerifiedPasskey:
    """A passkey that signed a digest. Only `verify_passkey` makes one."""

    public_key: PasskeyPublicKey
    digest: bytes


@dataclass(frozen=True, slots=True)
class PasskeyModule:
    """The passkeys contract, as a sapient signer that is shown the operation hash."""

    p256: P256Verifier

    def recover(self, digest: bytes, data: bytes, /) -> bytes:
        """The root of the key that signed; `WalletError` where the contract reverts."""
        return verify_passkey(parse_passkey_signature(data), digest, self.p256).public_key.root


def verify_passkey(signature: PasskeySignature, digest: bytes, p256: P256Verifier) -> VerifiedPasskey:
    """The key, which made this assertion for this digest; `WalletError` with `InvalidPasskeySignature` otherwise."""
    key = signature.public_key
    _require(_has_type(signature), "type")
    _require(_has_challenge(signature, digest), "challenge")
    flags = _USER_PRESENT | (_USER_VERIFIED if key.require_user_verification else 0)
    data = signature.authenticator_data
    _require(len(data) > _FLAGS_AT and data[_FLAGS_AT] & flags == flags, "user")
    r, s = int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big")
    _require(0 < r < P256_ORDER and 0 < s <= P256_ORDER // 2, "range")
    signed = hashlib.sha256(data + hashlib.sha256(signature.client_data_json).digest()).digest()
    _require(p256(signed, r, s, key.x, key.y) is True, "signature")
    return VerifiedPasskey(key, digest)


def _has_type(signature: PasskeySignature) -> bool:
    """An assertion, not a registration."""
    return signature.client_data_json.startswith(_TYPE, signature.type_index)


def _has_challenge(signature: PasskeySignature, digest: bytes) -> bool:
    """The digest in base64url without padding, with its closing quote."""
    challenge = encode_b64u(digest).encode()
    return signature.client_data_json.startswith(b'"challenge":"' + challenge + b'"', signature.challenge_index)


def _require(condition: bool, what: str) -> None:
    require(condition, f"wallet-passkey-{what}", "InvalidPasskeySignature")
