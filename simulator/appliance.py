"""The whole appliance on this machine: stand-ins, staged and measured image, walled-in enclave, host proxy.

The host proxy is the production one; it gets the simulator's launcher, resolver and credentials, and its own store.
Used by `make run`, `make demo`, the benchmarks and the end-to-end tests.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import httpx

from host_proxy.app import Host, HostPorts, compose, metrics_for
from host_proxy.config import Enclave, HostConfig, Rates
from host_proxy.logging import Log
from host_proxy.store import SqliteStore, Store
from simulator.emulated import CountersigningTransport
from simulator.enclaves import Enclaves, LocalLauncher, MeasuredImage, Prepared, WalledIn
from simulator.stand_ins import StandIns, write_root

_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """What callers choose. `changes` replace members of the measured configuration."""

    listen: str = "127.0.0.1:8080"
    metrics_listen: str = "127.0.0.1:0"
    enclaves: Enclaves = field(default_factory=WalledIn)
    pin: bool = True
    rates: Rates = field(default_factory=Rates)
    on_line: Callable[[str], None] = lambda _: None
    on_mail: Callable[[EmailMessage], None] = lambda _: None
    log: Log | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    store: Callable[[Path], Store] = SqliteStore


class Appliance:
    """A running appliance."""

    def __init__(self, stand_ins: StandIns, prepared: Prepared, host: Host, boot_deadline_s: float) -> None:
        self.stand_ins = stand_ins
        self.image = prepared.image
        self.launcher = prepared.launcher
        self.host = host
        self._boot_deadline_s = boot_deadline_s

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.host.port}"

    def transport(self) -> httpx.BaseTransport | None:
        """What clients of this appliance reach it through; None for the usual way."""
        notary = self.stand_ins.notary
        return None if notary is None else CountersigningTransport(notary)

    async def health(self) -> dict[str, Any]:
        """What `/health` says, whatever its status."""
        async with httpx.AsyncClient() as client:
            body: dict[str, Any] = (await client.get(f"{self.url}/health")).json()
            return body

    async def wait_for(
        self, condition: Callable[[dict[str, Any]], bool], what: str, deadline_s: float | None = None
    ) -> dict[str, Any]:
        """Health, once `condition` holds for it; `TimeoutError` that says what was waited for, and the last health."""
        health: dict[str, Any] = {}
        deadline_s = deadline_s or self._boot_deadline_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while True:
                    health = await self.health()
                    if condition(health):
                        return health
                    await asyncio.sleep(_POLL_S)
        raise TimeoutError(f"not within {deadline_s:.0f} s: {what}; health was {health}")

    async def wait_until(self, phase: str = "serving", deadline_s: float | None = None) -> dict[str, Any]:
        """Health, once the enclave is in `phase`."""
        return await self.wait_for(lambda health: health["phase"] == phase, f"the enclave is {phase}", deadline_s)


@contextlib.asynccontextmanager
async def running(state: Path, options: Options | None = None) -> AsyncIterator[Appliance]:
    """Start everything with its state in `state`; stop and clean up on leaving. Not yet necessarily serving."""
    chosen = options or Options()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240  before anything runs
    enclaves = chosen.enclaves
    stand_ins = StandIns(state, chosen.on_mail, emulated=enclaves.emulated)
    write_root(state, stand_ins.root)
    # Unix socket paths are short; the folder of the checkout may not be.
    scratch = Path(tempfile.mkdtemp(prefix="chancery-"))
    await stand_ins.start()
    try:
        config = stand_ins.config_with({**enclaves.changes, **chosen.changes})
        prepared = await enclaves.prepare(config, scratch, stand_ins.pki, chosen.on_line)
        if chosen.pin:
            stand_ins.pin(prepared.image.pcrs)
        host = _host(state, chosen, stand_ins, prepared.launcher)
        await host.start()
        try:
            yield Appliance(stand_ins, prepared, host, enclaves.boot_deadline_s)
        finally:
            await host.stop()
            prepared.launcher.close()
    finally:
        await stand_ins.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _host(state: Path, options: Options, stand_ins: StandIns, launcher: LocalLauncher) -> Host:
    config = HostConfig(
        version=1,
        enclave=Enclave(address=launcher.address),
        store=str(state / "store.sqlite"),
        listen=options.listen,
        metrics_listen=options.metrics_listen,
        destinations=stand_ins.destinations,
        rates=options.rates,
        grace_s=2.0,
    )
    store = options.store(Path(config.store))
    ports = HostPorts(launcher=launcher, resolver=stand_ins, credentials=stand_ins, store=store)
    return compose(config, ports, log=options.log or Log(), metrics=metrics_for(config))


def describe(image: MeasuredImage) -> dict[str, str]:
    """The registers of an image as hex, by name."""
    return {f"PCR{index}": value.hex() for index, value in sorted(image.pcrs.items())}
