"""A booted appliance for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance import World


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder)
    await made.boot()
    yield made
    await made.stop()
