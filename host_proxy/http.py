"""The public HTTP API as an ASGI application: routes, limits before work, new requests made from listed parts.

Trust side: host. A request is taken apart and a new one is made for the enclave: method name, body, and listed headers
by name (VS-05: re-emitted, never forwarded). `X-Sequence-Scope` comes from the host's configuration; what a client
sends under any `X-Sequence-` name but `X-Sequence-Project` goes nowhere. Answers carry listed headers only. Formats:
identity-instrument.md 1.1 to 1.4.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from host_proxy import cors
from host_proxy.client_address import ClientAddresses
from host_proxy.enclave_link import WorkerPool
from host_proxy.errors import Refused
from host_proxy.health import HealthMonitor
from host_proxy.listed_headers import RETURNED, check_single, forwarded
from host_proxy.logging import Log, Pseudonyms
from host_proxy.metrics import OTHER, SERVICES, Metrics
from host_proxy.rate_limit import TokenBuckets
from host_proxy.routing import routing_key
from host_proxy.trace_id import choose_trace_id
from protocol import errors, limits
from protocol.errors import ErrorCode, error_body
from protocol.frames import Response

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

NOT_FOUND_TEXT: Final = b"404 page not found\n"
_READ: Final[Mapping[str, str]] = {
    "/status": "status",
    "/health": "health",
    "/.well-known/openid-configuration": OTHER,
    "/.well-known/jwks.json": OTHER,
}
"""What is read without a body, and as which service it is counted."""

_RPC_PATH: Final = re.compile(r"/rpc/([A-Za-z]{1,48})/[A-Za-z0-9]{1,48}\Z")
_RPC_METHODS: Final = frozenset({"POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"})
_VISIBLE: Final = re.compile(r"[\x20-\x7e]*\Z")
_NO_STORE: Final = (b"cache-control", b"no-store")
_JSON: Final = (b"content-type", b"application/json")
_LENGTH_DIGITS: Final = 20
_FAILURES_LOGGED_PER_S: Final = 20.0


class _ClientGone(Exception):
    """The client left before its request was whole."""


class Reply(msgspec.Struct, frozen=True):
    """What goes back to the client, cross-origin headers not yet added."""

    status: int
    headers: cors.RawHeaders
    body: bytes = b""
    code: int = 0
    """The numeric code of the error table, 0 for none."""


class _Call(msgspec.Struct):
    """One request as far as the host looks at it."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    client: str
    trace_id: str
    service: str = OTHER
    started: float = msgspec.field(default_factory=time.perf_counter)

    def forwarded(self, *names: bytes) -> dict[str, str]:
        """The listed headers that the client sent, as the enclave gets them."""
        return {name.decode("ascii"): self.headers[name].decode("latin-1") for name in names if name in self.headers}


