"""A booted enclave of two workers for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.enclave_workers.crew import Crew


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
async def crew(pki_folder: Path) -> AsyncIterator[Crew]:
    made = Crew(pki_folder)
    await made.boot()
    assert all(enclave.phases.serving for enclave in made.crew)
    yield made
    await made.stop()
