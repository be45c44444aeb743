"""The whole appliance on this machine: stand-ins, staged and measured image, walled-in enclave, host proxy.

The host proxy is the production one; it gets the simulator's launcher, resolver and credentials, and its own store.
Used by `make run`, `make demo`, the benchmarks and the end-to-end tests.
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import httpx

from attestation.client import SealedTransport, Service
from attestation.policy import Measurements
from host_proxy.app import Host, HostPorts, compose, metrics_for
from host_proxy.client.api import Caller
from host_proxy.client.guard import GuardClient
from host_proxy.config import Enclave, GuardConfig, HostConfig, Rates, ReviewPage
from host_proxy.guard_links import configured_guards
from host_proxy.logging import Log
from host_proxy.relay.config import RelayConfig
from host_proxy.relay.configured import configured_relays
from host_proxy.store import SqliteStore, Store
from simulator import guard_settings, settings
from simulator.chain_node import CHAIN_ID, ChainNode, gas_account, wallet_chain
from simulator.emulated import CountersigningTransport
from simulator.enclaves import Enclaves, MeasuredImage, Prepared, WalledIn
from simulator.places import GuardOptions, Place, guard_place
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
    on_event: Callable[[Mapping[str, Any]], None] = lambda _: None
    """What a tenant's server was told."""
    log: Log | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    store: Callable[[Path], Store] = SqliteStore
    guard: GuardOptions | None = None


class Appliance:
    """A running appliance: one enclave behind its host. `guard` is another one, which signs second."""

    def __init__(
        self,
        stand_ins: StandIns,
        prepared: Prepared,
        host: Host,
        boot_deadline_s: float,
        guard: "Appliance | None" = None,
        node_url: str = "",
    ) -> None:
        self.stand_ins = stand_ins
        self.image = prepared.image
        self.launcher = prepared.launcher
        self.host = host
        self.guard = guard
        self.node_url = node_url
        """JSON-RPC of the local chain onto which transactions are relayed."""
        self._boot_deadline_s = boot_deadline_s

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.host.port}"

    @property
    def measurements(self) -> Measurements:
        """The policy that accepts this image and no other."""
        return Measurements(name="this image", pcrs={index: self.image.pcrs[index] for index in range(3)})

    def caller(self, *, sealed: bool = False) -> Caller:
        """Calls to this appliance that need no device key, accepting answers of this image alone."""
        roots, transport = (self.stand_ins.root,), self.transport()
        if sealed:
            transport = SealedTransport(Service(url=self.url, image=self.measurements, roots=roots), outer=transport)
        return Caller(self.url, roots=roots, image=self.measurements, transport=transport)

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
    seats = settings.HOLDERS if chosen.guard is None else (*settings.HOLDERS, *guard_settings.HOLDERS)
    stand_ins = StandIns(state, chosen.on_mail, chosen.on_event, emulated=chosen.enclaves.emulated, seats=seats)
    write_root(state, stand_ins.root)
    # Unix socket paths are short; the folder of the checkout may not be.
    scratch = Path(tempfile.mkdtemp(prefix="chancery-"))
    await stand_ins.start()
    try:
        async with contextlib.AsyncExitStack() as stack:
            node = await stack.enter_async_context(ChainNode(wallet_chain()).serve("127.0.0.1", 0))
            guards: tuple[GuardConfig, ...] = ()
            relay = _relay(f"http://127.0.0.1:{node.port}", scratch)
            guard, changes = None, {**chosen.enclaves.changes, **chosen.changes}
            if chosen.guard is not None:
                place = guard_place(state, scratch / "guard", chosen.guard, stand_ins, chosen.enclaves.changes)
                guard = await stack.enter_async_context(_started(place, chosen, stand_ins))
                address = await _address_of(guard, state, wait=chosen.pin)
                changes = {"scopes": settings.scopes(address), **changes}
                guards = (GuardConfig(address=address, url=guard.url),) if address else ()
            place = Place(
                config=stand_ins.config_with(changes),
                seats=settings.HOLDERS,
                scratch=scratch / "instrument",
                store=state / "store.sqlite",
                listen=(chosen.listen, chosen.metrics_listen),
                relays=(relay,),
                guards=guards,
            )
            appliance = await stack.enter_async_context(_started(place, chosen, stand_ins, guard))
            stand_ins.issuer_url = appliance.url
            yield appliance
    finally:
        await stand_ins.close()
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.asynccontextmanager
async def _started(
    place: Place, options: Options, stand_ins: StandIns, guard: Appliance | None = None
) -> AsyncIterator[Appliance]:
    """One enclave behind its host."""
    place.scratch.mkdir()
    prepared = await options.enclaves.prepare(place.config, place.scratch, stand_ins.pki, options.on_line)
    if options.pin:
        stand_ins.pin(prepared.image.pcrs, seats=place.seats)
    host = _host(place, options, stand_ins, prepared)
    await host.start()
    try:
        node_url = place.relays[0].node if place.relays else ""
        yield Appliance(stand_ins, prepared, host, options.enclaves.boot_deadline_s, guard, node_url)
    finally:
        await host.stop()
        prepared.launcher.close()


def _relay(node: str, folder: Path) -> RelayConfig:
    """The relay of the local chain. Its journal ends with the chain."""
    journal = str(folder / "relay.sqlite")
    return RelayConfig(
        chain_id=CHAIN_ID, node=node, signer=node, account=gas_account(), journal=journal, confirmations=1
    )


def _host(place: Place, options: Options, stand_ins: StandIns, prepared: Prepared) -> Host:
    pcrs: Any = {str(index): prepared.image.pcrs[index].hex() for index in range(3)}
    workers = json.loads(place.config).get("workers", 1)
    config = HostConfig(
        version=1,
        enclave=Enclave(address=prepared.launcher.address, workers=workers),
        store=str(place.store),
        listen=place.listen[0],
        metrics_listen=place.listen[1],
        destinations=stand_ins.destinations,
        review_page=ReviewPage(deployment=place.reviewed, pcrs=pcrs) if place.reviewed else None,
        relays=place.relays,
        guards=place.guards,
        rates=options.rates,
        grace_s=2.0,
    )
    ports = HostPorts(
        launcher=prepared.launcher,
        resolver=stand_ins,
        credentials=stand_ins,
        store=options.store(place.store),
        relays=configured_relays(config),
        guards=configured_guards(config),
        page_roots=(stand_ins.root.der,),
    )
    return compose(config, ports, log=options.log or Log(), metrics=metrics_for(config))


async def _address_of(guard: Appliance, state: Path, *, wait: bool) -> str | None:
    """The guard's address, which it has from its first boot on. It is kept, so that later boots of a guard and of what
    it guards need not wait for one another. None if it is not known, and would not be before somebody approves.
    """
    path = state / guard_settings.FOLDER / "address"
    if not path.exists():
        if not wait:
            return None
        await guard.wait_until()
        path.write_text(await asyncio.to_thread(_signer, guard))
    return path.read_text()


def _signer(guard: Appliance) -> str:
    caller = guard.caller()
    try:
        return GuardClient(caller).rules().signer
    finally:
        caller.close()


def describe(image: MeasuredImage) -> dict[str, str]:
    """The registers of an image as hex, by name."""
    return {f"PCR{index}": value.hex() for index, value in sorted(image.pcrs.items())}
