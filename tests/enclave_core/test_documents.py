"""Documents for answers: one for each request that asks, and one for all who ask the same about the status (DO-05)."""

import asyncio
from typing import Any

import pytest

from protocol.frames import Response
from tests.appliance import World

SIGN = "/rpc/IdentityInstrument/Sign"


@pytest.fixture
def made(world: World, monkeypatch: Any) -> list[bytes]:
    """The requests that reach the module."""
    found: list[bytes] = []
    call = world.nsm.call

    def noted(request: bytes) -> bytes:
        found.append(request)
        return call(request)

    monkeypatch.setattr(world.nsm, "call", noted)
    return found


async def status(world: World, nonce: str = "a-nonce") -> bytes:
    response = await world.raw("/status", b"", {"x-attestation-nonce": nonce}, "GET")
    return document(response)


def document(response: Response) -> bytes:
    return response.headers["x-attestation-document"].encode()


async def test_who_asks_the_same_within_a_second_shares_a_document(world: World, made: list[bytes]) -> None:
    first, *others = await asyncio.gather(*(status(world) for _ in range(5)))
    assert set(others) == {first}
    assert len(made) == 1
    assert await status(world, "another") != first
    assert len(made) == 2
    world.clock.advance_s(1)
    assert await status(world) != first
    assert len(made) == 3


async def test_somebody_who_stops_waiting_takes_nobody_along(world: World, made: list[bytes]) -> None:
    hasty, patient = (asyncio.create_task(status(world)) for _ in range(2))
    await asyncio.sleep(0)
    hasty.cancel()
    assert await patient
    assert len(made) == 1


async def test_answers_of_methods_share_nothing(world: World, made: list[bytes]) -> None:
    answers = [await world.raw(SIGN, b"{}", {"x-attestation-nonce": "a-nonce"}) for _ in range(3)]
    assert len({answer.body for answer in answers}) == 1
    assert len(made) == 3
    assert not (await world.raw(SIGN, b"{}")).headers.get("x-attestation-document")
    assert len(made) == 3
