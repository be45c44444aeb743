"""A booted enclave in this process, over stand-ins for its ports."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.attestation_channel.attested import AttestedWorld


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[AttestedWorld]:
    made = AttestedWorld(tmp_path)
    await made.boot()
    yield made
    await made.stop()
