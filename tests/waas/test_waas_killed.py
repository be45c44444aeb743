"""Instrument, guard, hosts, stores and node end at every point of a send: afterwards it has happened once.

Everything is in the way: both enclaves, the relay with its journal, and a chain on which wallets check what they are
given. Whoever got no answer signs in again and sends the same under the same identifier.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from evm.address import parse_address
from host_proxy.relay.fees import FeeRules
from host_proxy.relay.node import Node
from host_proxy.relay.node_relay import NodeRelay, Patience
from host_proxy.relay.transactions import RemoteSigner
from host_proxy.relay.wallet_relay import ChainRelay, WalletRelays
from protocol.services import RecordKey, StoredRecord, Write
from simulator.chain import LocalChain
from simulator.chain_node import ChainNode, gas_account, wallet_chain
from tests.appliance import MemoryStore
from tests.enclave_guard.guard_rules import PAYROLL
from tests.evm_intents.samples import K1Key
from tests.guard_wire.guard_world import GuardWorld
from tests.relay.chain import GWEI, Fate, FatefulJournal, FatefulRpc, Killed
from tests.waas.embedded import CHAIN, Application
from tests.waas.guarded import Guarded, Hosts, coins, guarded
from tests.waas.test_waas_guard import sending
from tests.waas.test_waas_sending import HostsRelay

PAYS = {"id": "coins", "decision": "allow", "effects": ["native"], "counterparties": ["payroll"]}
WEI = 7


class ArmedFate(Fate):
    """Counts and ends from a moment on."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__(at)
        self.armed = False

    def point(self) -> None:
        if self.armed:
            super().point()


class FatefulStore(MemoryStore):
    """Ends before a call, or after a write."""

    def __init__(self, rows: dict[tuple[str, bytes], StoredRecord], fate: Fate) -> None:
        super().__init__()
        self.rows = rows
        self._fate = fate

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        self._fate.point()
        return await super().get(keys)

    async def put(self, writes: Sequence[Write]) -> None:
        self._fate.point()
        await super().put(writes)
        self._fate.point()


class FatefulHosts(Hosts):
    """Ends before the guard is asked, or when its answer is on the way."""

    def __init__(self, guard: GuardWorld, fate: Fate) -> None:
        super().__init__(guard)
        self._fate = fate

    async def ask(self, guard: bytes, request: bytes) -> tuple[int, bytes]:
        self._fate.point()
        answer = await super().ask(guard, request)
        self._fate.point()
        return answer


@asynccontextmanager
async def life(
    both: Guarded, url: str, path: Path, fate: ArmedFate, secret: bytes
) -> AsyncIterator[tuple[NodeRelay, Application]]:
    """One life of all processes over what outlives them, and a user who has signed in with this key."""
    world, guard = both.world, both.guard
    node, signer = FatefulRpc(url, fate), FatefulRpc(url, fate)
    journal = FatefulJournal(path, fate, chain_id=CHAIN, account=gas_account())
    rules, patience = FeeRules(100 * GWEI, 3_000_000), Patience(confirmations=1)
    account = RemoteSigner(signer, gas_account())
    relay = NodeRelay(Node(node), account, journal, chain_id=CHAIN, rules=rules, patience=patience)
    world.store, guard.store = FatefulStore(world.store.rows, fate), FatefulStore(guard.store.rows, fate)
    world.guards = FatefulHosts(guard, fate)
    world.relay = HostsRelay(WalletRelays({CHAIN: ChainRelay(relay, Node(node))}))
    try:
        await guard.boot()
        await world.boot()
        for clock in (world.clock, guard.clock):
            clock.advance_s(2)
        app = Application(world, K1Key(secret))
        await app.sign_in_as_guest()
        fate.armed = True
        yield relay, app
    finally:
        fate.armed = False
        journal.close()
        await node.close()
        await signer.close()


async def send(app: Application, identifier: str) -> dict[str, Any]:
    return await app.of_wallet("sendTransaction", **sending(coins(WEI), identifier=identifier))


@pytest.mark.slow
async def test_end_at_any_point_leaves_the_payment_done_once(pki_folder: Path, tmp_path: Path) -> None:
    chain = wallet_chain(CHAIN)
    async with guarded(pki_folder, rules=[PAYS]) as both, ChainNode(chain).serve("127.0.0.1", 0) as node:
        url, whole = f"http://127.0.0.1:{node.port}", ArmedFate()
        async with life(both, url, tmp_path / "journal", whole, b"\x01" * 32) as (_, app):
            chain.fund(parse_address(app.wallet), WEI)
            assert (await send(app, "whole"))["code"] == "transactionReceipt"
        assert chain.balance(PAYROLL) == WEI
        assert whole.passed > 25
        for at in range(whole.passed):
            await end_at(both, chain, url, tmp_path / "journal", at)


async def end_at(both: Guarded, chain: LocalChain, url: str, journal: Path, at: int) -> None:
    """A new user each time, so that the wallet is made known to the guard and created, too."""
    before, secret = chain.balance(PAYROLL), (at + 2).to_bytes(32, "big")
    async with life(both, url, journal, ArmedFate(at), secret) as (_, app):
        chain.fund(parse_address(app.wallet), 2 * WEI)
        with pytest.raises(Killed):
            await send(app, str(at))
    async with life(both, url, journal, ArmedFate(), secret) as (relay, app):
        answer = await send(app, str(at))
        assert answer["code"] == "transactionReceipt", (at, answer)
        await relay.advance()
        asked = {"network": str(CHAIN), "metaTxHash": answer["data"]["metaTxHash"]}
        found = (await app.of_wallet("getTransactionReceipt", **asked))["data"]
        assert (bool(found["txHash"]), found["receipt"]["status"]) == (True, "SUCCEEDED"), at
    assert chain.balance(PAYROLL) == before + WEI, at
