"""From a frame to a method and back: limits before work, one answer for every request, errors translated in one place.

While booting or halted, only status and health answer. An exception that no method foresaw
becomes InternalError and is counted; nothing of it crosses the boundary (DO-07, LP-03).
"""

import base64
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from enclave import log
from enclave.channel import SEALED_METHOD, SealedChannel
from enclave.deadlines import Deadlines
from enclave.errors import Refusal
from enclave.receipts import HEADER as RECEIPT_HEADER
from enclave.receipts import NONCE_HEADER as RECEIPT_NONCE_HEADER
from enclave.receipts import Receipts, StartedReceipt
from enclave.rpc.attestation import Attestor
from enclave.rpc.envelope import Call, SignedCall, decode_call, encode_json, verify_envelope
from enclave.siblings import Siblings
from protocol import errors, limits
from protocol.frames import Request, Response

if TYPE_CHECKING:  # few deployments sign answers for clients that verify no documents
    from enclave.response_signing import ResponseSigner, Wanted

ACCEPT_SIGNATURE_HEADER: Final = "accept-signature"
NONCE_HEADER: Final = "x-attestation-nonce"
DOCUMENT_HEADER: Final = "x-attestation-document"
_NONCE: Final = re.compile(r"[A-Za-z0-9._\-/+=]+\Z")
_METHOD: Final = re.compile(r"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/[A-Za-z0-9/._-]{0,100})\Z")
_WEBRPC: Final = {"webrpc": "webrpc@v0.31.2;gen-golang@v0.23.3;identity-instrument@v0.1.0"}
_WEBRPC_ADMIN: Final = {"webrpc": "webrpc@v0.23.1;gen-golang@v0.17.0;identity-instrument@v0.1.0"}
_ADMIN: Final = "/rpc/IdentityInstrumentAdmin/"
_PUBLISHED: Final = "/.well-known/"
_AS_IT_CAME: Final = "plain"
_OPENED: Final = "opened"
"""Between workers: a request as the host sent it, or one that came sealed and was opened."""

SignedMethod = Callable[[SignedCall], Awaitable[Any]]
OpenMethod = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Methods:
    """What a role serves: methods that see verified envelopes, and methods that take no identity."""

    signed: Mapping[str, SignedMethod]
    open: Mapping[str, OpenMethod]
    signer: "ResponseSigner | None" = None
    """Who signs answers, where the image says in whose name."""
    background: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()
    """What goes on beside requests, as long as the enclave serves."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Every method there is: `signed` ones see only verified envelopes; `open` ones take no identity; `always` ones
    answer in every phase, as `(status, body)`.
    """

    signed: Mapping[str, SignedMethod]
    open: Mapping[str, OpenMethod]
    always: Mapping[str, Callable[[], tuple[int, Any]]]
    signer: "ResponseSigner | None" = None


