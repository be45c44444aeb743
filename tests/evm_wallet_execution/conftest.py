"""Genuine contracts and the published wallet library, as npm installs them; an enclave that signs for their wallets."""

import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.appliance import World
from tests.enclave_wallet.wallet_support import SmartUser, wallet_scopes
from tests.npm import installed_programs

NODE = Path(__file__).parent / "node"
_RUN_S = 60


@dataclass(frozen=True)
class Published:
    """What npm installed."""

    folder: Path

    def init_code(self, source: str) -> bytes:
        """The creation code of a contract, without constructor arguments."""
        return self._artifact(source, "bytecode")

    def runtime(self, source: str) -> bytes:
        """The code of a contract that has no immutable values."""
        return self._artifact(source, "deployedBytecode")

    def validation(self, address: str, hash_: str, signature: str) -> bytes:
        """What the published library has a chain run to validate a signature (ERC-6492)."""
        command = ["node", "validate.mjs", address, hash_, signature]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True, timeout=_RUN_S)
        return bytes.fromhex(done.stdout[2:])

    def library(self, method: str, **members: Any) -> Any:
        """What the published wallet library makes of an answer."""
        done = subprocess.run(
            ["node", "library.mjs"],
            cwd=self.folder,
            input=json.dumps({"method": method} | members),
            capture_output=True,
            text=True,
            check=False,
            timeout=_RUN_S,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _artifact(self, source: str, member: str) -> bytes:
        artifacts = self.folder / "node_modules/@0xsequence/wallet-contracts/artifacts/contracts"
        name = source.rpartition("/")[2]
        return bytes.fromhex(json.loads((artifacts / f"{source}.sol/{name}.json").read_text())[member][2:])


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return Published(installed_programs(NODE, tmp_path_factory.mktemp("node")))


@pytest.fixture
async def user(tmp_path: Path) -> AsyncIterator[SmartUser]:
    """Logged in to an enclave that serves legacy wallets."""
    world = World(tmp_path, scopes=wallet_scopes())
    await world.boot()
    yield await SmartUser.logged_in(world)
    await world.stop()
