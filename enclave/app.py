"""An enclave built from its ports: `build(ports, config)`, then `run()`, then frames through `answer`.

Boot and what outlives it are put together here, the methods in `services`. Until the deployment's secrets are open the
enclave is `booting` and answers only status and health; with too few holders it stays so and keeps trying.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from attestation.binding import EnclaveBinding
from enclave import boot, log
from enclave.boot import BootKeys
from enclave.channel import SealedChannel
from enclave.clock import TrustedClock
from enclave.config import Config
from enclave.deployment import Deployment, DeploymentSecrets
from enclave.dispatch import Dispatcher, Methods, Routes
from enclave.errors import BootError, NsmError, PortError, Refusal
from enclave.generations import Generations
from enclave.holders import HolderKeys
from enclave.nsm.client import NsmClient
from enclave.parts import Parts
from enclave.phases import Phase, Phases
from enclave.ports import Ports
from enclave.receipts import Receipts
from enclave.rpc.attestation import Attestor
from enclave.second_opinion import SecondOpinion
from enclave.shards import Shards
from enclave.siblings import Siblings
from enclave.versions import SeenVersions, Versions
from enclave.workers import ALONE, Worker
from protocol.frames import Request, Response

VERSION: Final = "0.1.0"
T = TypeVar("T")
_RETRY_S: Final = 2.0
_HOLDER_ROUND_S: Final = 30.0


class Enclave:
    """A booting, serving or halted enclave."""

    def __init__(self, ports: Ports, config: Config, worker: Worker = ALONE) -> None:
        self._worker = worker
        self._siblings = Siblings(worker)
        self._versions: Versions = SeenVersions() if worker.shared is None else worker.shared.versions
        self._ports = ports
        self._config = config
        self._nsm = NsmClient(ports.nsm)
        self._clock = TrustedClock(ports.clock, config.limits.clock_skew_ms)
        self._generations = Generations(self._holders_of)
        self._shards = Shards(self._generations, config.deployment, ports.entropy.random)
        self._deployment = Deployment(
            config.deployment, ports.store, self._generations, self._shards, ports.entropy.random, self._versions
        )
        self._pcr0 = b""
        self._started_ms = 0
        self._second_opinion = SecondOpinion()
        self._loaded = asyncio.Event()
        self.phases = Phases()
        always = {"/status": self._status, "/health": self._health}
        self._dispatcher = Dispatcher(Routes({}, {}, always))

    def answer(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The answer to one frame."""
        return self._dispatcher.answer(request)

    async def run(self) -> None:
        """Boot, serve, and watch the clock until cancelled. Returns only when halted."""
        await self._siblings.connect(self._dispatcher.take_over)
        try:
            channel, methods = await self._boot()
        except (BootError, NsmError) as error:
            log.event("halted", code=error.code, detail=str(error))
            self.phases.enter(Phase.HALTED, error.code)
            self._siblings.halted()
            return
        self.phases.enter(Phase.SERVING)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(boot.keep_synchronized(self._nsm, self._clock))
            tasks.create_task(self._keep_holders())
            tasks.create_task(channel.keep_rotated())
            tasks.create_task(self._load_the_rest())
            for going_on in methods.background:
                tasks.create_task(going_on())

    async def loaded(self) -> None:
        """Returns when everything that this enclave will ever load is loaded; never, if it halted before."""
        await self._loaded.wait()

    async def _load_the_rest(self) -> None:
        await self._second_opinion.load()
        self._loaded.set()

    async def _boot(self) -> tuple[SealedChannel, Methods]:
        self._clock.require_source(self._config.clock_sources)
        self._pcr0 = boot.require_measured(self._nsm)
        await boot.synchronize(self._nsm, self._clock)
        if not self._clock.trusted:
            raise BootError("clock-skew", "the guest's clock and the module's disagree")
        self._started_ms = self._clock.now_ms()
        keys = boot.make_keys(self._ports.entropy, self._worker)
        loading = asyncio.create_task(asyncio.to_thread(_load_services, self._config))
        secrets = await self._tried_again(self._deployment.open)
        methods_of = await loading
        channel = SealedChannel(
            keys.channel_key,
            self._clock.monotonic_ms,
            self._config.limits.channel_key_s,
            partial(boot.generate_channel_key, self._worker),
        )
        attestor = self._attestor(keys, secrets, channel)
        parts = Parts(
            self._config,
            self._ports,
            self._clock,
            self._shards,
            self._deployment,
            secrets,
            keys.epoch,
            self._second_opinion,
            self._pcr0,
            VERSION,
            self._versions,
            self._worker,
            self._siblings,
        )
        methods = await self._tried_again(lambda: methods_of(parts))
        shared = self._worker.shared
        numbers = None if shared is None else shared.board.next_receipt
        receipts = Receipts(self._config.deployment, secrets, keys.epoch, self._clock, numbers)
        await self._siblings.all_booted(secrets.identity_public_key)
        siblings = None if shared is None else self._siblings
        self._dispatcher.serve(self._routes(methods, attestor), attestor, channel, receipts, siblings)
        log.event("serving", identity_key=secrets.identity_public_key.hex())
        return channel, methods

    async def _tried_again(self, opening: Callable[[], Awaitable[T]]) -> T:
        """What `opening` opens, however long the holders or the store take to come back."""
        while True:
            try:
                return await opening()
            except (PortError, Refusal) as error:
                log.event("booting", code=error.code if isinstance(error, PortError) else error.error.name)
            except BootError as error:
                if error.code != "holders-unavailable":
                    raise
                log.event("booting", code=error.code, detail=str(error))
            await asyncio.sleep(_RETRY_S)

    def _holders_of(self, generation: int) -> HolderKeys:
        config, ports = self._config, self._ports
        return HolderKeys(
            ports.kms,
            deployment=config.deployment,
            holders=config.holders,
            threshold=config.threshold,
            clock=ports.clock,
            lease_s=config.limits.holder_lease_s,
            generation=generation,
        )

    async def _keep_holders(self) -> None:
        """Renew leases before they end, learn of a failing holder before a user does, and of a new generation."""
        while True:
            await asyncio.sleep(min(_HOLDER_ROUND_S, self._config.limits.holder_lease_s / 3))
            await self._deployment.learn()
            await self._generations.current.refresh()

    def _routes(self, methods: Methods, attestor: Attestor) -> Routes:
        return Routes(
            signed=methods.signed,
            open={"/rpc/Attestation/Document": attestor.document, **methods.open},
            always={"/status": self._status, "/health": self._health},
            signer=methods.signer,
        )

    def _attestor(self, keys: BootKeys, secrets: DeploymentSecrets, channel: SealedChannel) -> Attestor:
        config_hash = hashlib.sha256(msgspec.json.encode(self._config)).digest()

        def binding() -> EnclaveBinding:
            return EnclaveBinding(
                deployment=self._config.deployment,
                identity_key=secrets.identity_public_key,
                channel_key=channel.public_key,
                config_hash=config_hash,
                boot_epoch=keys.epoch,
            )

        return Attestor(self._nsm, binding, self._ports.recipient_public_key, self._clock.monotonic_ms)

    def _status(self) -> tuple[int, Any]:
        started = datetime.fromtimestamp(self._started_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        uptime_s = max(0, self._ports.clock.wall_ms() - self._started_ms) // 1000
        return 200, {"pcr0": self._pcr0.hex(), "startTime": started, "uptime": uptime_s, "ver": VERSION}

    def _health(self) -> tuple[int, Any]:
        holders = self._generations.current.health()
        healthy = self.phases.serving and self._clock.trusted and holders.may_still_fail >= 0
        return 200 if healthy else 503, {
            "serving": self.phases.serving,
            "phase": self.phases.phase.value,
            "reason": self.phases.reason,
            "clock": "trusted" if self._clock.trusted else "untrusted",
            "failures": self._dispatcher.failures,
            "holders": {
                "available": len(holders.available),
                "threshold": self._config.threshold,
                "may_fail": max(0, holders.may_still_fail),
                "failing": dict(holders.failing),
            },
        }


def _load_services(config: Config) -> Callable[[Parts], Awaitable[Methods]]:
    """The methods of the configured role. Nothing before this point needs them, and the holders take as long to answer
    as they take to load.
    """
    if config.guard is not None:
        from enclave.guard_services import guard_methods

        return partial(guard_methods, guard=config.guard, version=VERSION)
    from enclave.services import instrument_methods

    return instrument_methods


def build(ports: Ports, config: Config, worker: Worker = ALONE) -> Enclave:
    """An enclave over `ports`, or one worker of it, not yet booted."""
    return Enclave(ports, config, worker)
