"""Random routing over a random schedule of a hostile host: what holds for one worker holds for three (RB-14, VS-11)."""

from pathlib import Path

import pytest

from enclave.shared_versions import SharedVersions
from tests.appliance import Client, Refused
from tests.enclave_core.test_hostile_host import Schedule
from tests.enclave_workers.crew import Crew

SETTINGS = {"mails_per_address": 1000, "otp_s": 60}
DAMAGE = ("restart", "restore", "restore_table", "drop", "hide", "snapshot", "heal")


class RoutedSchedule(Schedule):
    """Each operation reaches any worker; sessions are revoked by another device of the same user."""

    def __init__(self, crew: Crew, seed: int) -> None:
        super().__init__(crew, seed)
        self.crew = crew
        self.other = Client(crew)

    async def _outcome(self, name: str) -> str:
        self.crew.at = self.random.choice([None, *range(self.crew.count)])
        self.trace[-1] += f"@{self.crew.at}"
        return await super()._outcome(name)

    async def revoke(self) -> None:
        if self.model.session:
            name = self.model.client.name
            await self.other.own("/rpc/Session/Revoke", device=name, session=self.model.session)
            self.model.revoked.add(self.model.session)

    async def log_in(self) -> None:
        await super().log_in()
        await self.world.log_in(self.other)


@pytest.mark.parametrize("offset", range(12))
async def test_no_routing_of_a_hostile_host_breaks_an_invariant(pki_folder: Path, seed: int, offset: int) -> None:
    crew = Crew(pki_folder, 3, limits=SETTINGS)
    await crew.boot()
    schedule = RoutedSchedule(crew, seed + offset)
    await schedule.log_in()
    await schedule.run()
    await crew.stop()
    assert schedule.trace


async def test_random_routing_finds_workers_that_share_no_versions(
    pki_folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SM-04: with versions that each worker keeps to itself, some schedule of a hundred must break an invariant."""

    def alone(self: SharedVersions, *_: object) -> None:
        """Remember nothing of what others might have to know."""

    monkeypatch.setattr(SharedVersions, "rise", alone)
    monkeypatch.setattr(SharedVersions, "_rise", alone)
    for offset in range(100):
        crew = Crew(pki_folder, 3, limits=SETTINGS)
        await crew.boot()
        schedule = RoutedSchedule(crew, seed + offset)
        try:
            await schedule.log_in()
            await schedule.run()
        except (AssertionError, pytest.fail.Exception):
            return
        except Refused:
            continue
        finally:
            await crew.stop()
    raise AssertionError("nothing was found")
