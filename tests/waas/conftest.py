"""A booted appliance with two tenants of embedded wallets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance import World
from tests.waas.embedded import scopes


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder, scopes=scopes())
    await made.boot()
    yield made
    await made.stop()
