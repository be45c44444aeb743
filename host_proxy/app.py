"""The host proxy put together: `compose` wires all parts, `Host` starts and stops them in order.

Trust side: host. Production and simulator compose the same parts; they differ in the four ports alone: who starts the
enclave, who resolves names, who has credentials, where records lie.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from host_proxy.client_address import ClientAddresses
from host_proxy.config import HostConfig, parse_listen, validate_config
from host_proxy.credentials import BotoCredentials, CredentialsProvider
from host_proxy.egress import EgressProxy
from host_proxy.egress_policy import EgressPolicy, Resolver, SystemResolver
from host_proxy.enclave_link import EnclaveLink, WorkerPool
from host_proxy.guard_links import GuardLinks, configured_guards
from host_proxy.health import HealthMonitor, Report
from host_proxy.http import Ingress
from host_proxy.http_door import Door
from host_proxy.http_server import HttpServer
from host_proxy.logging import Log
from host_proxy.looking import Looks
from host_proxy.metrics import Metrics
from host_proxy.metrics_app import MetricsApp
from host_proxy.nitro_cli import NitroCli
from host_proxy.pages import review_pages
from host_proxy.rate_limit import TokenBuckets
from host_proxy.relay.configured import configured_relays
from host_proxy.relay.wallet_relay import WalletRelays
from host_proxy.services import Services
from host_proxy.store import SqliteStore, Store
from host_proxy.supervisor import Launcher, Supervisor, Unmanaged
from protocol.addresses import VsockAddress

_SWITCH_S: Final = 0.0005
"""A store's thread that comes back from the disk wants the interpreter for a moment; Python lets it wait up to 5 ms."""


@dataclass(frozen=True, slots=True)
class HostPorts:
    """What a host stands on."""

    launcher: Launcher
    resolver: Resolver
    credentials: CredentialsProvider
    store: Store
    relays: WalletRelays = field(default_factory=lambda: WalletRelays({}))
    guards: GuardLinks = field(default_factory=lambda: GuardLinks({}))
    page_roots: tuple[bytes, ...] = ()
    """Certificates (DER) that the reviewers' page trusts in the place of Amazon's; a stand-in for hardware has one."""


class Host:
    """One running host proxy. `port` and `metrics_port` are the real ones after `start`."""

    def __init__(
        self,
        config: HostConfig,
        ports: HostPorts,
        *,
        public: HttpServer,
        private: HttpServer,
        pool: WorkerPool,
        health: HealthMonitor,
        services: Services,
        egress: EgressProxy,
        supervisor: Supervisor,
        log: Log,
    ) -> None:
        self._config = config
        self._ports = ports
        self._public = public
        self._private = private
        self._pool = pool
        self._health = health
        self._services = services
        self._egress = egress
        self._supervisor = supervisor
        self._log = log

    @property
    def port(self) -> int:
        """The TCP port of the public API."""
        return self._public.port

    @property
    def metrics_port(self) -> int:
        """The TCP port of the private listener."""
        return self._private.port

    async def health(self) -> Report:
        """What `/health` answers."""
        return await self._health.report()

    async def start(self) -> None:
        """Starts everything; after an error (`HostError`) everything that had started is stopped again."""
        guest = self._config.enclave.guest()
        sys.setswitchinterval(_SWITCH_S)
        try:
            self._services.start(guest)  # before the enclave: it asks for its records while it boots
            self._egress.start(guest)
            self._supervisor.start()
            self._ports.relays.start()
            self._pool.start()
            self._health.start()
            await self._private.start()
            await self._public.start()
        except BaseException:
            await self.stop()
            raise
        self._log.event(
            "host.started", port=self.port, metrics_port=self.metrics_port, workers=self._config.enclave.workers
        )

    async def stop(self) -> None:
        """Stops accepting, lets requests finish within `grace_s`, then ends the enclave and what it stands on."""
        self._log.event("host.stopping")
        cut_off = await self._public.stop(self._config.grace_s)
        await self._private.stop(0)
        await self._health.close()
        await self._pool.close()
        await self._supervisor.close()
        await self._egress.close()
        await self._services.close()
        await self._ports.relays.close()
        await self._ports.guards.close()
        await self._ports.store.close()
        self._log.event("host.stopped", cut_off=cut_off)


def compose(config: HostConfig, ports: HostPorts, *, log: Log, metrics: Metrics) -> Host:
    """A host of these parts, not yet started; `ConfigError`. To be called on a running event loop."""
    validate_config(config)
    looks = Looks()
    pool = WorkerPool(
        [
            EnclaveLink(address, number, looks=looks, log=log, metrics=metrics)
            for number, address in enumerate(config.enclave.worker_addresses())
        ]
    )
    supervisor = Supervisor(ports.launcher, log=log, metrics=metrics)
    health = HealthMonitor(pool, ports.store, lambda: supervisor.state, metrics)
    clients = ClientAddresses(config.proxies())
    ingress = Ingress(
        pool=pool,
        health=health,
        clients=clients,
        by_client=TokenBuckets(rate=config.rates.client_per_s, burst=config.rates.client_burst),
        by_auth_key=TokenBuckets(rate=config.rates.auth_key_per_s, burst=config.rates.auth_key_burst),
        scope=config.scope,
        pages=review_pages(config.review_page, ports.page_roots),
        log=log,
        metrics=metrics,
    )
    door = Door(clients, metrics, max_per_client=config.max_connections_per_client)
    return Host(
        config,
        ports,
        public=HttpServer(ingress, listen=parse_listen(config.listen), door=door, tls=config.tls),
        private=HttpServer(MetricsApp(metrics), listen=parse_listen(config.metrics_listen), door=Door(clients)),
        pool=pool,
        health=health,
        services=Services(
            store=ports.store,
            credentials=ports.credentials,
            relays=ports.relays,
            guards=ports.guards,
            looks=looks,
            log=log,
            metrics=metrics,
        ),
        egress=EgressProxy(
            EgressPolicy(config.destinations, ports.resolver), log=log, metrics=metrics, direct=config.direct_ports()
        ),
        supervisor=supervisor,
        log=log,
    )


def metrics_for(config: HostConfig) -> Metrics:
    """Metrics whose label sets are closed by this configuration."""
    destinations = [f"{destination.host}:{destination.port}" for destination in config.destinations]
    return Metrics(destinations=destinations, workers=config.enclave.workers)


def production_ports(config: HostConfig, metrics: Metrics) -> HostPorts:
    """The real ports; `HostError`."""
    return HostPorts(
        launcher=_launcher(config),
        resolver=SystemResolver(),
        credentials=BotoCredentials({holder.name: holder.profile for holder in config.holders}),
        store=SqliteStore(Path(config.store), observe_commit=metrics.store_batch.observe),
        relays=configured_relays(config),
        guards=configured_guards(config),
    )


def _launcher(config: HostConfig) -> Launcher:
    launch, guest = config.enclave.launch, config.enclave.guest()
    if launch is None or not isinstance(guest, VsockAddress):
        return Unmanaged()
    return NitroCli(launch, guest.cid)
