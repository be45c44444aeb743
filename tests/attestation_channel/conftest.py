"""A booted enclave in this process, over stand-ins for its ports."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.boot()
    yield world
    await world.stop()
