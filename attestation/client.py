"""A client that attests first and then seals: transports for `httpx`, sync and async (CH-01, CH-09).

    service = Service(url="https://wallet.example", image=measurements)
    with httpx.Client(base_url=service.url, transport=SealedTransport(service)) as client:
        client.post("/rpc/Session/List", json=...)

Before the first request the transport asks the service for an attestation document with a nonce of its own, verifies
it against roots, image and binding, and pins the channel key that it binds. Every request is then sealed to that key.
There is no way to send one otherwise: what is not verified gets nothing, and what is not sealed is not believed.
Only this module needs `httpx`, which the rest of the verifier does without.
"""

import json
import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx

from attestation import channel
from attestation.channel import Exchange, InnerRequest
from attestation.errors import AttestationError
from attestation.policy import DEFAULT_MAX_AGE_MS, AllOf, Binding, Policy, online
from attestation.roots import AMAZON, TrustRoot
from attestation.verify import VerifiedDocument, verify
from protocol import canonical_json, limits
from protocol.base64url import decode_b64u, encode_b64u
from protocol.errors import CHANNEL_KEY_UNKNOWN, ProtocolError

DOCUMENT_PATH: Final = "/rpc/Attestation/Document"
DEFAULT_PIN_MS: Final = 900_000

_NONCE_BYTES: Final = 32
_MAX_NAME: Final = 48
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service, and what its enclave has to prove before it gets anything."""

    url: str
    """Scheme, host and port."""
    image: Policy
    """Which images are acceptable."""
    roots: tuple[TrustRoot, ...] = (AMAZON,)
    binding: Binding = field(default_factory=Binding)
    """May demand a deployment, an identity key or a configuration, too."""
    max_age_ms: int = DEFAULT_MAX_AGE_MS
    pin_ms: int = DEFAULT_PIN_MS
    """How long an attested channel key is used before the enclave has to attest anew."""


@dataclass(frozen=True, slots=True)
class _Pin:
    document: VerifiedDocument
    channel_key: bytes
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came over the network, whole and not believed."""

    status: int
    content_type: str
    body: bytes

    @property
    def is_sealed(self) -> bool:
        """Whether it claims to be sealed, which opening it will show."""
        return self.status == 200 and self.content_type == channel.CONTENT_TYPE

    def json(self) -> dict[str, Any]:
        """The JSON object in the body, or an empty one."""
        try:
            value = canonical_json.parse(self.body, max_bytes=limits.MAX_FRAME_BYTES)
        except ProtocolError:
            return {}
        return value if isinstance(value, dict) else {}

    def error(self) -> dict[str, Any]:
        """The error body of an answer that is not sealed. Whoever wrote it: it leads to a refusal or one more try."""
        return {} if self.is_sealed else self.json()

    def claim(self) -> str:
        """What such an answer says, for people."""
        name = self.error().get("error")
        is_name = isinstance(name, str) and name.isascii() and name.isalnum() and len(name) <= _MAX_NAME
        return f"status {self.status}, {name}" if is_name else f"status {self.status}"


