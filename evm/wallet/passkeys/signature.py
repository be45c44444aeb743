"""A passkey's assertion in the packed form that the contract reads, or in the ABI form that it falls back to.

    flags | metadata? | size, authenticatorData | size, clientDataJSON | challengeIndex | typeIndex | r | s | x | y

Lengths and indices count bytes; one client library counts UTF-16 units, which is the same for ASCII alone.
"""

from dataclasses import dataclass
from typing import Final

from evm.abi import WORD
from evm.wallet.abi import Tail, dynamic, encode, word
from evm.wallet.errors import WalletError, require
from evm.wallet.passkeys.public_key import PasskeyPublicKey
from evm.wallet.reader import Reader
from evm.wallet.values import HASH_BYTES

MAX_FIELD_BYTES: Final = 2**16 - 1  # what two bytes of size hold
MAX_ASSERTION_BYTES: Final = 2 * MAX_FIELD_BYTES + 1024

_USER_VERIFICATION, _AUTHENTICATOR_U16, _CLIENT_U16, _CHALLENGE_U16, _TYPE_U16 = 0x01, 0x02, 0x04, 0x08, 0x10
_ABI, _METADATA, _UNUSED = 0x20, 0x40, 0x80
_LENGTH: Final = "wallet-passkey-length"
_REASON: Final = "InvalidSignatureLength"


@dataclass(frozen=True, slots=True)
class PasskeySignature:
    """An assertion. The indices are where `"challenge"` and `"type"` begin in the client data."""

    public_key: PasskeyPublicKey
    authenticator_data: bytes
    client_data_json: bytes
    challenge_index: int
    type_index: int
    r: bytes
    s: bytes

    def __post_init__(self) -> None:
        sizes = (len(self.authenticator_data), len(self.client_data_json), self.challenge_index, self.type_index)
        require(all(0 <= size <= MAX_FIELD_BYTES for size in sizes), "wallet-passkey-size")
        require(len(self.r) == len(self.s) == HASH_BYTES, "wallet-passkey-signature")


def passkey_signature(
    public_key: PasskeyPublicKey, authenticator_data: bytes, client_data_json: bytes, r: bytes, s: bytes
) -> PasskeySignature:
    """An assertion as an authenticator gives it; the indices are looked up."""
    challenge, type_ = client_data_json.find(b'"challenge"'), client_data_json.find(b'"type"')
    require(challenge >= 0 and type_ >= 0, "wallet-passkey-client-data")
    return PasskeySignature(public_key, authenticator_data, client_data_json, challenge, type_, r, s)


def encode_passkey_signature(signature: PasskeySignature) -> bytes:
    """The packed form. Metadata of the key are part of its root, so they are always written."""
    key = signature.public_key
    flags, parts = (_USER_VERIFICATION if key.require_user_verification else 0), []
    if key.metadata is not None:
        flags |= _METADATA
        parts.append(key.metadata)
    numbers = (
        (len(signature.authenticator_data), _AUTHENTICATOR_U16, signature.authenticator_data),
        (len(signature.client_data_json), _CLIENT_U16, signature.client_data_json),
        (signature.challenge_index, _CHALLENGE_U16, b""),
        (signature.type_index, _TYPE_U16, b""),
    )
    for number, flag, data in numbers:
        flags |= flag if number > 0xFF else 0
        parts += [number.to_bytes(2 if number > 0xFF else 1, "big"), data]
    return b"".join([bytes([flags]), *parts, signature.r, signature.s, key.x, key.y])


def encode_passkey_signature_abi(signature: PasskeySignature) -> bytes:
    """The form that the contract decodes as ABI: flag, then the struct and the key."""
    key = signature.public_key
    assertion = encode(
        dynamic(signature.authenticator_data),
        dynamic(signature.client_data_json),
        word(signature.challenge_index),
        word(signature.type_index),
        signature.r,
        signature.s,
    )
    metadata = key.metadata or bytes(HASH_BYTES)
    arguments = (Tail(assertion), word(int(key.require_user_verification)), key.x, key.y, metadata)
    return bytes([_ABI]) + encode(*arguments)


def parse_passkey_signature(data: bytes) -> PasskeySignature:
    """The assertion in either form; `WalletError` for unused flags, short input and left-over bytes."""
    require(0 < len(data) <= MAX_ASSERTION_BYTES, _LENGTH, _REASON)
    flags = data[0]
    require(not flags & _UNUSED, "wallet-passkey-flag")
    if flags & _ABI:
        return _parse_abi(data)
    reader = Reader(data, _LENGTH, position=1)
    try:
        return _parse_packed(flags, reader)
    except WalletError as refusal:
        if refusal.code == _LENGTH:
            raise WalletError(_LENGTH, _REASON) from None
        raise


def _parse_packed(flags: int, reader: Reader) -> PasskeySignature:
    def number(flag: int) -> int:
        return reader.uint(2 if flags & flag else 1)

    metadata = reader.take(HASH_BYTES) if flags & _METADATA else None
    authenticator_data = reader.take(number(_AUTHENTICATOR_U16))
    client_data_json = reader.take(number(_CLIENT_U16))
    challenge_index, type_index = number(_CHALLENGE_U16), number(_TYPE_U16)
    r, s, x, y = (reader.take(HASH_BYTES) for _ in range(4))
    require(reader.ended, _LENGTH)
    key = PasskeyPublicKey(x, y, bool(flags & _USER_VERIFICATION), metadata)
    return PasskeySignature(key, authenticator_data, client_data_json, challenge_index, type_index, r, s)


def _parse_abi(data: bytes) -> PasskeySignature:
    """The one encoding that `encode_passkey_signature_abi` writes; the contract would take laxer ones."""
    code = "wallet-passkey-abi"
    reader = Reader(data, code, position=1 + WORD)
    user_verification = reader.uint(WORD)
    x, y, metadata = (reader.take(WORD) for _ in range(3))
    reader.take(2 * WORD)
    challenge_index, type_index = reader.uint(WORD), reader.uint(WORD)
    r, s = reader.take(WORD), reader.take(WORD)
    authenticator_data = reader.take(reader.uint(WORD))
    reader.take(-len(authenticator_data) % WORD)
    client_data_json = reader.take(reader.uint(WORD))
    key = PasskeyPublicKey(x, y, user_verification == 1, metadata if any(metadata) else None)
    found = PasskeySignature(key, authenticator_data, client_data_json, challenge_index, type_index, r, s)
    require(encode_passkey_signature_abi(found) == data, code)
    return found
