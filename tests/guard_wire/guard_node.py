"""Published clients of the guard under Node: run against a guard behind the host proxy."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.guard_wire.guard_world import GuardWorld
from tests.instrument_wire.wire import over_http
from tests.npm import installed_programs

_JOURNEY_S = 60


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the journeys and everything that the lock beside them names."""
    return installed_programs(Path(__file__).parent / "node", tmp_path_factory.mktemp("node"))


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[GuardWorld, str]]:
    """A guard behind the host proxy, and its URL."""
    world = GuardWorld(folder)
    await world.boot()
    try:
        async with over_http(world) as http:
            yield world, str(http.base_url).rstrip("/")
    finally:
        await world.stop()


async def journey(installed: Path, script: str, **facts: Any) -> dict[str, Any]:
    """What a journey says that came of it."""
    process = await asyncio.create_subprocess_exec(
        "node", script, json.dumps(facts), cwd=installed,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, complaint = await asyncio.wait_for(process.communicate(), _JOURNEY_S)
    assert process.returncode == 0, complaint.decode()
    outcome: dict[str, Any] = json.loads(out)
    return outcome