class Ingress:
    """The ASGI application. `scope`: `X-Sequence-Scope` of every request, or None; `pages`: files by path."""

    def __init__(
        self,
        *,
        pool: WorkerPool,
        health: HealthMonitor,
        clients: ClientAddresses,
        by_client: TokenBuckets,
        by_auth_key: TokenBuckets,
        scope: str | None,
        log: Log,
        metrics: Metrics,
        pages: Mapping[str, Reply],
    ) -> None:
        self._pool = pool
        self._health = health
        self._clients = clients
        self._by_client = by_client
        self._by_auth_key = by_auth_key
        self._scope_headers = {} if scope is None else {"x-sequence-scope": scope}
        self._pages = pages
        self._log = log
        self._metrics = metrics
        self._pseudonyms = Pseudonyms()
        self._failures = TokenBuckets(rate=_FAILURES_LOGGED_PER_S, burst=_FAILURES_LOGGED_PER_S, max_keys=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        peer = scope["client"][0] if scope["client"] else ""
        forwarded_for = headers.get(b"x-forwarded-for")
        client = self._clients.of(peer, None if forwarded_for is None else forwarded_for.decode("latin-1"))
        # The raw path: the enclave hashes what it is told, so nothing is decoded on the way.
        trace_id = choose_trace_id(headers.get(b"traceid"))
        call = _Call(scope["method"], scope["raw_path"].decode("latin-1"), headers, client, trace_id)
        try:
            check_single(scope["headers"])
            reply = await self._answer(call, receive)
        except Refused as refusal:
            reply = error_reply(refusal.error, refusal.cause, retry_after_s=refusal.retry_after_s)
        except _ClientGone:
            return
        except asyncio.CancelledError:  # the host stops and waits no longer
            await _send(error_reply(errors.NOT_SERVING), call, send)
            raise
        except Exception as error:  # noqa: BLE001  one generic answer, and the service lives (DO-07)
            self._metrics.faults.inc()
            self._log.fault("http", error)
            reply = error_reply(errors.INTERNAL_ERROR)
        self._account(call, reply)
        await _send(reply, call, send)

    async def _answer(self, call: _Call, receive: Receive) -> Reply:
        if wait_s := self._by_client.take(call.client):
            self._metrics.limited("client")
            raise Refused(errors.USAGE_LIMIT_EXCEEDED, retry_after_s=wait_s)
        if _is_preflight(call):
            return Reply(204, [])
        if match := _RPC_PATH.match(call.path):
            call.service = match[1] if match[1] in SERVICES else OTHER
            return await self._rpc(call, match[1], receive)
        page = self._pages.get(call.path)
        if page is None and call.path not in _READ:
            return Reply(404, [(b"content-type", b"text/plain; charset=utf-8")], NOT_FOUND_TEXT)
        call.service = _READ.get(call.path, OTHER)
        if call.method not in ("GET", "HEAD"):
            return error_reply(errors.BAD_METHOD, allow=b"GET, HEAD")
        if page is not None:
            return page
        if call.path == "/health" and b"x-attestation-nonce" not in call.headers:
            return await self._report()
        return await self._from_enclave(call)

    async def _rpc(self, call: _Call, service: str, receive: Receive) -> Reply:
        if call.method not in _RPC_METHODS:
            return error_reply(errors.BAD_METHOD, allow=b"POST")
        body = await _read_body(call.headers, receive)
        key = routing_key(body)
        # By client and key together: nobody can use up the rate of a key that is not theirs from elsewhere.
        if key and (wait_s := self._by_auth_key.take(f"{call.client} {key}")):
            self._metrics.limited("auth_key")
            raise Refused(errors.USAGE_LIMIT_EXCEEDED, retry_after_s=wait_s)
        headers = self._scope_headers | call.forwarded(*forwarded(service))
        answer = await self._pool.owner_of(call.path, body, key).call(f"{call.method} {call.path}", headers, body)
        return _reply_of(answer)

    async def _from_enclave(self, call: _Call) -> Reply:
        """The enclave's own answer, attested or signed where the client asks for that."""
        headers = call.forwarded(b"accept-signature", b"x-attestation-nonce")
        return _reply_of(await self._pool.owner(None).call(f"GET {call.path}", headers, b""))

    async def _report(self) -> Reply:
        report = await self._health.report()
        return Reply(report.http_status, [_JSON], msgspec.json.encode(report))

    def _account(self, call: _Call, reply: Reply) -> None:
        seconds = time.perf_counter() - call.started
        self._metrics.request(call.service, reply.status, seconds)
        if reply.status >= 500 and not self._failures.take(""):
            self._log.event(
                "http.failed",
                route=call.service,
                status=reply.status,
                code=reply.code,
                trace=call.trace_id,
                client=self._pseudonyms.of(call.client),
                duration_ms=round(seconds * 1000, 1),
            )


def error_reply(error: ErrorCode, cause: str = "", *, retry_after_s: float = 0.0, allow: bytes = b"") -> Reply:
    """An answer in the error body of the wire format, with the headers that belong to its status."""
    headers = [_JSON]
    if allow:
        headers.append((b"allow", allow))
    if retry_after_s:
        seconds = b"%d" % (int(retry_after_s) + 1)
        headers += [(b"retry-after", seconds), (b"x-ratelimit-remaining", b"0"), (b"x-ratelimit-reset", seconds)]
    return Reply(error.status, headers, msgspec.json.encode(error_body(error, cause)), error.code)


def _reply_of(answer: Response) -> Reply:
    """The enclave's answer with listed headers only; what HTTP cannot carry is our failure, not the client's."""
    if answer.status == errors.BUSY.status and not answer.body:  # from a full connection, before any method
        raise Refused(errors.BUSY)
    returned = {name: value for name, value in answer.headers.items() if name in RETURNED}
    if not 200 <= answer.status <= 599 or not all(map(_VISIBLE.match, returned.values())):
        raise Refused(errors.INTERNAL_ERROR)
    headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in returned.items()]
    return Reply(answer.status, headers, answer.body)


async def _send(reply: Reply, call: _Call, send: Send) -> None:
    origin, preflight = call.headers.get(b"origin"), reply.status == 204 and _is_preflight(call)
    ours = cors.preflight_headers(origin) if preflight else cors.response_headers(origin)
    length = [] if reply.status == 204 else [(b"content-length", b"%d" % len(reply.body))]
    headers = [*reply.headers, *ours, _NO_STORE, (b"traceid", call.trace_id.encode("ascii")), *length]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The whole body, never more than `MAX_BODY_BYTES` of it; the edge sees to the deadline."""
    declared = headers.get(b"content-length", b"0")
    if int(declared[:_LENGTH_DIGITS]) > limits.MAX_BODY_BYTES:  # the edge let through nothing but digits
        raise Refused(errors.REQUEST_TOO_LARGE)
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        body += bytes(message["body"])
        if len(body) > limits.MAX_BODY_BYTES:
            raise Refused(errors.REQUEST_TOO_LARGE)
        if not message["more_body"]:
            return body


def _is_preflight(call: _Call) -> bool:
    return call.method == "OPTIONS" and b"access-control-request-method" in call.headers
