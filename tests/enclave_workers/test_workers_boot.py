"""Workers serve together or not at all, and have opened the same (RB-13)."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from enclave.app import Enclave, build
from enclave.errors import BootError, NsmError
from enclave.phases import Phase
from enclave.workers import make_workers
from protocol import limits
from protocol.frames import Request
from tests.appliance import World, config
from tests.enclave_workers.crew import SEEN_RECORDS, Crew
from tests.enclave_workers.test_workers_guard import AgreeableStore


async def reached(enclave: Enclave, phase: Phase) -> None:
    async with asyncio.timeout(10):
        while enclave.phases.phase is not phase:  # noqa: ASYNC110  the enclave has no hook for tests
            await asyncio.sleep(0.001)


def identity(enclave: Enclave) -> bytes:
    attestor = enclave._dispatcher._attestor
    assert attestor is not None
    return attestor._binding().identity_key


async def test_no_worker_serves_before_all_have_booted(pki_folder: Path) -> None:
    crew = Crew(pki_folder)
    first, second = crew.crew
    tasks = [asyncio.create_task(first.run())]
    await asyncio.sleep(0.3)
    answer = await first.answer(Request(1, "POST /rpc/Account/Get", {"content-type": "application/json"}, b"{}"))
    assert json.loads(answer.body)["error"] == "NotServing"
    tasks.append(asyncio.create_task(second.run()))
    await asyncio.gather(reached(first, Phase.SERVING), reached(second, Phase.SERVING))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await crew.stop()


async def test_worker_that_halts_keeps_all_from_serving(pki_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(pki_folder)

    def broken(_: int) -> None:
        raise NsmError("nsm-device")

    monkeypatch.setattr(crew.crew[1]._nsm, "describe_pcr", broken)
    tasks = [asyncio.create_task(enclave.run()) for enclave in crew.crew]
    await asyncio.gather(*(reached(enclave, Phase.HALTED) for enclave in crew.crew))
    assert [enclave.phases.reason for enclave in crew.crew] == ["worker-halted", "nsm-device"]
    await asyncio.gather(*tasks)
    await crew.stop()


async def test_workers_that_are_shown_different_deployments_halt(pki_folder: Path) -> None:
    worlds = [World(pki_folder), World(pki_folder)]
    worlds[1].kms = worlds[0].kms
    for world in worlds:
        await world.boot()
        await world.stop()
    lost: list[int] = []
    workers = make_workers(2, SEEN_RECORDS, os.urandom, lost.append)
    enclaves = [build(world.ports(), world.config, worker) for world, worker in zip(worlds, workers, strict=True)]
    tasks = [asyncio.create_task(enclave.run()) for enclave in enclaves]
    await asyncio.gather(*(reached(enclave, Phase.HALTED) for enclave in enclaves))
    assert {enclave.phases.reason for enclave in enclaves} <= {"workers-differ", "worker-halted"}
    await asyncio.gather(*tasks)
    for enclave in enclaves:
        for link in enclave._siblings._links.values():
            link.fail()


async def test_workers_that_found_at_once_have_one_identity_whatever_the_store_agrees_to(pki_folder: Path) -> None:
    crew = Crew(pki_folder, 3)
    crew.store = AgreeableStore()
    await crew.boot()
    assert all(enclave.phases.serving for enclave in crew.crew)
    assert len({identity(enclave) for enclave in crew.crew}) == 1
    assert len({enclave._dispatcher._receipts._epoch for enclave in crew.crew if enclave._dispatcher._receipts}) == 1
    await crew.stop()


async def test_worker_learns_of_the_end_of_another(crew: Crew) -> None:
    crew.crew[1]._siblings._links[0].fail()
    async with asyncio.timeout(5):
        while 1 not in crew.lost:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_workers_at_the_cap_are_taken_and_one_more_or_none_are_refused() -> None:
    assert config().workers == 1
    assert config(workers=limits.MAX_WORKERS).workers == limits.MAX_WORKERS
    for workers in (0, limits.MAX_WORKERS + 1):
        with pytest.raises(BootError, match="config-malformed"):
            config(workers=workers)
