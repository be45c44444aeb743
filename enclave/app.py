"""An enclave built from its ports: `build(ports, config)`, then `run()`, then frames through `answer`.

This is the one place where the parts are put together. Until the deployment's secrets are open the enclave is `booting`
and answers only status and health; with too few holders it stays so and keeps trying.
"""

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from attestation.binding import EnclaveBinding
from enclave import boot, log
from enclave.accounts import Accounts
from enclave.boot import BootKeys
from enclave.channel import SealedChannel
from enclave.clock import TrustedClock
from enclave.config import Config
from enclave.deployment import Deployment, DeploymentSecrets
from enclave.devices import Devices
from enclave.dispatch import Dispatcher, Routes
from enclave.errors import BootError, NsmError, PortError, Refusal
from enclave.holders import HolderKeys
from enclave.login import id_token_mode, otp_mode
from enclave.login.commitments import Commitments
from enclave.login.id_token_mode import IdTokenMode
from enclave.login.jwks import KeySets
from enclave.login.modes import LoginMode
from enclave.login.otp_mode import OtpMode
from enclave.net.tls import client_context
from enclave.nonces import Nonces
from enclave.nsm.client import NsmClient
from enclave.phases import Phase, Phases
from enclave.ports import Ports
from enclave.records import Records
from enclave.rpc.attestation import Attestor
from enclave.rpc.authorized import Authorizer
from enclave.rpc.identity_instrument import IdentityInstrument
from enclave.rpc.session import SessionService
from enclave.rpc.signer import SignerService
from enclave.second_opinion import SecondOpinion
from enclave.sessions import Sessions
from enclave.shards import Shards
from enclave.wallets import Wallets
from protocol.frames import Request, Response

VERSION: Final = "0.1.0"
_RETRY_S: Final = 2.0
_HOLDER_ROUND_S: Final = 30.0


