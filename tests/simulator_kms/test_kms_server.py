"""The listener under bad bytes: an error in the form of AWS or a closed connection, and always alive afterwards."""

import asyncio
import json
from contextlib import suppress

import pytest

from simulator.kms import server as server_module
from simulator.kms.faults import Fault
from simulator.kms.requests import MAX_BODY_BYTES
from simulator.kms.server import KmsServer, serve
from tests.simulator_kms.kms_world import HOLDERS, World

REGION = next(iter(HOLDERS))


async def exchange(server: KmsServer, data: bytes, *, eof: bool = False) -> tuple[int, dict[str, str]]:
    """Status and JSON of what comes back for `data`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    if eof:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split(b" ")[1]), json.loads(body)) if head else (0, {})


def wire(world: World, *, close: bool = True) -> bytes:
    request = world.signed(REGION, "DescribeKey", {"KeyId": world.keys[REGION]}, world.holder[REGION])
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    lines.append(f"Content-Length: {len(request.body)}\r\n" + ("Connection: close\r\n" if close else ""))
    return ("POST / HTTP/1.1\r\n" + "".join(lines) + "\r\n").encode() + request.body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\x00" * 100 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n" + b"x" * (MAX_BODY_BYTES + 1), 413),
    ],
)
async def test_bad_bytes_get_an_error_in_the_form_of_aws(world: World, data: bytes, status: int) -> None:
    async with await serve(world.service, "127.0.0.1", 0, None) as server:
        got, body = await exchange(server, data)
        assert got == status
        assert body["__type"].endswith("Exception")
        assert (await exchange(server, wire(world)))[0] == 200


async def test_half_a_request_and_none_end_quietly(world: World) -> None:
    async with await serve(world.service, "127.0.0.1", 0, None) as server:
        assert await exchange(server, b"", eof=True) == (0, {})
        got, _ = await exchange(server, wire(world)[:-5], eof=True)
        assert got == 400
        assert (await exchange(server, wire(world)))[0] == 200


async def test_connection_is_kept_for_several_requests(world: World) -> None:
    async with await serve(world.service, "127.0.0.1", 0, None) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(3):
            writer.write(wire(world, close=False))
            assert b" 200 " in await reader.readline()
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()


async def test_slow_request_is_cut_at_its_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_READ_DEADLINE_S", 0.05)
    async with await serve(world.service, "127.0.0.1", 0, None) as server:
        assert await exchange(server, b"POST / HT") == (0, {})


async def test_close_cuts_hung_requests(world: World) -> None:
    world.service.set_fault(REGION, Fault.HUNG)
    server = await serve(world.service, "127.0.0.1", 0, None)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(wire(world))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    await asyncio.wait_for(server.close(), 5)
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


async def test_defect_of_the_simulator_shows_no_stack_trace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(world.service._backend, "execute", broken)
    async with await serve(world.service, "127.0.0.1", 0, None) as server:
        status, body = await exchange(server, wire(world))
    assert status == 500
    assert body == {"__type": "KMSInternalException", "message": "The request could not be processed."}
