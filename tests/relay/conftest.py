"""A local node for the tests of this folder, from the package registry; without one they skip with the reason."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.relay import chain as chains

FOLDER = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node") / "anvil"
    if complaint := chains.installed(FOLDER, folder):
        pytest.skip(f"there is no local node: {complaint}")
    found = chains.program(folder)
    if found is None:
        pytest.skip("the package registry has no node for this machine")
    return found


@pytest.fixture
async def chain(anvil: Path, tmp_path: Path) -> AsyncIterator[chains.Chain]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = chains.Chain(anvil, tmp_path, port)
    try:
        await made.start()
        yield made
    finally:
        await made.end()
        await made.rpc.close()
