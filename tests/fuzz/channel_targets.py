"""Targets for the sealed channel: envelopes, what is inside them, and answers."""

import json
import secrets
from functools import cache

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from attestation import channel
from attestation.channel import Exchange, InnerRequest, InnerResponse
from attestation.errors import AttestationError
from protocol import cbor, frames, limits
from protocol.frames import Request, Response
from tests.fuzz.appliance_targets import CODES, appliance
from tests.fuzz.loop import run
from tests.fuzz.target import Target

STATUS = InnerRequest("GET /status", {"x-attestation-nonce": "nonce"}, b"")


def _public_key() -> bytes:
    """The enclave's current channel key."""
    sealed_channel = appliance().world.enclave._dispatcher._channel
    if sealed_channel is None:
        raise AssertionError("not serving")
    return sealed_channel.public_key


def _envelope(data: bytes) -> object:
    """Any body to the route of sealed requests: sealed answers or errors of the table."""
    request = Request(1, f"{channel.METHOD} {channel.PATH}", {"content-type": channel.CONTENT_TYPE}, data)
    made = appliance()
    response: Response = run(made.world.enclave.answer(request))
    frames.encode(response)
    if response.headers["content-type"] == channel.CONTENT_TYPE:
        return response.body
    return made.judge(response)


def _content(data: bytes) -> object:
    """Anything at all inside an envelope that opens; what answers from inside is an error of the table, too."""
    public_key, request_id = _public_key(), secrets.token_bytes(channel.REQUEST_ID_BYTES)
    info = channel._info(channel.key_id(public_key), request_id)
    padded = channel._pad(data, limits.MAX_SEALED_REQUEST_BYTES)
    sealed = channel._SUITE.encrypt(padded, X25519PublicKey.from_public_bytes(public_key), info)
    return _envelope(cbor.dumps([1, channel.key_id(public_key), request_id, sealed[:32], sealed[32:]]))


def _inner_body(data: bytes) -> object:
    """A sealed request of a well-formed kind, and its answer opened."""
    method, _, body = data.partition(b"\x00")
    inner = InnerRequest(method.decode("latin-1"), {"content-type": "application/json"}, body)
    envelope, exchange = channel.seal_request(_public_key(), inner, secrets.token_bytes(channel.REQUEST_ID_BYTES))
    answer = _envelope(envelope)
    if not isinstance(answer, bytes):
        return answer
    opened = exchange.open_response(answer)
    if opened.status != 200 and json.loads(opened.body)["code"] not in CODES:
        raise AssertionError(opened.body)
    return opened


@cache
def _exchange() -> Exchange:
    return channel.seal_request(_public_key(), STATUS, bytes(channel.REQUEST_ID_BYTES))[1]


def _inside_of_answer(data: bytes) -> object:
    return channel._parse_response(data)


def _seal() -> bytes:
    return channel.seal_request(_public_key(), STATUS, secrets.token_bytes(channel.REQUEST_ID_BYTES))[0]


REFUSAL = (AttestationError,)

TARGETS = {
    "sealed_envelope": Target(_envelope, (), lambda: [_seal()]),
    "sealed_content": Target(
        _content, REFUSAL, lambda: [cbor.dumps([STATUS.method, dict(STATUS.headers), STATUS.body, bytes(32)])]
    ),
    "sealed_request": Target(_inner_body, REFUSAL, lambda: [b"GET /status\x00", b"POST /rpc/Session/List\x00{}"]),
    "sealed_answer": Target(
        lambda data: _exchange().open_response(data),
        REFUSAL,
        lambda: [_exchange().seal_response(InnerResponse(200, {"content-type": "application/json"}, b"{}"))],
    ),
    "sealed_answer_content": Target(
        _inside_of_answer, REFUSAL, lambda: [cbor.dumps([200, {"content-type": "application/json"}, b"{}"])]
    ),
}
