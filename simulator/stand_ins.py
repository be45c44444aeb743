"""Everything outside the appliance: share holders, identity provider, mail server, a tenant's server, and their names.

One object for what outlives a boot of the enclave. The TLS authority and the PKI of the security module are two
different roots, kept in the state folder so that wallets and bundles stay valid over a restart.
"""

import ipaddress
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from joserfc.jwk import KeySet

from attestation.roots import TrustRoot
from eif.policy.generate import key_policy
from eif.policy.images import Image
from host_proxy.config import Destination
from host_proxy.egress_policy import Endpoint
from protocol.services import Credentials
from simulator import settings, tenancy
from simulator.emulated import ROOT_NAME as EMULATOR_ROOT_NAME
from simulator.emulated import EmulatorNotary
from simulator.identity_provider import IdentityProvider
from simulator.kms import server as kms_server
from simulator.kms.service import KmsService
from simulator.mail import MailSink
from simulator.pki import NitroPki
from simulator.settings import HolderSeat
from simulator.tls import TlsAuthority
from simulator.webhook import Webhook, published_keys

ROOT_NAME: Final = "Chancery simulator (not hardware)"
ROOT_FILE: Final = "simulator-root.der"
EMULATOR_ROOT_FILE: Final = "emulator-root.der"
_LOOPBACK: Final = "127.0.0.1"
_HTTPS: Final = 443


def write_root(state: Path, root: TrustRoot) -> None:
    """Keep `root` where verifying commands find it; that of another way to run enclaves is forgotten."""
    for name, file in ((ROOT_NAME, ROOT_FILE), (EMULATOR_ROOT_NAME, EMULATOR_ROOT_FILE)):
        if name == root.name:
            (state / file).write_bytes(root.der)
        else:
            (state / file).unlink(missing_ok=True)


def read_root(state: Path) -> TrustRoot | None:
    """The root that was kept in this folder, or None."""
    for name, file in ((ROOT_NAME, ROOT_FILE), (EMULATOR_ROOT_NAME, EMULATOR_ROOT_FILE)):
        if (state / file).exists():
            return TrustRoot(name, (state / file).read_bytes())
    return None


class StandIns:
    """Started with `start`, stopped with `close`."""

    def __init__(
        self,
        state: Path,
        on_mail: Callable[[EmailMessage], None] | None = None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        *,
        emulated: bool = False,
        seats: Sequence[HolderSeat] = settings.HOLDERS,
    ) -> None:
        """`emulated`: enclaves run in the emulator, whose unsigned documents count here, under a root of their own.
        `seats`: every share holder, of every deployment that lives here.
        """
        self.notary = EmulatorNotary(state / "emulator") if emulated else None
        self.pki = NitroPki(state / "nitro")
        self.authority = TlsAuthority.load_or_create(state / "tls")
        self.kms = KmsService(state / "kms", [self.root], countersign=self.notary.countersign if self.notary else None)
        self._seats = tuple(seats)
        self._key_arns = self._keys()
        self.mail = MailSink(on_message=on_mail)
        self.identity_provider = IdentityProvider(settings.ISSUER, settings.registered_clients())
        self.issuer_url = settings.ISSUER_URL
        """Where the issuer's keys are found: at the appliance, once it listens."""
        self.webhook = Webhook(settings.ISSUER_URL, "123", self._published_keys, on_event)
        tenancy.write_keys(state)
        self.login_page_url = ""
        self._ports: dict[tuple[str, int], int] = {}
        self._servers: list[object] = []
        self._credentials: dict[str, Credentials] = {}

    @property
    def root(self) -> TrustRoot:
        """The root under which documents of this appliance are verified."""
        return self.notary.root if self.notary else TrustRoot(ROOT_NAME, self.pki.root_der)

    def config_with(self, changes: Mapping[str, Any]) -> bytes:
        """The measured configuration of an enclave that lives here, with top-level members replaced."""
        return settings.measured_config(self.key_arns(), self.authority.certificate_pem, **changes)

    def key_arns(self, seats: Sequence[HolderSeat] = settings.HOLDERS) -> tuple[str, ...]:
        """The holders' keys, in their order."""
        return tuple(self._key_arns[seat] for seat in seats)

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """The host's egress list; all of it leads to this machine."""
        return tuple(Destination(host=host, port=port, networks=("127.0.0.0/8",)) for host, port in self._ports)

    def pin(
        self,
        pcrs: Mapping[int, bytes],
        generations: Sequence[int] = (1,),
        seats: Sequence[HolderSeat] = settings.HOLDERS,
    ) -> None:
        """Let every holder's administrator approve exactly this image, with the policy that deployments use, and these
        generations of holder keys.
        """
        image = Image({index: pcrs[index].hex() for index in range(3)})
        for seat in seats:
            self.kms.set_key_policy(self._key_arns[seat], key_policy(seat.holder(), [image], generations))

    async def start(self) -> None:
        """Listen on free loopback ports."""
        kms = await kms_server.serve(self.kms, _LOOPBACK, 0, self._context(*self.kms.hosts()))
        issuer_host = settings.ISSUER.removeprefix("https://")
        provider = await self.identity_provider.serve(_LOOPBACK, 0, self._context(issuer_host))
        # The same provider in the clear, for the browser of a person on this machine.
        page = await self.identity_provider.serve(_LOOPBACK, 0, None)
        mail = await self.mail.serve(_LOOPBACK, 0, self._context(settings.MAIL_HOST))
        webhook = await self.webhook.serve(_LOOPBACK, 0, self._context(tenancy.WEBHOOK_HOST))
        self._servers = [kms, provider, page, mail, webhook]
        self.login_page_url = f"http://{_LOOPBACK}:{page.port}"
        self._ports = {(host, _HTTPS): kms.port for host in self.kms.hosts()}
        self._ports[issuer_host, _HTTPS] = provider.port
        self._ports[settings.MAIL_HOST, settings.MAIL_PORT] = mail.port
        self._ports[tenancy.WEBHOOK_HOST, _HTTPS] = webhook.port

    async def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            await server.close()  # type: ignore[attr-defined]
        self._servers.clear()

    async def resolve(self, host: str, port: int) -> Sequence[Endpoint]:
        """Port `Resolver` of the host: the real names, led here."""
        if (host, port) not in self._ports or (port == _HTTPS and self.kms.is_down(host)):
            raise OSError("no such host")
        return [Endpoint(ipaddress.ip_address(_LOOPBACK), self._ports[host, port])]

    async def credentials(self, holder: str) -> Credentials:
        """Port `CredentialsProvider` of the host: a session of the role in the holder's account."""
        if holder not in self._credentials:
            seat = next(seat for seat in self._seats if seat.name == holder)
            self._credentials[holder] = self.kms.issue_credentials(seat.enclave_role)
        return self._credentials[holder]

    async def _published_keys(self) -> KeySet:
        return await published_keys(self.issuer_url)

    def _keys(self) -> Mapping[HolderSeat, str]:
        """One key for each holder, made at first use under a policy that opens for nobody."""
        known = {settings.account_of(arn): arn for arn in self.kms.keys()}  # noqa: SIM118  not a mapping
        nobody = Image(dict.fromkeys(range(3), "ff" * 48))
        for seat in self._seats:
            if seat.account not in known:
                closed = key_policy(seat.holder(), [nobody])
                known[seat.account] = self.kms.create_key(seat.region, seat.account, closed)
        return {seat: known[seat.account] for seat in self._seats}

    def _context(self, *hosts: str) -> ssl.SSLContext:
        return self.authority.issue(*hosts).server_context()
