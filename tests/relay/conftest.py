"""A local node for the tests of this folder, from the package registry; without one they skip with the reason."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.relay import chain as chains


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chains.anvil(tmp_path_factory)


@pytest.fixture
async def chain(anvil: Path, tmp_path: Path) -> AsyncIterator[chains.Chain]:
    async with chains.running(anvil, tmp_path) as made:
        yield made
