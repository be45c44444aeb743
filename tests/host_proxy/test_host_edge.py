"""The HTTP/1.1 edge through real sockets: smuggling, slow and greedy clients, ends of connections (VS-03 to VS-05)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from host_proxy.client_address import ClientAddresses
from host_proxy.config import HostPort
from host_proxy.http import Receive, Scope, Send
from host_proxy.http_door import Deadlines, Door
from host_proxy.http_server import HttpServer
from host_proxy.metrics import Metrics
from protocol import errors, limits

BODY = b'{"a":1}'


class App:
    """Answers with what it was asked; `gate` holds answers back."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        await self.gate.wait()
        self.seen.append((scope["path"], body))
        answer = b"ok " + scope["path"].encode()
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


class Edge:
    def __init__(self, server: HttpServer, app: App, door: Door) -> None:
        self.server, self.app, self.door = server, app, door

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    async def exchange(self, *pieces: bytes) -> bytes:
        """All that comes back for `pieces` until the connection ends; our half stays open."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        return answer


StartEdge = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def start_edge() -> AsyncIterator[StartEdge]:
    servers = []

    async def start(*, deadlines: Deadlines | None = None, **caps: int) -> Edge:
        app = App()
        door = Door(ClientAddresses(), Metrics(), **caps)
        server = HttpServer(
            app, listen=HostPort("127.0.0.1", 0), door=door, deadlines=deadlines or Deadlines(), sweep_s=0.02
        )
        await server.start()
        servers.append(server)
        return Edge(server, app, door)

    yield start
    for server in servers:
        await server.stop(0)


@asynccontextmanager
async def connection(edge: Edge) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await edge.connect()
    try:
        yield reader, writer
    finally:
        writer.close()


def post(path: str = "/x", *extra: str, body: bytes = BODY, length: bool = True) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: h", *extra]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def assert_refused(answer: bytes, error: errors.ErrorCode) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % error.status), answer
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    assert json.loads(body) == errors.error_body(error)


async def test_head_gets_the_head_alone_and_the_connection_goes_on(start_edge: StartEdge) -> None:
    edge = await start_edge()
    answer = await edge.exchange(
        b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /bc HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    first, second = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert b"content-length: 5\r\n" in first
    assert first.endswith(b"\r\n\r\n"), "no body"
    assert b"connection: close" not in first
    assert second.endswith(b"connection: close\r\n\r\nok /bc")


# --- smuggling ---

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

POST = b"POST /x HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

CORPUS = {
    "both length headers": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, other order": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "doubled length, same": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "doubled length, other": POST + b"Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}",
    "length list": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "empty length": POST + b"Content-Length:\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "doubled coding": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "coding in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding with tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "coding in 1.0": b"POST /x HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF after the line": b"POST /x HTTP/1.1\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    "bare LF after a header": b"POST /x HTTP/1.1\r\nHost: h\nContent-Length: 2\r\n\r\n{}",
    "bare LF at the end": POST + b"Content-Length: 2\r\n\n{}",
    "bare CR in a header": POST + b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "folded header": POST + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "space before colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "space before name": b"POST /x HTTP/1.1\r\n Host: h\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in a value": POST + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in a name": POST + b"X\x00: a\r\nContent-Length: 2\r\n\r\n{}",
    "chunk size with sign": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "chunk size with prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size with spaces": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "chunk size overflow": CHUNKED + b"fffffffffffffffff\r\n{}",
    "chunk ended by LF": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "chunk without end": CHUNKED + b"2\r\n{}x0\r\n\r\n",
    "empty chunk size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "LF inside a chunk extension": CHUNKED + b"2;a\n{}\r\n0\r\n\r\n",
    "absolute form": b"POST http://evil/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    "authority form": b"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "target without slash": b"GET x HTTP/1.1\r\nHost: h\r\n\r\n",
    "no host": b"GET /x HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /x HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
    "upgrade": b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "upgrade to h2c": POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "unknown version": b"GET /x HTTP/3.0\r\nHost: h\r\n\r\n",
    "unknown method": b"SMUGGLE /x HTTP/1.1\r\nHost: h\r\n\r\n",
    "lower-case method": b"get /x HTTP/1.1\r\nHost: h\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "noise": bytes(range(256)),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
async def test_ambiguous_or_malformed_request_is_refused_and_nothing_after_it_is_read(
    start_edge: StartEdge, name: str
) -> None:
    edge = await start_edge()
    answer = await edge.exchange(CORPUS[name] + SMUGGLED)
    assert_refused(answer, errors.BAD_REQUEST)
    assert answer.count(b"HTTP/1.1") == 1
    assert [path for path, _ in edge.app.seen] == []


async def test_request_split_at_every_byte_means_the_same(start_edge: StartEdge) -> None:
    edge = await start_edge()
    request = post("/split", "X: y")
    async with connection(edge) as (reader, writer):
        for position in range(len(request)):
            writer.write(request[position : position + 1])
            await asyncio.sleep(0)
        assert b"ok /split" in await read_answer(reader)
    assert edge.app.seen == [("/split", BODY)]


async def test_chunked_request_is_taken_apart_and_its_end_is_kept(start_edge: StartEdge) -> None:
    edge = await start_edge()
    head = b"POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with connection(edge) as (reader, writer):
        writer.write(head + b"3\r\n{}x\r\n1;ext=1\r\ny\r\n0\r\nTrailer: z\r\n\r\n" + post("/next"))
        assert b"ok /chunks" in await read_answer(reader)
        assert b"ok /next" in await read_answer(reader)
    assert edge.app.seen == [("/chunks", b"{}xy"), ("/next", BODY)]


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """One answer with a length."""
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return head + await reader.readexactly(int(length.partition(b":")[2]))


# --- order ---


async def test_pipelined_requests_are_answered_in_order(start_edge: StartEdge) -> None:
    edge = await start_edge()
    async with connection(edge) as (reader, writer):
        writer.write(b"".join(post(f"/{number}") for number in range(5)))
        for number in range(5):
            assert (await read_answer(reader)).endswith(b"ok /%d" % number)


async def test_malformed_request_behind_a_good_one_does_not_take_its_answer(start_edge: StartEdge) -> None:
    edge = await start_edge()
    edge.app.gate.clear()
    reader, writer = await edge.connect()
    writer.write(post("/good") + b"BAD\r\n\r\n" + SMUGGLED)
    await asyncio.sleep(0.05)
    edge.app.gate.set()
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"ok /good"), "and not a word about the other one"


async def test_malformed_body_of_the_request_being_read_is_answered_once(start_edge: StartEdge) -> None:
    edge = await start_edge()
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    reader, writer = await edge.connect()
    writer.write(head)
    await asyncio.sleep(0.05)
    writer.write(b"nonsense\r\n")
    async with asyncio.timeout(5):
        assert_refused(await reader.read(), errors.BAD_REQUEST)
    writer.close()
    assert edge.app.seen == []


# --- size ---


def head_of(size: int) -> bytes:
    """A request whose target and headers come to `size` as the limit counts."""
    counted = len("/x") + len("Host") + len("h") + 4 + len("X") + 4
    return b"GET /x HTTP/1.1\r\nHost: h\r\nX: " + b"y" * (size - counted) + b"\r\n\r\n"


async def test_head_at_the_cap_passes_and_one_byte_more_is_refused(start_edge: StartEdge) -> None:
    edge = await start_edge()
    async with connection(edge) as (reader, writer):
        writer.write(head_of(limits.MAX_HTTP_HEAD_BYTES))
        assert b"ok /x" in await read_answer(reader)
    assert_refused(await edge.exchange(head_of(limits.MAX_HTTP_HEAD_BYTES + 1)), errors.REQUEST_TOO_LARGE)


async def test_head_that_never_ends_is_refused_at_the_cap(start_edge: StartEdge) -> None:
    edge = await start_edge()
    endless = b"GET /x HTTP/1.1\r\nHost: h\r\nX: " + b"y" * (10 * limits.MAX_HTTP_HEAD_BYTES)
    assert_refused(await edge.exchange(endless), errors.REQUEST_TOO_LARGE)
    assert_refused(await edge.exchange(b"GET /" + b"y" * (10 * limits.MAX_HTTP_HEAD_BYTES)), errors.REQUEST_TOO_LARGE)


async def test_headers_at_the_cap_pass_and_one_more_is_refused(start_edge: StartEdge) -> None:
    edge = await start_edge()

    def request(count: int) -> bytes:
        return b"GET /x HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * (count - 1) + b"\r\n"

    async with connection(edge) as (reader, writer):
        writer.write(request(limits.MAX_HTTP_HEADERS))
        assert b"ok /x" in await read_answer(reader)
    assert_refused(await edge.exchange(request(limits.MAX_HTTP_HEADERS + 1)), errors.REQUEST_TOO_LARGE)


async def test_message_that_grows_beyond_its_cap_on_the_wire_is_refused(start_edge: StartEdge) -> None:
    """Chunk extensions are bytes that no body limit sees."""
    edge = await start_edge()
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    padding = b"1;" + b"e" * 1022 + b"\r\nx\r\n"
    few, many = [padding] * 8, [padding] * (limits.MAX_HTTP_MESSAGE_BYTES // 1024 + 16)
    async with connection(edge) as (reader, writer):
        writer.write(head + b"".join(few) + b"0\r\n\r\n")
        assert b"ok /x" in await read_answer(reader)
    assert_refused(await edge.exchange(head + b"".join(many)), errors.REQUEST_TOO_LARGE)


async def test_body_refused_early_is_answered_once_however_much_follows(start_edge: StartEdge) -> None:
    edge = await start_edge(deadlines=QUICK)
    edge.server._config.loaded_app = impatient
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n"
    reader, writer = await edge.connect()
    received = b""
    with contextlib.suppress(ConnectionError):
        writer.write(head + bytes(10 * limits.MAX_HTTP_MESSAGE_BYTES))
        async with asyncio.timeout(5):
            while piece := await reader.read(4096):
                received += piece
    writer.close()
    assert received.count(b"HTTP/1.1") == 1
    assert received.startswith(b"HTTP/1.1 413")


async def impatient(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


# --- time ---


def test_deadlines_are_those_of_the_table() -> None:
    assert Deadlines() == Deadlines(
        head_s=limits.HTTP_HEAD_DEADLINE_S,
        message_s=limits.HTTP_MESSAGE_DEADLINE_S,
        idle_s=limits.HTTP_IDLE_DEADLINE_S,
        write_s=limits.HTTP_WRITE_DEADLINE_S,
        linger_s=limits.HTTP_LINGER_S,
    )


QUICK = Deadlines(head_s=0.2, message_s=0.4, idle_s=0.6, write_s=0.4, linger_s=0.3)


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    for position in range(len(data)):
        writer.write(data[position : position + 1])
        await asyncio.sleep(0.05)


async def test_head_that_drips_is_closed_by_the_clock_of_its_first_byte(start_edge: StartEdge) -> None:
    edge = await start_edge(deadlines=QUICK)
    async with connection(edge) as (reader, writer), asyncio.timeout(3):
        dripping = asyncio.ensure_future(drip(writer, post()))
        assert_refused(await reader.read(), errors.DEADLINE_EXCEEDED)
        dripping.cancel()


async def test_body_that_drips_is_closed_by_the_clock_of_its_first_byte(start_edge: StartEdge) -> None:
    edge = await start_edge(deadlines=QUICK)
    async with connection(edge) as (reader, writer), asyncio.timeout(3):
        writer.write(post(body=b"x" * 100)[:-100])
        dripping = asyncio.ensure_future(drip(writer, b"x" * 100))
        assert_refused(await reader.read(), errors.DEADLINE_EXCEEDED)
        dripping.cancel()
    assert edge.app.seen == []


async def test_blank_lines_do_not_keep_an_idle_connection_open(start_edge: StartEdge) -> None:
    edge = await start_edge(deadlines=QUICK)
    async with connection(edge) as (reader, writer), asyncio.timeout(3):
        dripping = asyncio.ensure_future(drip(writer, b"\r\n" * 100))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        dripping.cancel()


async def test_idle_connection_is_closed_and_a_slow_answer_is_not_idle(start_edge: StartEdge) -> None:
    edge = await start_edge(deadlines=QUICK)
    edge.app.gate.clear()
    async with connection(edge) as (reader, writer), asyncio.timeout(5):
        writer.write(post())
        await asyncio.sleep(QUICK.idle_s + 0.2)
        edge.app.gate.set()
        assert b"ok /x" in await read_answer(reader)
        assert await reader.read() == b"", "then it is idle, and closed without a word"


async def test_client_that_takes_no_answers_is_cut_off(start_edge: StartEdge) -> None:
    edge = await start_edge(deadlines=QUICK)
    edge.server._config.loaded_app = big = BigAnswers()
    reader, writer = await edge.connect()
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"".join(post() for _ in range(40)))
    async with asyncio.timeout(5):
        await edge.door.empty.wait()
    assert big.started < 40, "a client that reads nothing gets no further work done"
    writer.close()


async def test_refused_client_that_stays_is_cut_off_after_a_moment(start_edge: StartEdge) -> None:
    edge = await start_edge(deadlines=QUICK)
    reader, writer = await edge.connect()
    writer.write(b"BAD\r\n\r\n")
    assert_refused(await reader.read(), errors.BAD_REQUEST)
    async with asyncio.timeout(2):
        await edge.door.empty.wait()
    writer.close()


class BigAnswers:
    started = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started += 1
        size = 1 << 20
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(size)})


async def test_slow_clients_do_not_slow_the_others(start_edge: StartEdge) -> None:
    edge = await start_edge()
    slow = [await edge.connect() for _ in range(100)]
    for _, writer in slow:
        writer.write(post()[:20])
    async with connection(edge) as (reader, writer), asyncio.timeout(2):
        for _ in range(20):
            writer.write(post())
            assert b"ok /x" in await read_answer(reader)
    for _, writer in slow:
        writer.close()


# --- number ---


async def test_connections_at_the_cap_work_and_more_get_busy(start_edge: StartEdge) -> None:
    edge = await start_edge(max_total=8)
    good = [await edge.connect() for _ in range(8)]
    for reader, writer in good:
        writer.write(post())
        assert b"ok /x" in await read_answer(reader)
    refused = await asyncio.gather(*(edge.exchange(b"") for _ in range(10 * 8)))
    for answer in refused:
        assert_refused(answer, errors.BUSY)
    for reader, writer in good:
        writer.write(post())
        assert b"ok /x" in await read_answer(reader)
        writer.close()
    async with asyncio.timeout(5):
        await edge.door.empty.wait()
    async with connection(edge) as (reader, writer):
        writer.write(post())
        assert b"ok /x" in await read_answer(reader)


async def test_one_client_cannot_take_all_connections(start_edge: StartEdge) -> None:
    edge = await start_edge(max_per_client=2)
    held = [await edge.connect() for _ in range(2)]
    assert_refused(await edge.exchange(b""), errors.BUSY)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.server.port, local_addr=("127.0.0.2", 0))
    writer.write(post())
    assert b"ok /x" in await read_answer(reader)
    for _, each in [*held, (reader, writer)]:
        each.close()


def test_caps_on_connections_are_those_of_the_table() -> None:
    door = Door(ClientAddresses())
    assert (door.max_total, door.max_per_client) == (
        limits.MAX_HTTP_CONNECTIONS,
        limits.MAX_HTTP_CONNECTIONS_PER_CLIENT,
    )
    admitted = [door.enter(f"10.0.{n // 256}.{n % 256}") for n in range(limits.MAX_HTTP_CONNECTIONS + 1)]
    assert admitted == [True] * limits.MAX_HTTP_CONNECTIONS + [False]


# --- end ---


@pytest.mark.parametrize("cut", [1, 20, len(post()) - 1])
async def test_client_that_leaves_in_the_middle_leaves_nothing_behind(start_edge: StartEdge, cut: int) -> None:
    edge = await start_edge()
    _, writer = await edge.connect()
    writer.write(post()[:cut])
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        await edge.door.empty.wait()
    assert edge.app.seen == []
    assert edge.server._state.tasks == set()


async def test_stop_refuses_newcomers_and_lets_requests_finish(start_edge: StartEdge) -> None:
    edge = await start_edge()
    edge.app.gate.clear()
    reader, writer = await edge.connect()
    idle_reader, _ = await edge.connect()
    writer.write(post())
    await asyncio.sleep(0.05)
    stopping = asyncio.create_task(edge.server.stop(5))
    await asyncio.sleep(0.05)
    with pytest.raises(OSError):
        await edge.connect()
    assert await idle_reader.read() == b"", "idle connections end at once"
    edge.app.gate.set()
    answer = await read_answer(reader)
    assert b"ok /x" in answer
    assert await stopping == 0


async def test_stop_is_bounded(start_edge: StartEdge) -> None:
    edge = await start_edge()
    edge.app.gate.clear()
    reader, writer = await edge.connect()
    writer.write(post())
    await asyncio.sleep(0.05)
    async with asyncio.timeout(2):
        stopping = asyncio.create_task(edge.server.stop(0.1))
        assert_refused(await reader.read(), errors.NOT_SERVING)
        writer.close()
        assert await stopping == 1
