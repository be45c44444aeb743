"""The sealed channel: what client and enclave say to each other and the host must not read (CH-02, CH-04 to CH-07).

Each request is sealed by itself with HPKE (RFC 9180, base mode, single shot) to the channel key that the client found
in a verified attestation document. The library has no secret export, so a request carries the secret from which the
key of its answer is derived, as RFC 9458 section 4.4 derives it from the exported one.

    request    [1, key id, request id, encapsulated key, ciphertext]      inside: [method, headers, body, reply secret]
    response   [1, reply nonce, ciphertext]                               inside: [status, headers, body]

Deterministic CBOR all over. What is inside is padded to one of few sizes. HPKE's `info` names protocol, place, key id
and request id; the answer's key depends on every byte of the request, so an answer fits its own request and no other.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from attestation.errors import AttestationError
from protocol import cbor, limits
from protocol.errors import ProtocolError

METHOD: Final = "POST"
PATH: Final = "/rpc/Channel/Sealed"
CONTENT_TYPE: Final = "application/cbor"
REQUEST_HEADERS: Final = frozenset({"content-type", "x-attestation-nonce", "authorization"})
"""What a client may say in a sealed request; the rest is the host's to add."""

REQUEST_ID_BYTES: Final = 16
KEY_ID_BYTES: Final = 16
REPLY_NONCE_BYTES: Final = 32
REPLY_SECRET_BYTES: Final = 32
BUCKETS: Final = (
    limits.KIB,
    4 * limits.KIB,
    16 * limits.KIB,
    limits.MAX_SEALED_REQUEST_BYTES,
    252 * limits.KIB,
    limits.MAX_SEALED_RESPONSE_BYTES,
)
"""The sizes that padded contents may have (CH-07): the host learns which class of method it was, not what was said."""

_VERSION: Final = 1
_REQUEST_CONTEXT: Final = "chancery/channel/1/request"
_REPLY_CONTEXT: Final = "chancery/channel/1/reply"
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_ENC_BYTES: Final = 32
_AEAD_KEY_BYTES: Final = 32
_AEAD_NONCE_BYTES: Final = 12
_LENGTH_BYTES: Final = 4
_MAX_ENVELOPE_OVERHEAD: Final = 128


@dataclass(frozen=True, slots=True)
class InnerRequest:
    """What is asked. `method` is the operation as in a frame: HTTP method, space, path."""

    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class InnerResponse:
    """What is answered, status and headers included."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedRequest:
    """A parsed request envelope, not opened: nothing in it is authentic yet."""

    key_id: bytes
    request_id: bytes
    encapsulated: bytes
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What ties an answer to its request. Both ends have one: the client to open, the enclave to seal."""

    _secret: bytes = field(repr=False)
    _encapsulated: bytes
    _digest: bytes
    """SHA-256 of the request envelope."""

    def seal_response(self, response: InnerResponse) -> bytes:
        """The response envelope; `AttestationError("channel-too-large")`."""
        content = cbor.dumps([response.status, dict(response.headers), response.body])
        nonce = secrets.token_bytes(REPLY_NONCE_BYTES)
        key, iv = self._reply_key(nonce)
        ciphertext = AESGCM(key).encrypt(iv, _pad(content, limits.MAX_SEALED_RESPONSE_BYTES), None)
        return cbor.dumps([_VERSION, nonce, ciphertext])

    def open_response(self, data: bytes) -> InnerResponse:
        """The answer to this request; `AttestationError`: `channel-malformed`, `channel-unopened`."""
        max_bytes = limits.MAX_SEALED_RESPONSE_BYTES + _MAX_ENVELOPE_OVERHEAD
        match _loads(data, max_bytes):
            case [1 as version, bytes(nonce), bytes(ciphertext)] if type(version) is int:
                if len(nonce) == REPLY_NONCE_BYTES:
                    key, iv = self._reply_key(nonce)
                    try:
                        padded = AESGCM(key).decrypt(iv, ciphertext, None)
                    except InvalidTag:
                        raise AttestationError("channel-unopened") from None
                    return _parse_response(_unpad(padded))
        raise AttestationError("channel-malformed")

    def _reply_key(self, nonce: bytes) -> tuple[bytes, bytes]:
        """Key and nonce of one answer. The nonce is fresh, so that even two answers would not share a key."""
        info = cbor.dumps([_REPLY_CONTEXT, self._digest])
        salt = self._encapsulated + nonce
        derived = HKDF(hashes.SHA256(), _AEAD_KEY_BYTES + _AEAD_NONCE_BYTES, salt, info).derive(self._secret)
        return derived[:_AEAD_KEY_BYTES], derived[_AEAD_KEY_BYTES:]


def key_id(public_key: bytes) -> bytes:
    """The id under which envelopes name a channel key."""
    return hashlib.sha256(public_key).digest()[:KEY_ID_BYTES]


