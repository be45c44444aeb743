"""A passkey's public key as a tree of four words, whose root is the image hash in the wallet's sapient leaf.

Whether the authenticator has to verify its user is part of the root, as is whatever the metadata stand for.
"""

from dataclasses import dataclass
from typing import Any, Final

from evm.fields import hex_word, members, utf8
from evm.keccak import keccak256
from evm.wallet.errors import require
from evm.wallet.values import HASH_BYTES, parse_bool, to_hex

MAX_CREDENTIAL_ID_BYTES: Final = 1366  # 1,023 bytes (WebAuthn 4, credential id) in base64
_CODE: Final = "wallet-passkey"
_NO_METADATA: Final = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class PasskeyPublicKey:
    """A point of P-256 (not checked here: a point off the curve signs nothing), and what belongs to the key."""

    x: bytes
    y: bytes
    require_user_verification: bool
    metadata: bytes | None = None

    def __post_init__(self) -> None:
        words = (self.x, self.y, self.metadata or _NO_METADATA)
        require(all(len(part) == HASH_BYTES for part in words), _CODE)

    @property
    def root(self) -> bytes:
        """The image hash of the leaf."""
        flag = self.require_user_verification.to_bytes(HASH_BYTES, "big")
        return keccak256(keccak256(self.x + self.y) + keccak256(flag + (self.metadata or _NO_METADATA)))

    def to_tree(self) -> list[list[str]]:
        """The tree in the state service's form; metadata are shown by their hash."""
        flag = self.require_user_verification.to_bytes(HASH_BYTES, "big")
        return [[to_hex(self.x), to_hex(self.y)], [to_hex(flag), to_hex(self.metadata or _NO_METADATA)]]


def credential_metadata(credential_id: str) -> bytes:
    """The metadata that name a credential: the hash of its id as text."""
    return keccak256(utf8(credential_id, _CODE, most=MAX_CREDENTIAL_ID_BYTES))


def parse_public_key(value: object) -> PasskeyPublicKey:
    """From `{"requireUserVerification", "x", "y", "metadata"?: hash | {"credentialId"}}`."""
    found = members(value, required=("requireUserVerification", "x", "y"), optional=("metadata",), code=_CODE)
    return PasskeyPublicKey(
        x=hex_word(found["x"], _CODE),
        y=hex_word(found["y"], _CODE),
        require_user_verification=parse_bool(found["requireUserVerification"], _CODE),
        metadata=_parse_metadata(found["metadata"]) if "metadata" in found else None,
    )


def _parse_metadata(value: Any) -> bytes:
    if isinstance(value, str):
        return hex_word(value, _CODE)
    found = members(value, required=("credentialId",), code=_CODE)
    require(isinstance(found["credentialId"], str), _CODE)
    return credential_metadata(found["credentialId"])
