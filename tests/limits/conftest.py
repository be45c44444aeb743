"""A booted appliance for the limits of the wire format."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance import Client, World


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder)
    await made.boot()
    yield made
    await made.stop()


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)
