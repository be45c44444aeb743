"""For every test of this folder: a guard by its usual rules, and the published clients, installed once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guard_wire.guard_node import installed
from tests.guard_wire.guard_world import GuardWorld

__all__ = ["guard", "installed"]


@pytest.fixture
async def guard(pki_folder: Path) -> AsyncIterator[GuardWorld]:
    made = GuardWorld(pki_folder)
    await made.boot()
    yield made
    await made.stop()
