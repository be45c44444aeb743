"""A local chain, and the pieces of a relay on it: contracts that count calls, and points at which everything ends."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from evm.keccak import keccak256
from host_proxy.errors import RelayFault
from host_proxy.relay.fees import FeeRules
from host_proxy.relay.journal import Journal
from host_proxy.relay.node import Node
from host_proxy.relay.node_relay import NodeRelay, Patience
from host_proxy.relay.port import Operation, State, Status
from host_proxy.relay.rpc import JsonRpc
from host_proxy.relay.transactions import RemoteSigner
from tests.npm import installed_programs

CHAIN_ID = 31_337
ACCOUNT = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
COUNTER = "0x" + "c0" * 20
"""Counts in the slot that the call data name."""
REFUSER = "0x" + "ce" * 20
_COUNTER_CODE, _REFUSER_CODE = "0x6000358054600101905500", "0x60006000fd"
GWEI = 10**9
RULES = FeeRules(max_fee_cap=100 * GWEI, max_gas=500_000)
_STARTS = 400


class Chain:
    """An anvil of our own on a free port. `state`: where it keeps the chain over an orderly end."""

    def __init__(self, program: Path, folder: Path, port: int, chain_id: int = CHAIN_ID) -> None:
        self._command = [str(program), "--port", str(port), "--silent", "--chain-id", str(chain_id)]
        self._command += ["--state", str(folder / "chain.json")]
        self.url = f"http://127.0.0.1:{port}"
        self.rpc = JsonRpc(self.url)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(_STARTS):
            if await self._answers():
                break
            await asyncio.sleep(0.05)
        await self.rpc.call("anvil_setCode", COUNTER, _COUNTER_CODE)
        await self.rpc.call("anvil_setCode", REFUSER, _REFUSER_CODE)

    async def _answers(self) -> bool:
        with suppress(RelayFault):
            return bool(await self.rpc.call("eth_chainId"))
        return False

    async def end(self) -> None:
        """An orderly end: the chain is kept, what waits for a block is not."""
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def mine(self, blocks: int = 1) -> None:
        await self.rpc.call("anvil_mine", hex(blocks))

    async def automine(self, on: bool) -> None:
        await self.rpc.call("evm_setAutomine", on)

    async def count(self, operation: Operation) -> int:
        """How often an operation has happened."""
        return int(await self.rpc.call("eth_getStorageAt", COUNTER, operation.data, "latest"), 16)

    async def nonce(self) -> int:
        return int(await self.rpc.call("eth_getTransactionCount", ACCOUNT, "latest"), 16)

    async def waiting(self) -> list[dict[str, Any]]:
        """Transactions of the account that wait for a block."""
        pool = await self.rpc.call("txpool_content")
        return [tx for by_nonce in pool["pending"].values() for tx in by_nonce.values()]


def operation(name: str, to: str = COUNTER) -> Operation:
    id_ = "0x" + keccak256(name.encode()).hex()
    return Operation(id_, to, id_, "0x" + "aa" * 20)


class Killed(BaseException):
    """The process ends here."""


class Fate:
    """Counts the points at which a process can end, and ends it at one of them. `end` says how."""

    def __init__(self, at: int | None = None, end: Callable[[], Any] | None = None) -> None:
        self.at = at
        self.passed = 0
        self._end = end

    def point(self) -> None:
        self.passed += 1
        if self.passed - 1 == self.at:
            if self._end is not None:
                self._end()
            raise Killed


class FatefulRpc(JsonRpc):
    """Ends before an exchange, or after it, when the answer is lost."""

    def __init__(self, url: str, fate: Fate) -> None:
        super().__init__(url)
        self._fate = fate

    async def batch(self, requests: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        self._fate.point()
        answers = await super().batch(requests)
        self._fate.point()
        return answers


class FatefulJournal(Journal):
    """Ends before a write, or after it."""

    def __init__(self, path: Path, fate: Fate, *, chain_id: int = CHAIN_ID, account: str = ACCOUNT) -> None:
        super().__init__(path, chain_id=chain_id, account=account)
        for name in ("plan", "record_attempt", "settle", "forget"):
            setattr(self, name, self._fateful(getattr(self, name), fate))

    @staticmethod
    def _fateful(write: Callable[..., None], fate: Fate) -> Callable[..., None]:
        def written(*arguments: Any) -> None:
            fate.point()
            write(*arguments)
            fate.point()

        return written


class Process:
    """One life of a relay: everything that a process has, on a journal that outlives it."""

    def __init__(
        self, url: str, path: Path, *, fate: Fate | None = None, patience: Patience | None = None,
        rules: FeeRules = RULES, now_s: Callable[[], float] = lambda: 0.0,
    ) -> None:  # fmt: skip
        fate = fate or Fate()
        self.node_rpc, self.signer_rpc = FatefulRpc(url, fate), FatefulRpc(url, fate)
        self.journal = FatefulJournal(path, fate)
        self.relay = NodeRelay(
            Node(self.node_rpc),
            RemoteSigner(self.signer_rpc, ACCOUNT),
            self.journal,
            chain_id=CHAIN_ID,
            rules=rules,
            patience=patience or Patience(confirmations=1, bump_after_s=60),
            now_s=now_s,
        )

    async def close(self) -> None:
        self.journal.close()
        await self.node_rpc.close()
        await self.signer_rpc.close()


async def until_final(chain: Chain, relay: NodeRelay, operations: list[Operation]) -> list[Status]:
    """Blocks are made and the relay looks after everything, until all is final."""
    for _ in range(10):
        await relay.advance()
        await chain.mine()
        found = [await relay.status(each.id) for each in operations]
        if all(each.state is State.FINAL for each in found):
            return found
    raise AssertionError(f"not final: {found}")


async def refusal(awaited: Awaitable[Any]) -> str:
    try:
        await awaited
    except RelayFault as fault:
        return fault.code
    return "accepted"


FOLDER = Path(__file__).parent / "node"


def anvil(factory: pytest.TempPathFactory) -> Path:
    """The node's program from the package registry; without it the calling test skips with the reason."""
    found = program(installed_programs(FOLDER, factory.mktemp("node")))
    if found is None:
        pytest.skip("the package registry has no node for this machine")
    return found


@asynccontextmanager
async def running(program: Path, folder: Path, chain_id: int = CHAIN_ID) -> AsyncIterator[Chain]:
    """A local chain on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Chain(program, folder, port, chain_id)
    try:
        await made.start()
        yield made
    finally:
        await made.end()
        await made.rpc.close()


def program(folder: Path) -> Path | None:
    """The node's program in an installed folder."""
    return next(iter(sorted((folder / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil"))), None)
