"""A host that restores, hides, drops and restarts under a random schedule: what must hold holds (RB-14, VS-11).

The model knows what was acknowledged. Whatever the host does with the store: within a boot no nonce signs twice, and
what was revoked stays revoked; over restarts no session of an earlier boot signs; an identity gets no second wallet
in a boot.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enclave.versions import SeenVersions
from evm.keccak import keccak256
from protocol.services import StoredRecord
from tests.appliance import Client, Refused, World

DIGEST = keccak256(b"message")
STEPS = 120
OPERATIONS = ["log_in", "sign", "sign", "sign", "replay", "session", "revoke", "use_revoked", "snapshot", "restore"]
OPERATIONS += ["restore_table", "drop", "hide", "heal", "restart"]
Snapshot = dict[tuple[str, bytes], StoredRecord]


@dataclass
class Model:
    """What the user has seen happen."""

    client: Client
    signer: str = ""
    session: str = ""
    logged_in: bool = False
    nonce: int = 0
    signed: set[int] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    wallets: dict[int, str] = field(default_factory=dict)
    boots: int = 0


class Schedule:
    """Draws operations and checks the invariants after each."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.model = Model(Client(world))
        self.snapshots: list[Snapshot] = [world.store.snapshot()]
        self.trace: list[str] = []
        self.successes = 0

    async def run(self) -> None:
        for _ in range(STEPS):
            name = self.random.choice(OPERATIONS)
            self.trace.append(name)
            self.trace[-1] += await self._outcome(name)
            assert not self.trace[-1].endswith("7100"), self.trace

    async def _outcome(self, name: str) -> str:
        try:
            await getattr(self, name)()
        except Refused as refusal:
            return f" -> {refusal.code}"
        return ""

    async def log_in(self) -> None:
        result = await self.world.log_in(self.model.client)
        address = result["signer"]["address"]
        known = self.model.wallets.setdefault(self.model.boots, address)
        assert known == address, self.trace
        self.model.signer, self.model.logged_in = address, True

    async def sign(self) -> None:
        self.model.nonce += 1
        await self.model.client.sign(self.model.signer or "0x" + "00" * 20, DIGEST, nonce=self.model.nonce)
        assert self.model.logged_in, self.trace
        self._signed(self.model.nonce)

    async def replay(self) -> None:
        nonce = self.random.randint(1, self.model.nonce + 1)
        await self.model.client.sign(self.model.signer or "0x" + "00" * 20, DIGEST, nonce=nonce)
        self._signed(nonce)

    async def session(self) -> None:
        self.model.client._nonce = self.model.nonce = max(self.model.client._nonce, self.model.nonce)
        self.model.session = (await self.model.client.session())["session"]
        self.model.nonce = self.model.client._nonce

    async def revoke(self) -> None:
        if self.model.session:
            self.model.client._nonce = max(self.model.client._nonce, self.model.nonce)
            await self.model.client.own("/rpc/Session/Revoke", session=self.model.session)
            self.model.revoked.add(self.model.session)

    async def use_revoked(self) -> None:
        for session in self.model.revoked:
            self.model.client._nonce = max(self.model.client._nonce, self.model.nonce)
            with pytest.raises(Refused):
                await self.model.client.own("/rpc/Signer/SignMessage", session=session, message={"text": "x"})

    async def snapshot(self) -> None:
        self.snapshots.append(self.world.store.snapshot())

    async def restore(self) -> None:
        self.world.store.rows = dict(self.random.choice(self.snapshots))

    async def restore_table(self) -> None:
        table = self.random.choice(["account", "device", "nonce", "login"])
        old = self.random.choice(self.snapshots)
        rows = self.world.store.rows
        self.world.store.rows = {place: row for place, row in rows.items() if place[0] != table} | {
            place: row for place, row in old.items() if place[0] == table
        }

    async def drop(self) -> None:
        self.world.store.drop_writes = True

    async def hide(self) -> None:
        self.world.store.hidden = {self.random.choice(["account", "device", "nonce"])}

    async def heal(self) -> None:
        self.world.store.drop_writes, self.world.store.hidden = False, set()

    async def restart(self) -> None:
        await self.heal()
        self.world.clock.advance_s(1)
        await self.world.boot()
        self.model.boots += 1
        self.model.logged_in = False
        self.model.revoked.clear()
        self.model.signed.clear()  # across a restart only sessions protect: none of an earlier boot signs

    def _signed(self, nonce: int) -> None:
        self.successes += 1
        assert self.model.logged_in, self.trace
        assert nonce not in self.model.signed, self.trace
        self.model.signed.add(nonce)


@pytest.mark.parametrize("offset", range(40))
async def test_no_schedule_of_a_hostile_host_breaks_an_invariant(pki_folder: Path, seed: int, offset: int) -> None:
    world = World(pki_folder, limits={"mails_per_address": 1000, "otp_s": 60})
    await world.boot()
    schedule = Schedule(world, seed + offset)
    await schedule.log_in()
    await schedule.run()
    await world.stop()
    assert schedule.trace


async def test_the_schedule_is_able_to_find_a_planted_bug(
    pki_folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SM-04: with versions no longer remembered, some schedule of a hundred must break an invariant."""

    class Forgetful(SeenVersions):
        def rise(self, record_id: bytes, version: int) -> None:
            """Remember nothing."""

    found = False
    for offset in range(100):
        world = World(pki_folder, limits={"mails_per_address": 1000, "otp_s": 60})
        await world.boot()
        schedule = Schedule(world, seed + offset)
        instrument = world.enclave._dispatcher._routes.signed["/rpc/IdentityInstrument/Sign"].__self__  # type: ignore[attr-defined]
        instrument._accounts._records._seen = Forgetful()
        monkeypatch.setattr("attestation.lru.Lru.put", lambda *_: None)
        monkeypatch.setattr("enclave.nonces._CACHED_NONCES", 0)
        try:
            await schedule.log_in()
            await schedule.run()
        except AssertionError:
            found = True
        await world.stop()
        if found:
            break
    assert found