_Flow = Generator[httpx.Request, _Answer, httpx.Response]


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class _Sealer:
    """What both transports do, without I/O: a flow yields plain requests to send and is sent their answers."""

    def __init__(self, service: Service, clock: Callable[[], int]) -> None:
        self._service = service
        self._url = httpx.URL(service.url)
        self._clock = clock
        self._pin: _Pin | None = None

    @property
    def document(self) -> VerifiedDocument | None:
        """The document that vouches for the channel key in use; None before the first request."""
        return None if self._pin is None else self._pin.document

    def _flow(self, request: httpx.Request, body: bytes) -> _Flow:
        if (request.url.scheme, request.url.netloc) != (self._url.scheme, self._url.netloc):
            raise AttestationError("channel-elsewhere", request.url.host)
        pin = self._pin
        if pin is None or self._clock() > pin.until_ms:
            pin = yield from self._attest(request)
        method = f"{request.method} {request.url.raw_path.decode('ascii')}"
        headers = {name: value for name, value in request.headers.items() if name in channel.REQUEST_HEADERS}
        inner = InnerRequest(method, headers, body)
        # One id for both attempts: should the first have arrived after all, the enclave refuses the second.
        request_id = secrets.token_bytes(channel.REQUEST_ID_BYTES)
        answer, exchange = yield from self._ask(request, pin, inner, request_id)
        if answer.error().get("code") == CHANNEL_KEY_UNKNOWN.code:
            pin = yield from self._attest(request)
            answer, exchange = yield from self._ask(request, pin, inner, request_id)
        if not answer.is_sealed:
            raise AttestationError("channel-unsealed", answer.claim())
        opened = exchange.open_response(answer.body)
        extensions = {"attestation": pin.document}
        return httpx.Response(opened.status, headers=dict(opened.headers), content=opened.body, extensions=extensions)

    def _ask(
        self, cause: httpx.Request, pin: _Pin, inner: InnerRequest, request_id: bytes
    ) -> Generator[httpx.Request, _Answer, tuple[_Answer, Exchange]]:
        envelope, exchange = channel.seal_request(pin.channel_key, inner, request_id)
        return (yield self._plain(cause, channel.PATH, envelope, channel.CONTENT_TYPE)), exchange

    def _attest(self, cause: httpx.Request) -> Generator[httpx.Request, _Answer, _Pin]:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        asked_ms = self._clock()
        body = json.dumps({"nonce": encode_b64u(nonce)}).encode()
        answer = yield self._plain(cause, DOCUMENT_PATH, body, _JSON)
        service = self._service
        policy = AllOf((online(service.image, nonce, service.max_age_ms), service.binding))
        verified = verify(_document_in(answer), policy, self._clock(), service.roots)
        until_ms = min(asked_ms + service.pin_ms, verified.not_after_ms)
        self._pin = _Pin(verified, verified.binding().channel_key, until_ms)
        return self._pin

    def _plain(self, cause: httpx.Request, path: str, body: bytes, content_type: str) -> httpx.Request:
        """What the host gets to see. `cause` gives its time-outs."""
        extensions = {name: value for name, value in cause.extensions.items() if name == "timeout"}
        headers = {"content-type": content_type, "accept-encoding": "identity"}
        return httpx.Request("POST", self._url.join(path), headers=headers, content=body, extensions=extensions)


class SealedTransport(_Sealer, httpx.BaseTransport):
    """For `httpx.Client`. Raises `AttestationError`, or what `outer` raises; what it returns is the enclave's answer,
    with the document that vouches for it as extension `attestation`.
    """

    def __init__(
        self, service: Service, *, outer: httpx.BaseTransport | None = None, clock: Callable[[], int] = _wall_ms
    ) -> None:
        super().__init__(service, clock)
        self._outer = outer or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        flow = self._flow(request, request.read())
        try:
            outgoing = next(flow)
            while True:
                response = self._outer.handle_request(outgoing)
                body = _Body()
                try:
                    for chunk in [response.content] if response.is_stream_consumed else response.iter_raw():
                        body.add(chunk)
                finally:
                    response.close()
                outgoing = flow.send(body.answer(response))
        except StopIteration as done:
            return cast(httpx.Response, done.value)

    def close(self) -> None:
        self._outer.close()


class AsyncSealedTransport(_Sealer, httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`; otherwise as `SealedTransport`."""

    def __init__(
        self, service: Service, *, outer: httpx.AsyncBaseTransport | None = None, clock: Callable[[], int] = _wall_ms
    ) -> None:
        super().__init__(service, clock)
        self._outer = outer or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        flow = self._flow(request, await request.aread())
        try:
            outgoing = next(flow)
            while True:
                response = await self._outer.handle_async_request(outgoing)
                body = _Body()
                try:
                    if response.is_stream_consumed:
                        body.add(response.content)
                    else:
                        async for chunk in response.aiter_raw():
                            body.add(chunk)
                finally:
                    await response.aclose()
                outgoing = flow.send(body.answer(response))
        except StopIteration as done:
            return cast(httpx.Response, done.value)

    async def aclose(self) -> None:
        await self._outer.aclose()


class _Body:
    """A body as it comes in, never more of it than an answer may have."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, chunk: bytes) -> None:
        self._data += chunk
        if len(self._data) > limits.MAX_FRAME_BYTES:
            raise AttestationError("channel-too-large")

    def answer(self, response: httpx.Response) -> _Answer:
        return _Answer(response.status_code, response.headers.get("content-type", ""), bytes(self._data))


def _document_in(answer: _Answer) -> bytes:
    document = answer.json().get("document") if answer.status == 200 else None
    if not isinstance(document, str):
        raise AttestationError("input-unreachable", f"status {answer.status}")
    data = decode_b64u(document)
    if data is None:
        raise AttestationError("input-unreachable", "not base64url")
    return data
