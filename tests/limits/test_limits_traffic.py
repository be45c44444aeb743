"""The enclave's connections and its calls to the parent: number, size and time, at the cap and beyond (VS-02 to VS-04).

Deadlines are shortened and then measured on a loop whose time the test turns, so nothing here waits.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from enclave.dispatch import Dispatcher, Routes
from enclave.errors import StoreError
from enclave.parent import ParentServices
from enclave.server import FrameServer
from protocol import errors, frames, limits
from protocol.frames import FrameConnection, Request, Response
from protocol.services import RecordKey

KEY = RecordKey("wallets", bytes(32))
Answer = Callable[[Request], Awaitable[Response]]


async def echo(request: Request) -> Response:
    return Response(request.id, 200, {}, request.body)


class Host:
    """The parent's end of one connection to the enclave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._frames = FrameConnection()

    def send(self, *ids: int) -> None:
        self.writer.write(b"".join(frames.encode(Request(id_, "GET /", {}, b"")) for id_ in ids))

    async def receive(self, count: int) -> list[Response]:
        found: list[Any] = []
        async with asyncio.timeout(5):
            while len(found) < count:
                data = await self.reader.read(65536)
                assert data, "closed"
                found += self._frames.receive(data)
        return found

    async def is_closed(self) -> bool:
        """Whether the enclave ended the connection; asked when nothing else can be on its way."""
        try:
            async with asyncio.timeout(5):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True


class Ingress:
    """A frame server on socket pairs."""

    def __init__(self, answer: Answer = echo) -> None:
        self.server = FrameServer(answer, lambda _: True)
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Host:
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(self.server.connection, theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        self._writers.append(writer)
        return Host(reader, writer)

    def close(self) -> None:
        self.server.close()
        for writer in self._writers:
            writer.close()


@contextmanager
def ingress(answer: Answer = echo) -> Iterator[Ingress]:
    made = Ingress(answer)
    try:
        yield made
    finally:
        made.close()


async def test_connections_at_the_cap_are_served_and_one_more_is_closed() -> None:
    with ingress() as made:
        hosts = [await made.connect() for _ in range(limits.MAX_CONNECTIONS)]
        assert await (await made.connect()).is_closed()
        for host in hosts:
            host.send(1)
            assert (await host.receive(1))[0].status == 200
        hosts[0].writer.close()
        await asyncio.sleep(0.01)
        again = await made.connect()
        again.send(1)
        assert (await again.receive(1))[0].status == 200


async def test_requests_of_a_connection_at_the_cap_are_worked_on_and_one_more_is_busy() -> None:
    gate = asyncio.Event()

    async def hold(request: Request) -> Response:
        await gate.wait()
        return await echo(request)

    with ingress(hold) as made:
        host = await made.connect()
        host.send(*range(limits.MAX_IN_FLIGHT + 1))
        [busy] = await host.receive(1)
        assert (busy.id, busy.status) == (limits.MAX_IN_FLIGHT, errors.BUSY.status)
        gate.set()
        answered = await host.receive(limits.MAX_IN_FLIGHT)
        assert {(response.id, response.status) for response in answered} == {
            (id_, 200) for id_ in range(limits.MAX_IN_FLIGHT)
        }


async def test_requests_of_a_worker_at_the_cap_are_worked_on_and_one_more_is_busy() -> None:
    """Whatever the number of connections."""
    gate, done = asyncio.Event(), Routes({}, {}, {"/x": lambda: (200, {})})
    dispatcher = Dispatcher(done)
    run = dispatcher._run

    async def hold(*call: Any) -> Any:
        await gate.wait()
        return await run(*call)

    dispatcher._run = hold  # type: ignore[method-assign]
    held = [asyncio.create_task(dispatcher.answer(Request(n, "GET /x", {}, b""))) for n in range(limits.MAX_IN_FLIGHT)]
    await asyncio.sleep(0)
    assert (await dispatcher.answer(Request(0, "GET /x", {}, b""))).status == errors.BUSY.status
    gate.set()
    assert {response.status for response in await asyncio.gather(*held)} == {200}
    assert (await dispatcher.answer(Request(0, "GET /x", {}, b""))).status == 200


async def test_answer_that_no_frame_holds_becomes_an_error_and_the_connection_lives() -> None:
    async def sized(request: Request) -> Response:
        overhead = len(frames.encode(Response(1, 200, {}, bytes(2**17)))) - 2**17 - 4
        return Response(request.id, 200, {}, bytes(limits.MAX_FRAME_BYTES - overhead + request.id - 1))

    with ingress(sized) as made:
        host = await made.connect()
        host.send(1, 2)
        first, second = sorted(await host.receive(2), key=lambda response: response.id)
        assert (first.status, second.status) == (200, errors.INTERNAL_ERROR.status)
        assert json.loads(second.body) == errors.error_body(errors.INTERNAL_ERROR)


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Awaitable[None]]:
    """Lets the running loop believe that seconds have passed."""
    ahead_s = 0.0

    async def advance(seconds: float) -> None:
        nonlocal ahead_s
        loop = asyncio.get_running_loop()
        if not ahead_s:
            real = loop.time
            monkeypatch.setattr(loop, "time", lambda: real() + ahead_s)
        ahead_s += seconds
        for _ in range(5):
            await asyncio.sleep(0)

    return advance


