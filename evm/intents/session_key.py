"""Session keys: the key of a user's device, named by its session id, and its signatures over intents.

secp256k1   0x address                  20 bytes, the form of browsers
            0x 00 address               21 bytes, typed
P-256       0x 01 04 x y                66 bytes, typed
"""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from evm.address import ADDRESS_BYTES, Address, parse_address
from evm.errors import EvmError
from evm.fields import hex_bytes
from evm.intents.errors import IntentError, require
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.signature import SIGNATURE_BYTES, parse_recoverable, parse_signature
from evm.wallet.passkeys.verifying import P256_ORDER, P256Verifier

P256_SIGNATURE_BYTES: Final = 64
_ADDRESS_CHARS: Final = 2 + 2 * ADDRESS_BYTES
_TYPED_K1: Final = re.compile(r"0x00[0-9a-fA-F]{40}\Z")
_TYPED_R1: Final = re.compile(r"0x0104[0-9a-fA-F]{128}\Z")


class Curve(Enum):
    """The curve of a session key."""

    SECP256K1 = "secp256k1"
    P256 = "P-256"


@dataclass(frozen=True, slots=True)
class SessionKey:
    """The key behind a session id: an address for secp256k1, x and y for P-256.

    `id` is the text in lower case, which names the session; `text` is what the client wrote, to be given back.
    """

    text: str
    curve: Curve
    key: bytes

    @property
    def id(self) -> str:
        """The session's name: two ids that differ in the case of letters name one session."""
        return self.text.lower()

    @property
    def hash(self) -> bytes:
        """keccak-256 of the id as text: part of the names of users, and of the nonce of older ID tokens."""
        return keccak256(self.id.encode())


def parse_session_key(value: object) -> SessionKey:
    """The key that a session id names; `intent-session-id` otherwise. Whether x and y are a point shows in use."""
    if isinstance(value, str):
        if len(value) == _ADDRESS_CHARS:
            return SessionKey(value, Curve.SECP256K1, parse_address(value, "intent-session-id"))
        if _TYPED_K1.match(value):
            return SessionKey(value, Curve.SECP256K1, bytes.fromhex(value[4:]))
        if _TYPED_R1.match(value):
            return SessionKey(value, Curve.P256, bytes.fromhex(value[6:]))
    raise IntentError("intent-session-id")


def verify_session_signature(key: SessionKey, value: object, intent_hash: bytes, p256: P256Verifier) -> None:
    """Raises `intent-signature` unless `value` is the key's signature, as hex text, on an intent's hash.

    secp256k1: r, s, v over the personal message of the hash; v is 27, 28, 0 or 1, and s the lower one (ERC-2). P-256: r
    and s over SHA-256 of the hash; browsers make either s, so both are taken, and nothing may be keyed on signatures.
    """
    data = hex_bytes(value, "intent-signature", most=SIGNATURE_BYTES)
    if key.curve is Curve.P256:
        _verify_p256(key.key, data, hashlib.sha256(intent_hash).digest(), p256)
    else:
        _verify_secp256k1(Address(key.key), data, PersonalMessage(intent_hash, None).digest)


def _verify_p256(key: bytes, data: bytes, digest: bytes, p256: P256Verifier) -> None:
    require(len(data) == P256_SIGNATURE_BYTES, "intent-signature")
    r, s = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
    require(0 < r < P256_ORDER and 0 < s < P256_ORDER, "intent-signature")
    require(p256(digest, r, s, key[:32], key[32:]) is True, "intent-signature")


def _verify_secp256k1(address: Address, data: bytes, digest: bytes) -> None:
    require(len(data) == SIGNATURE_BYTES, "intent-signature")
    try:
        signature = parse_recoverable(data) if data[-1] < 2 else parse_signature(data)
        signer = signature.recover(digest)
    except EvmError:
        raise IntentError("intent-signature") from None
    require(signer == address, "intent-signature")