class Enclave:
    """A booting, serving or halted enclave."""

    def __init__(self, ports: Ports, config: Config) -> None:
        self._ports = ports
        self._config = config
        self._nsm = NsmClient(ports.nsm)
        self._clock = TrustedClock(ports.clock, config.limits.clock_skew_ms)
        self._holders = HolderKeys(
            ports.kms,
            deployment=config.deployment,
            holders=config.holders,
            threshold=config.threshold,
            clock=ports.clock,
            lease_s=config.limits.holder_lease_s,
        )
        self._shards = Shards(self._holders, config.deployment, ports.entropy.random)
        self._pcr0 = b""
        self._started_ms = 0
        self._second_opinion = SecondOpinion()
        self.phases = Phases()
        always = {"/status": self._status, "/health": self._health}
        self._dispatcher = Dispatcher(Routes({}, {}, always))

    async def answer(self, request: Request) -> Response:
        """The answer to one frame."""
        return await self._dispatcher.answer(request)

    async def run(self) -> None:
        """Boot, serve, and watch the clock until cancelled. Returns only when halted."""
        try:
            channel = await self._boot()
        except (BootError, NsmError) as error:
            log.event("halted", code=error.code, detail=str(error))
            self.phases.enter(Phase.HALTED, error.code)
            return
        self.phases.enter(Phase.SERVING)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(boot.keep_synchronized(self._nsm, self._clock))
            tasks.create_task(self._keep_holders())
            tasks.create_task(channel.keep_rotated())
            tasks.create_task(self._second_opinion.load())

    async def _boot(self) -> SealedChannel:
        self._clock.require_source(self._config.clock_sources)
        self._pcr0 = boot.require_measured(self._nsm)
        await boot.synchronize(self._nsm, self._clock)
        if not self._clock.trusted:
            raise BootError("clock-skew", "the guest's clock and the module's disagree")
        self._started_ms = self._clock.now_ms()
        keys = boot.make_keys(self._ports.entropy)
        secrets = await self._open_deployment()
        log.event("serving", identity_key=secrets.identity_public_key.hex())
        channel = SealedChannel(keys.channel_key, self._clock.monotonic_ms, self._config.limits.channel_key_s)
        attestor = self._attestor(keys, secrets, channel)
        self._dispatcher.serve(self._routes(keys, secrets, attestor), attestor, channel)
        return channel

    async def _open_deployment(self) -> DeploymentSecrets:
        """The deployment's secrets, however long the holders or the store take to come back."""
        ports, name = self._ports, self._config.deployment
        deployment = Deployment(name, ports.store, self._holders, self._shards, ports.entropy.random)
        while True:
            try:
                return await deployment.open()
            except (PortError, Refusal) as error:
                log.event("booting", code=error.code if isinstance(error, PortError) else error.error.name)
            except BootError as error:
                if error.code != "holders-unavailable":
                    raise
                log.event("booting", code=error.code, detail=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _keep_holders(self) -> None:
        """Renew leases before they end and learn of a failing holder before a user does."""
        while True:
            await asyncio.sleep(min(_HOLDER_ROUND_S, self._config.limits.holder_lease_s / 3))
            await self._holders.refresh()

    def _routes(self, keys: BootKeys, secrets: DeploymentSecrets, attestor: Attestor) -> Routes:
        config, clock, random = self._config, self._clock, self._ports.entropy.random
        records = Records(self._ports.store, secrets.record_secret, config.deployment, clock.now_ms, random)
        accounts = Accounts(records, self._shards, (config.threshold, len(config.holders)), random)
        devices, nonces = Devices(records), Nonces(records, config.limits.signatures_per_minute)
        sessions = Sessions(config.deployment, secrets, keys.epoch, clock, random)
        wallets = Wallets(config, clock, accounts, nonces)
        commitments = Commitments()
        key_sets = KeySets(self._ports.egress, client_context(config.tls_roots.identity_providers), clock.monotonic_ms)
        modes: dict[str, LoginMode] = {
            otp_mode.MODE: OtpMode(config.limits, clock, commitments, accounts, devices, self._ports.mailer, random),
            id_token_mode.MODE: IdTokenMode(clock, commitments, records, key_sets),
        }
        instrument = IdentityInstrument(config, clock, modes, commitments, accounts, devices, sessions, wallets)
        authorizer = Authorizer(config, clock, devices, sessions)
        session = SessionService(config, clock, authorizer, accounts, devices, sessions, nonces)
        signer = SignerService(authorizer, wallets, self._second_opinion)
        return Routes(
            signed={
                "/rpc/IdentityInstrument/CommitVerifier": instrument.commit_verifier,
                "/rpc/IdentityInstrument/CompleteAuth": instrument.complete_auth,
                "/rpc/IdentityInstrument/Sign": instrument.sign,
                "/rpc/Session/Create": session.create,
                "/rpc/Session/List": session.list,
                "/rpc/Session/Revoke": session.revoke,
                "/rpc/Signer/SignMessage": signer.sign_message,
                "/rpc/Signer/SignTypedData": signer.sign_typed_data,
                "/rpc/Signer/SignTransaction": signer.sign_transaction,
            },
            open={"/rpc/Attestation/Document": attestor.document},
            always={"/status": self._status, "/health": self._health},
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

        return Attestor(self._nsm, binding, self._ports.recipient_public_key)

    def _status(self) -> tuple[int, Any]:
        started = datetime.fromtimestamp(self._started_ms / 1000, UTC).isoformat(timespec="milliseconds")
        uptime_s = max(0, self._ports.clock.wall_ms() - self._started_ms) // 1000
        return 200, {"pcr0": self._pcr0.hex(), "startTime": started, "uptime": uptime_s, "ver": VERSION}

    def _health(self) -> tuple[int, Any]:
        holders = self._holders.health()
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


def build(ports: Ports, config: Config) -> Enclave:
    """An enclave over `ports`, not yet booted."""
    return Enclave(ports, config)
