"""The signed envelope of every public method: `{"params": …, "authKey": …, "signature": …}`.

Checks follow the order of identity-instrument.md 1.4: JSON, the three members, canonical form, signature, content type,
HTTP method. Nothing is read from state before the signature has been verified (SE-03).
"""

from typing import Any, Final

import msgspec

from enclave.auth_key import Key, parse_key, verify_request_signature
from enclave.errors import Refusal
from protocol import canonical_json, errors
from protocol.canonical_json import DuplicateKey
from protocol.errors import ProtocolError
from protocol.frames import Headers

CONTENT_TYPE: Final = "application/json"
_DUPLICATE: Final = "failed to canonicalize params: Duplicate key: a member occurs twice"


class Call(msgspec.Struct, frozen=True):
    """A request as it arrived, nothing verified."""

    http_method: str
    path: str
    headers: Headers
    body: bytes
    sealed: bool = False
    """Whether it came through the sealed channel, unread by the host."""


class Envelope(msgspec.Struct, frozen=True):
    """A verified envelope: `auth_key` signed `params`, which may still be any JSON value."""

    params: Any
    auth_key: Key
    public_key: bytes


class SignedCall(msgspec.Struct, frozen=True):
    """A request whose `params` were signed by `auth_key`. `public_key` is its compressed point."""

    path: str
    params: dict[str, Any]
    auth_key: Key
    public_key: bytes
    scope_header: str | None
    sealed: bool


def verify_envelope(call: Call) -> Envelope:
    """The envelope of a call, once its signature has been verified. INVALID_REQUEST or INVALID_SIGNATURE."""
    body = parse_object(call.body)
    params, auth_key, signature = body.get("params"), parse_key(body.get("authKey")), body.get("signature")
    if params is None:
        raise Refusal(errors.INVALID_REQUEST, "params is required")
    if auth_key is None:
        raise Refusal(errors.INVALID_REQUEST, "valid auth key is required")
    if not isinstance(signature, str) or not signature:
        raise Refusal(errors.INVALID_REQUEST, "signature is required")
    try:
        canonical = canonical_json.canonicalize(params)
    except ProtocolError:
        raise Refusal(errors.INVALID_REQUEST, "failed to canonicalize params: no canonical form") from None
    return Envelope(params, auth_key, verify_request_signature(auth_key, signature, canonical))


def decode_call(call: Call, envelope: Envelope) -> SignedCall:
    """The call that the envelope holds: a POST of JSON whose `params` are an object. BAD_REQUEST or BAD_METHOD."""
    require_json_post(call)
    params = envelope.params
    if not isinstance(params, dict):
        raise Refusal(errors.BAD_REQUEST, "failed to unmarshal request data: params")
    scope_header = call.headers.get("x-sequence-scope")
    return SignedCall(call.path, params, envelope.auth_key, envelope.public_key, scope_header, call.sealed)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; INVALID_REQUEST with the wire's cause otherwise."""
    try:
        value = canonical_json.parse(body)
    except DuplicateKey:
        raise Refusal(errors.INVALID_REQUEST, _DUPLICATE) from None
    except ProtocolError:
        raise Refusal(errors.INVALID_REQUEST, "failed to unmarshal request body: not JSON") from None
    if not isinstance(value, dict):
        raise Refusal(errors.INVALID_REQUEST, "failed to unmarshal request body: not an object")
    return value


def require_json_post(call: Call) -> None:
    """BAD_REQUEST or BAD_METHOD unless this is a POST of JSON."""
    content_type = call.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != CONTENT_TYPE:
        raise Refusal(errors.BAD_REQUEST, "unexpected Content-Type: only application/json is taken")
    if call.http_method != "POST":
        raise Refusal(errors.BAD_METHOD)


def encode_json(value: Any) -> bytes:
    """Compact JSON in UTF-8, members in the order given."""
    return msgspec.json.encode(value)
