"""Runs the published kit under Node, for a user who agrees to everything."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from evm.address import Address, checksum, parse_address
from host_proxy.client.errors import ClientError
from tests.appliance import Refused
from tests.evm_delegations.samples import DAY_S, PAYEE, USDC
from tests.evm_delegations.test_delegations_permissions import FOLDER as LOCKED
from tests.npm import installed_programs
from tests.relay import chain as chains

FOLDER = Path(__file__).parent / "node"
KINDS = [f"{asset}-token-{kind}" for asset in ("native", "erc20") for kind in ("allowance", "periodic", "stream")]
EXECUTOR = parse_address(chains.ACCOUNT)
STRANGER = Address(b"\x44" * 20)
LIFE_S = 30 * DAY_S
_RUN_S = 60

Ask = Callable[..., Awaitable[dict[str, Any]]]
"""One of our methods of delegations, by its name and members."""


def kit_programs(factory: pytest.TempPathFactory) -> Path:
    """A folder with the kit of the registry and our scripts; skips where it cannot be had."""
    folder = installed_programs(LOCKED, factory.mktemp("node"))
    for script in FOLDER.glob("*.mjs"):
        (folder / script.name).write_bytes(script.read_bytes())
    return folder


async def run_kit(folder: Path, ask: Ask, start_s: int) -> dict[str, Any]:
    """What the kit found. `start_s`: when the permissions that it asks for begin."""
    process = await asyncio.create_subprocess_exec(
        "node", "kit.mjs", cwd=folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**22,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    parties = {"to": EXECUTOR, "payee": PAYEE, "stranger": STRANGER, "token": USDC}
    times = {"startTime": start_s, "expiry": start_s + LIFE_S}
    about = {name: checksum(address) for name, address in parties.items()} | times
    process.stdin.write(json.dumps(about).encode() + b"\n")
    outcome: dict[str, Any] = {}
    async with asyncio.timeout(_RUN_S):
        async for line in process.stdout:
            outcome = json.loads(line)
            if "call" in outcome:
                answer = await _answer(ask, outcome["call"])
                process.stdin.write(json.dumps(answer).encode() + b"\n")
        complaint = (await process.stderr.read()).decode()
        assert await process.wait() == 0, complaint
    return outcome


async def _answer(ask: Ask, call: dict[str, Any]) -> dict[str, Any]:
    try:
        return await ask(call["method"], **call["members"])
    except Refused as refused:
        return refused.body
    except ClientError as refused:
        return {"error": refused.code, "cause": str(refused)}
