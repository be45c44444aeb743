"""A booted appliance whose first scope makes wallets under a guard, and whose second has no guard."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance import World

from .wallet_support import SmartUser, wallet_scopes


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = World(pki_folder, scopes=wallet_scopes())
    await made.boot()
    yield made
    await made.stop()


@pytest.fixture
async def user(world: World) -> SmartUser:
    """Logged in, with a wallet."""
    return await SmartUser.with_wallet(world)
