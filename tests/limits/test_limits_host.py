"""Limits of the host whose exact edge takes bytes in exact pieces: one HTTP message, and the guest's handshake."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from host_proxy.client_address import ClientAddresses
from host_proxy.errors import TransportError
from host_proxy.http_door import Door
from host_proxy.http_edge import EdgeProtocol
from host_proxy.transport import connect
from protocol import limits
from protocol.addresses import HybridAddress

HEAD = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


class Client(asyncio.Transport):
    """The far end of one connection to the edge."""

    def __init__(self) -> None:
        super().__init__()
        self.received = b""

    def write(self, data: Any) -> None:
        self.received += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def app(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def answer_to(body_bytes: int) -> bytes:
    """What the edge says to a message of which `body_bytes` came after its head, all of it one chunk's extension."""
    config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None, access_log=False)
    config.load()
    state, client = ServerState(), Client()
    edge = EdgeProtocol(config, state, Door(ClientAddresses()))
    edge.connection_made(client)
    edge.data_received(HEAD)
    edge.data_received((b"1;").ljust(body_bytes, b"e"))
    await asyncio.sleep(0)
    received = client.received
    for task in state.tasks:
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    return received


async def test_http_message() -> None:
    assert await answer_to(limits.MAX_HTTP_MESSAGE_BYTES) == b""
    assert (await answer_to(limits.MAX_HTTP_MESSAGE_BYTES + 1)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("size", "code"),
    [(limits.MAX_HANDSHAKE_BYTES, "transport-deadline"), (limits.MAX_HANDSHAKE_BYTES + 1, "transport-handshake")],
)
async def test_handshake(tmp_path: Path, size: int, code: str) -> None:
    """A guest that says no whole line is waited for up to the cap, and cut off at one byte more."""

    async def guest(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * size)
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_unix_server(guest, tmp_path / "vm")
    with pytest.raises(TransportError) as caught:
        await connect(HybridAddress(str(tmp_path / "vm"), 5000), deadline_s=0.3)
    assert caught.value.code == code
    gone.set()
    server.close()
