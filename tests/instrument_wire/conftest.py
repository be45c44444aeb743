"""An appliance behind HTTP for each test, with the limits of the original's scenarios."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.instrument_wire.wire import Wire, running

GENEROUS = {"mails_per_address": 1000, "signatures_per_minute": 10_000}


@pytest.fixture
async def wire(pki_folder: Path) -> AsyncIterator[Wire]:
    async with running(pki_folder, limits=GENEROUS) as made:
        yield made
