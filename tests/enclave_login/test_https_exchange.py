"""One HTTP exchange with a server that may answer anything, slowly, or not at all (OI-10, OI-12)."""

import asyncio
import ssl
from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enclave.errors import EgressError
from enclave.net import http
from protocol import limits
from simulator.tls import TlsAuthority
from tests.enclave_login.login_support import HOST, WRONG_CERTIFICATES, LoopbackEgress, ScriptedServer, response


async def exchange(
    answer: bytes | None, server_context: ssl.SSLContext, client: ssl.SSLContext, **changes: Any
) -> tuple[http.HttpResponse, bytes]:
    """The response to `answer`, and the request that the server saw."""
    async with ScriptedServer({"/x": answer}).listening(server_context) as server:
        arguments: dict[str, Any] = {"method": "GET", "host": HOST, "port": 443, "target": "/x", "headers": {}}
        arguments |= {"max_body_bytes": 1000, "deadline_s": 5.0} | changes
        egress = LoopbackEgress({(HOST, arguments["port"]): server.port})
        return await http.request(egress, client, **arguments), server.requests[0]


def parse(answer: bytes, max_body_bytes: int = 1000) -> http.HttpResponse:
    """What the reader makes of the bytes of a whole connection."""

    async def receive() -> http.HttpResponse:
        reader = asyncio.StreamReader()
        reader.feed_data(answer)
        reader.feed_eof()
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.MAX_HTTP_HEAD_BYTES)
        connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
        connection.send(h11.EndOfMessage())
        return await http._receive(connection, reader, max_body_bytes)

    return asyncio.run(receive())


def code_of(answer: bytes, max_body_bytes: int = 1000) -> str:
    """The refusal of an answer, as `request` would name it; empty for success."""
    try:
        parse(answer, max_body_bytes)
    except EgressError as error:
        return error.code
    except h11.RemoteProtocolError as error:
        return "http-too-large" if error.error_status_hint == 431 else "http-malformed"
    return ""


async def test_post_is_sent_whole_and_answered(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    headers = {"X-Amz-Target": "T", "Content-Type": "application/x-amz-json-1.1"}
    answer, request = await exchange(
        response(b"{}", extra="X-Id: a\r\nX-Id: b\r\n"),
        server_context,
        tls_context,
        method="POST",
        headers=headers,
        body=b"abc",
    )
    assert (answer.status, answer.body, answer.media_type) == (200, b"{}", "application/json")
    assert answer.headers["x-id"] == "a, b"
    lines = request.decode().split("\r\n")
    assert lines[0] == "POST /x HTTP/1.1"
    assert {"Host: " + HOST, "Content-Length: 3", "X-Amz-Target: T", "Connection: close"} <= set(lines)


async def test_host_header_names_an_unusual_port(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    _, request = await exchange(response(b""), server_context, tls_context, port=8443)
    assert f"Host: {HOST}:8443\r\n".encode() in request


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"X-Amz-Security-Token": "a\r\nHost: evil.test"}},
        {"headers": {"X-Amz-Security-Token": "ä"}},
        {"headers": {"bad name": "x"}},
        {"headers": {"Content-Length": "9"}},
        {"target": "/x HTTP/1.1\r\nHost: evil.test\r\n\r\n"},
        {"method": "GE T"},
    ],
)
async def test_request_that_would_smuggle_is_not_sent(tls_context: ssl.SSLContext, changes: dict[str, Any]) -> None:
    egress = LoopbackEgress({})
    arguments: dict[str, Any] = {"method": "GET", "host": HOST, "port": 443, "target": "/x", "headers": {}}
    with pytest.raises(EgressError, match="http-request"):
        await http.request(egress, tls_context, **arguments | changes, max_body_bytes=9, deadline_s=5)


async def test_redirect_is_returned_and_not_followed(
    server_context: ssl.SSLContext, tls_context: ssl.SSLContext
) -> None:
    answer, _ = await exchange(
        response(b"", status=302, extra=f"Location: https://{HOST}/y\r\n"), server_context, tls_context
    )
    assert answer.status == 302


async def test_head_without_end_is_refused_at_the_cap(
    server_context: ssl.SSLContext, tls_context: ssl.SSLContext
) -> None:
    endless = b"HTTP/1.1 200 OK\r\nPad: " + b"p" * (limits.MAX_HTTP_HEAD_BYTES + 100)
    with pytest.raises(EgressError, match="http-too-large"):
        await exchange(endless, server_context, tls_context, max_body_bytes=limits.MAX_JWKS_BYTES)


async def test_hung_server_meets_the_deadline(server_context: ssl.SSLContext, tls_context: ssl.SSLContext) -> None:
    with pytest.raises(EgressError, match="http-deadline"):
        await exchange(None, server_context, tls_context, deadline_s=0.2)


async def test_dripping_server_meets_the_one_deadline(
    server_context: ssl.SSLContext, tls_context: ssl.SSLContext
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"H" if reader.at_eof() else b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            writer.transport.abort()

    server = await asyncio.start_server(drip, "127.0.0.1", 0, ssl=server_context)
    async with server:
        egress = LoopbackEgress({(HOST, 443): server.sockets[0].getsockname()[1]})
        with pytest.raises(EgressError, match="http-deadline"):
            await http.request(
                egress, tls_context, method="GET", host=HOST, port=443, target="/", headers={}, max_body_bytes=9,
                deadline_s=0.3,
            )  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_CERTIFICATES)
async def test_wrong_certificate_sends_no_request(
    kind: str, authority: TlsAuthority, tls_context: ssl.SSLContext
) -> None:
    context = WRONG_CERTIFICATES[kind](authority, HOST).server_context()
    async with ScriptedServer({"/": response(b"")}).listening(context) as server:
        with pytest.raises(EgressError, match="tls-certificate"):
            await http.request(
                LoopbackEgress({(HOST, 443): server.port}), tls_context, method="GET", host=HOST, port=443, target="/",
                headers={}, max_body_bytes=9, deadline_s=5,
            )  # fmt: skip
        assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (response(b"x" * 1000), ""),
        (response(b"x" * 1001), "http-too-large"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n", ""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
            "http-too-large",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 999 + b"0\r\n\r\n", ""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(b"x"), ""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9000, "http-too-large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "http-too-large"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\n\r\nends when the parent says so", "http-malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "http-malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "http-malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabcd", "http-malformed"),
        (response(b"x", extra="Content-Encoding: gzip\r\n"), "http-malformed"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "http-malformed"),
        (b"220 mail.example.test ESMTP\r\n", "http-malformed"),
        (b"", "http-malformed"),
    ],
)
def test_answer(answer: bytes, code: str) -> None:
    assert code_of(answer) == code


def test_head_at_the_cap_passes_and_one_byte_more_is_refused() -> None:
    frame = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nPad: %b\r\n\r\nx"
    room = limits.MAX_HTTP_HEAD_BYTES - len(frame % b"") + 1
    assert code_of(frame % (b"p" * room)) == ""
    assert code_of(frame % (b"p" * (room + 1))) == "http-too-large"


def test_chunk_extensions_cannot_carry_an_endless_answer() -> None:
    chunk = b"1;" + b"e" * 4000 + b"\r\nx\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 900 + b"0\r\n\r\n"
    assert code_of(answer) == "http-too-large"


@settings(max_examples=150)
@given(st.binary(max_size=400).map(lambda tail: b"HTTP/1.1 " + tail))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n")
def test_any_answer_gives_a_response_or_one_error_family(answer: bytes) -> None:
    assert code_of(answer) in ("", "http-too-large", "http-malformed")
