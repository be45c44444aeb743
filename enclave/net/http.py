"""One HTTP/1.1 exchange over TLS: no redirects, no reuse, every size and the whole time bounded (OI-10, OI-12).

Trust side: enclave. The answer comes from the server that TLS named and is still untrusted content. A body without
length or chunks is refused: its end is the end of the connection, which the parent chooses.
Format: RFC 9112, read by h11.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import h11

from enclave.errors import EgressError
from enclave.net.tls import open_stream
from enclave.ports import Egress
from protocol import limits

_READ_BYTES: Final = 16 * limits.KIB
_HTTPS_PORT: Final = 443
_BODILESS: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """`headers` has lower-case names; values of repeated headers are joined with a comma (RFC 9110 section 5.3)."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without parameters, lower case; empty when absent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


async def request(
    egress: Egress,
    tls_context: ssl.SSLContext,
    *,
    method: str,
    host: str,
    port: int,
    target: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    max_body_bytes: int,
    deadline_s: float,
) -> HttpResponse:
    """Send one request to `https://host:port` and read the answer, whatever its status.

    `headers` may name `Host`; otherwise it is derived. Raises only `EgressError`: `http-request` (a target or header
    that HTTP cannot carry; nothing is sent), `http-deadline`, `http-too-large`, `http-malformed`, `http-closed`,
    `tls-broken`, and those of `open_stream`.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.MAX_HTTP_HEAD_BYTES)
    try:
        message = _encode(connection, method, target, _headers(host, port, headers, body), body)
    except (h11.LocalProtocolError, UnicodeEncodeError):
        raise EgressError("http-request") from None
    try:
        async with asyncio.timeout(deadline_s):
            reader, writer = await open_stream(egress, tls_context, host, port)
            try:
                writer.write(message)
                await writer.drain()
                return await _receive(connection, reader, max_body_bytes)
            finally:
                writer.transport.abort()  # a polite shutdown would wait for the other side
    except TimeoutError:
        raise EgressError("http-deadline") from None
    except h11.RemoteProtocolError as error:
        raise EgressError("http-too-large" if error.error_status_hint == 431 else "http-malformed") from None
    except ssl.SSLError:
        raise EgressError("tls-broken") from None
    except OSError:
        raise EgressError("http-closed") from None


def _headers(host: str, port: int, headers: Mapping[str, str], body: bytes) -> list[tuple[str, str]]:
    names = {name.lower() for name in headers}
    derived = {
        "Host": host if port == _HTTPS_PORT else f"{host}:{port}",
        "Content-Length": str(len(body)),
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if not body:
        del derived["Content-Length"]
    return [*((name, value) for name, value in derived.items() if name.lower() not in names), *headers.items()]


def _encode(connection: h11.Connection, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    events = [h11.Request(method=method, target=target, headers=headers), h11.EndOfMessage()]
    if body:
        events.insert(1, h11.Data(data=body))
    return b"".join(connection.send(event) or b"" for event in events)


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader, max_body_bytes: int) -> HttpResponse:
    budget = limits.MAX_HTTP_HEAD_BYTES + 2 * max_body_bytes  # leaves room for the frames of a chunked body
    response: h11.Response | None = None
    received, body = 0, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_READ_BYTES)
            received += len(data)
            if received > budget:
                raise EgressError("http-too-large")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            if received - len(connection.trailing_data[0]) > limits.MAX_HTTP_HEAD_BYTES:
                raise EgressError("http-too-large")
            _check_framing(event, max_body_bytes)
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > max_body_bytes:
                raise EgressError("http-too-large")
        elif isinstance(event, h11.EndOfMessage) and response is not None:
            return HttpResponse(response.status_code, _joined(response), bytes(body))
        elif not isinstance(event, h11.InformationalResponse):
            raise EgressError("http-malformed")


def _check_framing(response: h11.Response, max_body_bytes: int) -> None:
    headers = _joined(response)
    if int(headers.get("content-length", "0")) > max_body_bytes:
        raise EgressError("http-too-large")
    framed = "content-length" in headers or "transfer-encoding" in headers or response.status_code in _BODILESS
    if not framed or headers.get("content-encoding", "identity").lower() != "identity":
        raise EgressError("http-malformed")


def _joined(response: h11.Response) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
