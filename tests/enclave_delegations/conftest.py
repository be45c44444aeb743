"""A booted appliance whose first scope has delegations, at the moment of the samples."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.appliance import World

from .delegation_support import Delegator, standing_world


@pytest.fixture
async def world(pki_folder: Path) -> AsyncIterator[World]:
    made = standing_world(pki_folder)
    await made.boot()
    yield made
    await made.stop()


@pytest.fixture
async def user(world: World) -> Delegator:
    return await Delegator.logged_in(world)
