"""An enclave of several workers in one process: each is the whole of one, over the same ports; the host routes.

`at` is the worker that gets the next requests, whatever their key; None for the one that owns it, as an honest host
routes.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enclave.app import Enclave, build
from enclave.ownership import owner_of
from enclave.phases import Phase
from enclave.workers import Worker, make_workers
from protocol.frames import Request, Response
from tests.appliance import Client, World
from tests.guard_wire.guard_world import GuardWorld

SEEN_RECORDS = 10_000


class Crew(World):
    """`World` with `count` workers."""

    def __init__(self, folder: Path, count: int = 2, *, seen_records: int = SEEN_RECORDS, **changes: Any) -> None:
        self.count = count
        self.seen_records = seen_records
        self.at: int | None = None
        self.lost: list[int] = []
        self.workers: list[Worker] = []
        self.crew: list[Enclave] = []
        self._tasks: list[asyncio.Task[None]] = []
        super().__init__(folder, **changes)

    def build(self) -> Enclave:
        self.workers = make_workers(self.count, self.seen_records, os.urandom, self.lost.append)
        self.crew = [build(self.ports(), self.config, worker) for worker in self.workers]
        return self.crew[0]

    async def boot(self) -> Enclave:
        await self.stop()
        self.nsm = self.new_nsm()
        self.enclave = self.build()
        self._tasks = [asyncio.create_task(enclave.run()) for enclave in self.crew]
        async with asyncio.timeout(20):
            while any(enclave.phases.phase is Phase.BOOTING for enclave in self.crew):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return self.enclave

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for enclave in self.crew:
            for link in enclave._siblings._links.values():
                link.fail()
        await asyncio.sleep(0)
        self._tasks = []

    async def raw(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, http_method: str = "POST"
    ) -> Response:
        sent = {"content-type": "application/json"} if headers is None else headers
        request = Request(1, f"{http_method} {path}", sent, body)
        number = owner_of(request, self.count) if self.at is None else self.at
        return await self.crew[number or 0].answer(request)

    def owner(self, client: Client) -> int:
        """The worker that holds what is kept for a device's key."""
        return next(worker.number for worker in self.workers if worker.owns(client.auth_key["address"].lower()))

    def client_of(self, number: int, **options: Any) -> Client:
        """A device whose key worker `number` owns."""
        while True:
            client = Client(self, **options)
            if self.owner(client) == number:
                return client


class GuardCrew(Crew, GuardWorld):
    """A guard of several workers."""
