"""The published client, unmodified from the package registry, against the guard's wire over HTTP."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from evm.address import checksum
from protocol.frames import Request, Response
from tests.enclave_guard.guard_rules import APP_KEY, PAYROLL, STRANGER, USD
from tests.evm_effects.made import WALLET, calldata
from tests.guard_wire.guard_world import CHAIN, OWNER, GuardWorld
from tests.host_proxy.guest import Guest
from tests.instrument_wire.wire import _host
from tests.npm import installed_programs

FOLDER = Path(__file__).parent / "node"
_JOURNEY_S = 60
_MESSAGE = b"\x19Ethereum Signed Message:\n8I agree."


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the journey and everything that the lock names."""
    return installed_programs(FOLDER, tmp_path_factory.mktemp("node"))


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[GuardWorld, str]]:
    """A guard behind the host proxy, and its URL."""
    world = GuardWorld(folder)
    await world.boot()

    async def answer(_: int, request: Request) -> Response:
        return await world.enclave.answer(request)

    with tempfile.TemporaryDirectory(prefix="ch") as name:
        guest = await Guest(Path(name) / "vm", answer=answer).start()
        try:
            async with _host(Path(name), guest, None) as http:
                yield world, str(http.base_url).rstrip("/")
        finally:
            await guest.stop()
            await world.stop()


async def journey(installed: Path, **facts: Any) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        "node", "journey.mjs", json.dumps(facts), cwd=installed,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, complaint = await asyncio.wait_for(process.communicate(), _JOURNEY_S)
    assert process.returncode == 0, complaint.decode()
    outcome: dict[str, Any] = json.loads(out)
    return outcome


async def test_the_published_client_gets_signatures_and_understands_refusals(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with serving(tmp_path_factory.mktemp("pki")) as (world, url):
        address = checksum(await world.address())
        outcome = await journey(
            installed,
            url=url,
            guard=address,
            wallet=checksum(WALLET),
            chainId=CHAIN,
            key="0x" + bytes(OWNER.key).hex(),
            otherKey="0x" + "12" * 32,
            owner=OWNER.address,
            token=checksum(USD),
            payment="0x" + calldata("transfer(address,uint256)", PAYROLL, 5).hex(),
            largePayment="0x" + calldata("transfer(address,uint256)", PAYROLL, 2_000 * 10**6).hex(),
            message="0x" + _MESSAGE.hex(),
            stranger=checksum(STRANGER),
            sessionKey=checksum(APP_KEY),
        )
    for name in ("allowed", "message"):
        assert outcome[name] == {"address": address, "recovered": address.lower(), "type": "hash"}, name
    codes = {
        name: (found.get("code"), found.get("cause")) for name, found in outcome.items() if "recovered" not in found
    }
    assert codes == {
        "parented": (2004, "guard:signature"),  # the owner signed the parented digest, the guard is asked for the other
        "refused": (1001, "guard:deny:no-rule"),
        "larger": (1001, "guard:second-factor:budget:usd-day"),
        "update": (1001, "guard:deny:no-control-change"),
        "session": (1001, "guard:deny:no-rule"),
        "forged": (2004, "guard:signature"),
        "digest": (None, None),
    }
    assert "not supported" in outcome["digest"]["message"]  # the client itself refuses