class Dispatcher:
    """Answers requests. Until `serve` is called only the routes that are always there answer."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._attestor: Attestor | None = None
        self._channel: SealedChannel | None = None
        self._receipts: Receipts | None = None
        self._siblings: Siblings | None = None
        self._running = 0
        self._deadlines: Deadlines[Response] = Deadlines(limits.REQUEST_DEADLINE_S)
        self.failures = 0

    def serve(
        self,
        routes: Routes,
        attestor: Attestor,
        channel: SealedChannel,
        receipts: Receipts,
        siblings: Siblings | None = None,
    ) -> None:
        """From now on every route of `routes` answers, sealed or not, with the proofs that the caller asks for.

        With `siblings`, a request whose key another worker owns is answered by that one.
        """
        self._routes, self._attestor, self._channel, self._receipts = routes, attestor, channel, receipts
        self._siblings = siblings

    async def answer(self, request: Request) -> Response:
        """The response to one frame of the host; never raises but for cancellation."""
        if self._running >= limits.MAX_IN_FLIGHT:
            return _error(request.id, errors.BUSY)
        self._running += 1
        try:
            if self._siblings is not None and (owner := self._elsewhere(request, self._siblings)) is not None:
                asked = self._siblings.ask(owner, f"{_AS_IT_CAME} {request.method}", request)
                return await self._in_time(asked, request.id)
            return await self._answer_here(request)
        finally:
            self._running -= 1

    async def take_over(self, request: Request) -> Response:
        """The response to what another worker hands over, because this one owns its key; never raises either."""
        how, _, method = request.method.partition(" ")
        handed = Request(request.id, method, request.headers, request.body)
        if how == _OPENED:
            return await self._in_time(self._answer(handed, sealed=True), handed.id)
        return await self._answer_here(handed)

    def _answer_here(self, request: Request) -> Awaitable[Response]:
        if request.method == SEALED_METHOD and self._channel is not None:
            return self._translated(request.id, self._answer_sealed(request, self._channel))
        return self._in_time(self._answer(request), request.id)

    async def _answer_sealed(self, request: Request, channel: SealedChannel) -> Response:
        """As if the request inside had come plain; every answer to it, errors and lateness included, is sealed."""
        opened = channel.open(request)
        inner = opened.request
        if self._siblings is not None and (owner := self._elsewhere(inner, self._siblings)) is not None:
            answer = self._siblings.ask(owner, f"{_OPENED} {inner.method}", inner)
        else:
            answer = self._answer(inner, sealed=True)
        return opened.seal(await self._in_time(answer, inner.id))

    def _elsewhere(self, request: Request, siblings: Siblings) -> int | None:
        """The other worker that answers a request of a known route, if it is not for this one."""
        path = request.method.partition(" ")[2]
        known = path in self._routes.signed or path in self._routes.open or request.method == SEALED_METHOD
        return siblings.elsewhere(request) if known and len(request.body) <= limits.MAX_BODY_BYTES else None

    def _in_time(self, answer: Coroutine[Any, Any, Response], request_id: int) -> Awaitable[Response]:
        return self._translated(request_id, self._deadlines.run(answer))

    async def _translated(self, request_id: int, answer: Awaitable[Response]) -> Response:
        """`answer`, or the error that kept it from coming."""
        try:
            return await answer
        except TimeoutError:
            return _error(request_id, errors.DEADLINE_EXCEEDED)
        except Refusal as refusal:
            return _error(request_id, refusal.error, refusal.cause)
        except Exception as error:  # noqa: BLE001  the last edge: a code, a counter, and the service lives on
            self.failures += 1
            log.event("unforeseen", type=type(error).__name__, count=self.failures)
            return _error(request_id, errors.INTERNAL_ERROR)

    async def _answer(self, request: Request, *, sealed: bool = False) -> Response:
        if len(request.body) > limits.MAX_BODY_BYTES:
            raise Refusal(errors.REQUEST_TOO_LARGE)
        match = _METHOD.match(request.method)
        if match is None:
            raise Refusal(errors.BAD_ROUTE)
        call = Call(match[1], match[2], request.headers, request.body, sealed)
        nonce = _require_nonce(NONCE_HEADER, request.headers)
        receipt = self._begin_receipt(call)
        wanted = self._wanted_signature(call, nonce, receipt)
        if nonce is None or self._attestor is None:
            status, body, headers = await self._run(call)
        else:
            with self._attestor.slot():
                status, body, headers = await self._run(call)
                document = await self._attestor.for_response(call, nonce, body)
            headers[DOCUMENT_HEADER] = base64.b64encode(document).decode()
        if receipt is not None:
            headers[RECEIPT_HEADER] = receipt.finish(status, body)
        if wanted is not None and self._routes.signer is not None:
            headers |= await self._routes.signer.sign(wanted, call, status, body, headers)
        return Response(request.id, status, headers, body)

    def _begin_receipt(self, call: Call) -> StartedReceipt | None:
        nonce = _require_nonce(RECEIPT_NONCE_HEADER, call.headers)
        return None if nonce is None or self._receipts is None else self._receipts.begin(call, nonce)

    def _wanted_signature(self, call: Call, nonce: str | None, receipt: StartedReceipt | None) -> "Wanted | None":
        """What signature the caller asks for; None where nobody signs."""
        asked = call.headers.get(ACCEPT_SIGNATURE_HEADER)
        if asked is None or self._routes.signer is None:
            return None
        document = [] if nonce is None or self._attestor is None else [DOCUMENT_HEADER]
        return self._routes.signer.wanted(asked, document if receipt is None else [*document, RECEIPT_HEADER])

    async def _run(self, call: Call) -> tuple[int, bytes, dict[str, str]]:
        headers = {"content-type": "application/json"}
        try:
            if call.path in self._routes.always:
                status, value = self._routes.always[call.path]()
                return status, encode_json(value) + b"\n", headers
            if self._attestor is None:
                raise Refusal(errors.NOT_SERVING)
            if call.path in self._routes.open:
                return 200, encode_json(await self._routes.open[call.path](call)), headers
            if call.path in self._routes.signed:
                envelope = verify_envelope(call)
                if self._siblings is not None:
                    self._siblings.require_own(call.path, envelope.auth_key)
                headers |= _WEBRPC_ADMIN if call.path.startswith(_ADMIN) else _WEBRPC  # only past the signature
                signed = decode_call(call, envelope)
                return 200, encode_json(await self._routes.signed[call.path](signed)), headers
            raise Refusal(errors.BAD_ROUTE)
        except Refusal as refusal:  # an error is attested like any other answer
            if refusal.error is errors.BAD_METHOD:
                headers["allow"] = "GET" if call.path.startswith(_PUBLISHED) else "POST"
            return refusal.error.status, encode_json(errors.error_body(refusal.error, refusal.cause)), headers


def _require_nonce(header: str, headers: Mapping[str, str]) -> str | None:
    nonce = headers.get(header)
    if not nonce:
        return None
    name = header.title()
    if len(nonce) > limits.MAX_NONCE_HEADER_CHARS:
        raise Refusal(errors.ENDPOINT_ERROR, f"{name} value cannot be longer than 32")
    if not _NONCE.match(nonce):
        raise Refusal(errors.ENDPOINT_ERROR, f"{name} value contains invalid characters")
    return nonce


def _error(request_id: int, error: errors.ErrorCode, cause: str = "") -> Response:
    body = encode_json(errors.error_body(error, cause))
    return Response(request_id, error.status, {"content-type": "application/json"}, body)