Turn = Callable[[float], Awaitable[None]]
MARGIN_S = 0.5  # real time that a slow machine may take in between


async def test_frame_that_drips_is_cut_off_at_the_deadline_of_its_first_byte(turn: Turn) -> None:
    frame = frames.encode(Request(1, "GET /", {}, b""))
    with ingress() as made:
        host = await made.connect()
        for position, byte in enumerate(frame[:-1]):
            host.writer.write(bytes([byte]))
            await asyncio.sleep(0.001)
            if position == 0:
                await turn(limits.FRAME_DEADLINE_S - MARGIN_S)
        host.writer.write(frame[-1:])
        assert (await host.receive(1))[0].status == 200, "whole just before the deadline"
        host.writer.write(frame[:1])
        await asyncio.sleep(0.01)
        await turn(limits.FRAME_DEADLINE_S - MARGIN_S)
        host.writer.write(frame[1:2])
        await asyncio.sleep(0.01)
        await turn(MARGIN_S + 0.01)
        assert await host.is_closed()


async def test_idle_connection_is_closed_at_the_deadline_and_one_that_waits_for_an_answer_is_not(turn: Turn) -> None:
    gate = asyncio.Event()

    async def hold(request: Request) -> Response:
        await gate.wait()
        return await echo(request)

    with ingress(hold) as made:
        idle, waiting = await made.connect(), await made.connect()
        await turn(limits.IDLE_DEADLINE_S - MARGIN_S)
        waiting.send(1)
        await asyncio.sleep(0.01)
        assert len(made.server._connections) == 2
        await turn(MARGIN_S + 0.01)
        assert await idle.is_closed()
        await turn(limits.IDLE_DEADLINE_S)
        gate.set()
        assert (await waiting.receive(1))[0].status == 200
        await turn(limits.IDLE_DEADLINE_S + 0.01)
        assert await waiting.is_closed()


async def test_method_that_hangs_is_answered_at_the_deadline(turn: Turn) -> None:
    dispatcher = Dispatcher(Routes({}, {}, {}))

    async def hang(_: Any) -> Any:
        await asyncio.Event().wait()

    dispatcher._run = hang  # type: ignore[method-assign]
    answer = asyncio.create_task(dispatcher.answer(Request(1, "GET /x", {}, b"")))
    await asyncio.sleep(0)
    await turn(limits.REQUEST_DEADLINE_S - MARGIN_S)
    assert not answer.done()
    await turn(MARGIN_S + 0.01)
    async with asyncio.timeout(5):
        assert (await answer).status == errors.DEADLINE_EXCEEDED.status


@asynccontextmanager
async def silent_parent() -> AsyncIterator[tuple[ParentServices, socket.socket]]:
    """A parent that takes everything and says nothing, and its end of the connection."""
    ours, theirs = socket.socketpair()

    async def dial(_: int) -> socket.socket:
        ours.setblocking(False)
        return ours

    parent = ParentServices(dial)
    yield parent, theirs
    if parent._link is not None:
        parent._link.fail()
    ours.close()
    theirs.close()


async def test_store_that_hangs_is_unreachable_at_the_deadline(turn: Turn) -> None:
    async with silent_parent() as (parent, _):
        call = asyncio.create_task(parent.get([KEY]))
        await asyncio.sleep(0.01)
        await turn(limits.STORE_DEADLINE_S - MARGIN_S)
        assert not call.done()
        await turn(MARGIN_S + 0.01)
        async with asyncio.timeout(5):
            with pytest.raises(StoreError, match="store-unreachable"):
                await call


async def test_calls_to_the_parent_at_the_cap_wait_and_one_more_fails_at_once() -> None:
    async with silent_parent() as (parent, theirs):
        calls = [asyncio.create_task(parent.get([KEY])) for _ in range(limits.MAX_IN_FLIGHT)]
        await asyncio.sleep(0.01)
        assert not any(call.done() for call in calls)
        with pytest.raises(StoreError, match="store-unreachable"):
            await parent.get([KEY])
        assert not any(call.done() for call in calls)
        theirs.close()
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(failure, StoreError) for failure in failures)
