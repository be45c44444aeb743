"""The enclave's link to its parent: one connection is made for all who need it, whoever of them gives up."""

import asyncio
import socket

import pytest

from enclave.errors import StoreError
from enclave.parent import ParentServices
from protocol import limits
from protocol.services import RecordKey
from tests.host_proxy.parent_services import parent_services

KEY = RecordKey("nonce", bytes(32))


async def test_a_caller_that_gives_up_takes_the_connection_from_nobody() -> None:
    async with parent_services() as parent:
        dial, gate, dialled = parent._dial, asyncio.Event(), 0

        async def slow(port: int) -> socket.socket:
            nonlocal dialled
            dialled += 1
            await gate.wait()
            return await dial(port)

        parent._dial = slow
        first, second = asyncio.create_task(parent.get([KEY])), asyncio.create_task(parent.get([KEY]))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert await second == [None]
        assert await parent.get([KEY]) == [None]
        assert dialled == 1


async def test_a_parent_that_cannot_be_dialled_is_unreachable_and_dialled_again_later() -> None:
    async with parent_services() as parent:
        dial = parent._dial

        async def refused(_: int) -> socket.socket:
            raise ConnectionRefusedError

        parent._dial = refused
        for _ in range(2):
            with pytest.raises(StoreError, match="store-unreachable"):
                await parent.get([KEY])
        parent._dial = dial
        assert await parent.get([KEY]) == [None]


async def test_a_dial_that_hangs_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_DEADLINE_S", 0.05)

    async def hang(_: int) -> socket.socket:
        return await asyncio.get_running_loop().create_future()

    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match="store-unreachable"):
            await ParentServices(hang).get([KEY])
