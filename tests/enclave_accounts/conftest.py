"""A booted appliance with short delays for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance import World
from tests.enclave_accounts.people import LIMITS


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder, limits=LIMITS)
    await made.boot()
    yield made
    await made.stop()
