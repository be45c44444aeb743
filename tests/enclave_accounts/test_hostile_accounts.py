"""A host that restores, hides, forgets and restarts under a random schedule, while owners link, unlink and freeze.

The model knows what was acknowledged in this boot. Whatever the host does, within a boot a frozen account signs
nothing, an unlinked login neither signs nor gets in, and one identity has one wallet.
"""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.appliance import Refused, World
from tests.enclave_accounts.people import ADA, LIMITS, WORK, Person

STEPS = 60
TABLES = ["account", "login", "device", "nonce"]


class Schedule:
    """Draws steps and checks the invariants after each. Facts are those of the present boot."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.trace: list[str] = []
        self.snapshots = [world.store.snapshot()]
        self.by_main, self.by_work = Person(world), Person(world)
        self.forget()

    def forget(self) -> None:
        """A boot begins: what was acknowledged before may have been rolled back."""
        self.frozen = self.unlinked = False
        self.wallets: dict[str, str] = {}

    async def run(self) -> None:
        steps: list[Callable[[], Awaitable[None]]] = [
            self.log_in, self.log_in_by_work, self.link, self.unlink, self.freeze, self.sign, self.sign,
            self.sign_by_work, self.snapshot, self.restore, self.restore_table, self.hide, self.drop, self.heal,
            self.restart,
        ]  # fmt: skip
        for _ in range(STEPS):
            step = self.random.choice(steps)
            self.trace.append(step.__name__)
            self.trace[-1] += await self._outcome(step)
            assert not self.trace[-1].endswith("7100"), self.trace

    async def _outcome(self, step: Callable[[], Awaitable[None]]) -> str:
        try:
            await step()
        except Refused as refusal:
            return f" -> {refusal.code}"
        return ""

    async def log_in(self) -> None:
        self._led(ADA, await self.by_main.log_in(ADA))

    async def log_in_by_work(self) -> None:
        wallet = await self.by_work.log_in(WORK)
        assert not self.unlinked, self.trace
        self._led(WORK, wallet)

    async def link(self) -> None:
        await self.by_main.link(WORK)
        self.unlinked = False
        self._led(WORK, self.by_main.signer)

    async def unlink(self) -> None:
        await self.by_main.account("Unlink", login=f"Email:{WORK}")
        self.unlinked = True
        self.wallets.pop(WORK, None)

    async def freeze(self) -> None:
        await self.by_main.account("Freeze")
        self.frozen = True

    async def sign(self) -> None:
        await self.by_main.sign(self.by_main.signer or "0x" + "00" * 20)
        assert not self.frozen, self.trace

    async def sign_by_work(self) -> None:
        await self.by_work.sign(self.by_work.signer or "0x" + "00" * 20)
        assert not self.unlinked, self.trace
        assert not (self.frozen and self.by_work.signer == self.by_main.signer), self.trace

    async def snapshot(self) -> None:
        self.snapshots.append(self.world.store.snapshot())

    async def restore(self) -> None:
        self.world.store.rows = dict(self.random.choice(self.snapshots))

    async def restore_table(self) -> None:
        table, old = self.random.choice(TABLES), self.random.choice(self.snapshots)
        others = {place: row for place, row in self.world.store.rows.items() if place[0] != table}
        self.world.store.rows = others | {place: row for place, row in old.items() if place[0] == table}

    async def hide(self) -> None:
        self.world.store.hidden = {self.random.choice(TABLES)}

    async def drop(self) -> None:
        self.world.store.drop_writes = True

    async def heal(self) -> None:
        self.world.store.drop_writes, self.world.store.hidden = False, set()

    async def restart(self) -> None:
        await self.heal()
        self.world.clock.advance_s(1)
        await self.world.boot()
        self.forget()

    def _led(self, login: str, wallet: str) -> None:
        assert self.wallets.setdefault(login, wallet) == wallet, self.trace


async def scheduled(folder: Path, seed: int) -> None:
    world = World(folder, limits=LIMITS)
    await world.boot()
    schedule = Schedule(world, seed)
    try:
        await schedule.log_in()
        await schedule.run()
    finally:
        await world.stop()
    assert len(schedule.trace) == STEPS


@pytest.mark.parametrize("offset", range(40))
async def test_no_schedule_of_a_hostile_host_breaks_an_invariant(pki_folder: Path, seed: int, offset: int) -> None:
    await scheduled(pki_folder, seed + offset)


async def test_the_schedule_is_able_to_find_a_planted_bug(
    pki_folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SM-04: with freezes no longer looked at before a wallet opens, some schedule of thirty must break one."""

    def never(*_: Any) -> bool:
        return False

    monkeypatch.setattr("enclave.account.Account.is_frozen", never)
    found = False
    for offset in range(30):
        try:
            await scheduled(pki_folder, seed + offset)
        except AssertionError:
            found = True
            break
    assert found