def seal_request(public_key: bytes, request: InnerRequest, request_id: bytes) -> tuple[bytes, Exchange]:
    """The envelope of `request`, and what opens its answer. `request_id` is 16 random bytes, used for one request.

    `AttestationError`: `channel-key` for a key that no secret can be agreed with (CH-04), `channel-too-large`.
    """
    secret = secrets.token_bytes(REPLY_SECRET_BYTES)
    content = cbor.dumps([request.method, dict(request.headers), request.body, secret])
    padded = _pad(content, limits.MAX_SEALED_REQUEST_BYTES)
    id_ = key_id(public_key)
    try:
        sealed = _SUITE.encrypt(padded, X25519PublicKey.from_public_bytes(public_key), _info(id_, request_id))
    except ValueError:  # a low-order point, or not 32 bytes
        raise AttestationError("channel-key") from None
    encapsulated, ciphertext = sealed[:_ENC_BYTES], sealed[_ENC_BYTES:]
    envelope = cbor.dumps([_VERSION, id_, request_id, encapsulated, ciphertext])
    return envelope, Exchange(secret, encapsulated, hashlib.sha256(envelope).digest())


def parse_request(data: bytes) -> SealedRequest:
    """The envelope in `data`; `AttestationError("channel-malformed")`."""
    match _loads(data, limits.MAX_SEALED_REQUEST_BYTES + _MAX_ENVELOPE_OVERHEAD):
        case [1 as version, bytes(id_), bytes(request_id), bytes(encapsulated), bytes(ciphertext)]:
            sizes = (len(id_), len(request_id), len(encapsulated))
            if type(version) is int and sizes == (KEY_ID_BYTES, REQUEST_ID_BYTES, _ENC_BYTES):
                return SealedRequest(id_, request_id, encapsulated, ciphertext)
    raise AttestationError("channel-malformed")


def open_request(data: bytes, sealed: SealedRequest, private_key: X25519PrivateKey) -> tuple[InnerRequest, Exchange]:
    """What is inside `sealed`, parsed from `data`; `AttestationError`: `channel-unopened`, `channel-malformed`.

    The library refuses encapsulated points of low order like any other wrong one (CH-04).
    """
    info = _info(sealed.key_id, sealed.request_id)
    try:
        padded = _SUITE.decrypt(sealed.encapsulated + sealed.ciphertext, private_key, info)
    except (InvalidTag, ValueError):
        raise AttestationError("channel-unopened") from None
    request, secret = _parse_request(_unpad(padded))
    return request, Exchange(secret, sealed.encapsulated, hashlib.sha256(data).digest())


def _info(id_: bytes, request_id: bytes) -> bytes:
    return cbor.dumps([_REQUEST_CONTEXT, f"{METHOD} {PATH}", id_, request_id])


def _parse_request(content: bytes) -> tuple[InnerRequest, bytes]:
    match _loads(content, limits.MAX_SEALED_REQUEST_BYTES):
        case [str(method), dict() as headers, bytes(body), bytes(secret)]:
            sizes_hold = len(method) <= limits.MAX_METHOD_CHARS and len(secret) == REPLY_SECRET_BYTES
            if sizes_hold and headers.keys() <= REQUEST_HEADERS and _are_headers(headers):
                return InnerRequest(method, headers, body), secret
    raise AttestationError("channel-malformed")


def _parse_response(content: bytes) -> InnerResponse:
    match _loads(content, limits.MAX_SEALED_RESPONSE_BYTES):
        case [int(status), dict() as headers, bytes(body)] if 200 <= status <= 599 and _are_headers(headers):
            return InnerResponse(status, headers, body)
    raise AttestationError("channel-malformed")


def _are_headers(headers: dict[Any, Any]) -> bool:
    return len(headers) <= limits.MAX_HEADERS and all(
        type(name) is str
        and type(value) is str
        and len(name) <= limits.MAX_HEADER_NAME_CHARS
        and len(value) <= limits.MAX_HEADER_VALUE_CHARS
        for name, value in headers.items()
    )


def _loads(data: bytes, max_bytes: int) -> Any:
    try:
        return cbor.loads(data, max_bytes=max_bytes)
    except ProtocolError:
        raise AttestationError("channel-malformed") from None


def _pad(content: bytes, cap: int) -> bytes:
    """Length, content, zeros: up to the smallest bucket that holds them."""
    framed = len(content).to_bytes(_LENGTH_BYTES, "big") + content
    for bucket in BUCKETS:
        if len(framed) <= bucket <= cap:
            return framed.ljust(bucket, b"\0")
    raise AttestationError("channel-too-large")


def _unpad(padded: bytes) -> bytes:
    """What `_pad` padded, exactly: another bucket or a byte that is not zero is refused."""
    end = _LENGTH_BYTES + int.from_bytes(padded[:_LENGTH_BYTES], "big")
    content = padded[_LENGTH_BYTES:end]
    if len(padded) not in BUCKETS or _pad(content, BUCKETS[-1]) != padded:
        raise AttestationError("channel-malformed")
    return content
