"""The host's configuration: one strict TOML or JSON file. Unknown fields and wrong types are refused.

Trust side: host. Nothing here is security-relevant for the enclave: it decides where bytes go, never what they mean
(design section 3). No environment variable and no argument overrides a field.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from host_proxy.config_fields import Strict, Text
from host_proxy.errors import ConfigError
from host_proxy.relay.config import RelayConfig, RelayerConfig
from protocol import limits
from protocol.addresses import INGRESS_PORT, KMS_PORT_BASE, Address, HybridAddress, VsockAddress, parse_address
from protocol.errors import ProtocolError

_HOST_PORT: Final = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):([0-9]{1,5})\Z")
_SCOPE: Final = re.compile(r"@[1-9][0-9]*(:[A-Za-z0-9_-]+)?\Z")
HTTPS_PORT: Final = 443
IMAGE_PCRS: Final = ("0", "1", "2")  # only together do they name an image
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Workers = Annotated[int, msgspec.Meta(ge=1, le=64)]


class HostPort(msgspec.Struct, frozen=True):
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Tls(Strict, frozen=True, kw_only=True):
    """PEM files for HTTPS on the public listener; without it something in front ends TLS."""

    certificate: Text
    private_key: Text


class NitroLaunch(Strict, frozen=True, kw_only=True):
    """How `nitro-cli` starts the image. The CID is that of `enclave.address`."""

    image: Text
    memory_mib: Annotated[int, msgspec.Meta(ge=64, le=1 << 20)]
    cpu_count: Annotated[int, msgspec.Meta(ge=1, le=256)]
    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")] = "chancery"
    nitro_cli: Text = "/usr/bin/nitro-cli"


class Enclave(Strict, frozen=True, kw_only=True):
    """The enclave: the address of its first worker, how many workers, and how to start it (absent: others do)."""

    address: Text
    workers: Workers = 1
    launch: NitroLaunch | None = None

    def guest(self) -> Address:
        """The parsed address of worker 0."""
        try:
            return parse_address(self.address)
        except ProtocolError:
            raise ConfigError("config-address", self.address) from None

    def worker_addresses(self) -> tuple[Address, ...]:
        """One address for each worker: the port counts up."""
        match self.guest():
            case VsockAddress(cid=cid, port=port):
                return tuple(VsockAddress(cid, port + number) for number in range(self.workers))
            case HybridAddress(path=path, port=port):
                return tuple(HybridAddress(path, port + number) for number in range(self.workers))


class Destination(Strict, frozen=True, kw_only=True):
    """A place that the enclave may reach (VS-06).

    `networks` lists address ranges that this name may resolve to although they are not public, such as a private
    endpoint's subnet. Link-local addresses stay out of reach whatever is listed.
    """

    host: Text
    port: Port = 443
    networks: tuple[Text, ...] = ()

    def allowed_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`networks`, parsed."""
        return tuple(_network(text) for text in self.networks)


class HolderProfile(Strict, frozen=True, kw_only=True):
    """Which AWS profile of this machine speaks to a share holder's account; without one the default chain."""

    name: Text
    profile: Text | None = None
    endpoint: Text | None = None
    """Its KMS host, for enclaves whose KMS library dials `KMS_PORT_BASE` plus the holder's place in this list."""


class GuardConfig(Strict, frozen=True, kw_only=True):
    """Where a guard answers that signs beside this host's enclave."""

    address: Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
    """The guard's, as the enclave's measured configuration names it."""
    url: Text


class ReviewPage(Strict, frozen=True, kw_only=True):
    """The page of a guard's reviewers, below `/review/`: which deployment and images it takes for the guard."""

    deployment: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
    pcrs: dict[Literal["0", "1", "2"], Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{96}\Z")]]
    """All three, 96 hexadecimal digits each."""


class Rates(Strict, frozen=True, kw_only=True):
    """Token buckets: requests a second, and how many may come at once."""

    client_per_s: Rate = 100.0
    client_burst: Rate = 200.0
    auth_key_per_s: Rate = 20.0
    auth_key_burst: Rate = 60.0


class HostConfig(Strict, frozen=True, kw_only=True):
    """Everything that configures the host proxy."""

    version: Literal[1]
    enclave: Enclave
    store: Text
    """Path of the SQLite file."""
    listen: Text = "127.0.0.1:8080"
    metrics_listen: Text = "127.0.0.1:9464"
    tls: Tls | None = None
    scope: Annotated[str, msgspec.Meta(max_length=limits.MAX_SCOPE_CHARS)] | None = None
    """`X-Sequence-Scope` of every request; what clients send under that name is dropped."""
    destinations: tuple[Destination, ...] = ()
    holders: tuple[HolderProfile, ...] = ()
    relays: tuple[RelayConfig, ...] = ()
    """An operation goes to the relay of its chain, or to the relayer; a chain has one of them."""
    relayers: tuple[RelayerConfig, ...] = ()
    guards: tuple[GuardConfig, ...] = ()
    review_page: ReviewPage | None = None
    rates: Rates = Rates()
    trusted_proxies: tuple[Text, ...] = ()
    """Networks whose `X-Forwarded-For` is believed."""
    max_connections_per_client: Annotated[int, msgspec.Meta(ge=1)] = limits.MAX_HTTP_CONNECTIONS_PER_CLIENT
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = limits.REQUEST_DEADLINE_S + 2

    def direct_ports(self) -> dict[int, tuple[str, int]]:
        """Ports of the parent that lead straight to a holder's KMS endpoint."""
        places = enumerate(self.holders, start=1)
        return {KMS_PORT_BASE + i: (holder.endpoint, HTTPS_PORT) for i, holder in places if holder.endpoint}

    def proxies(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`trusted_proxies`, parsed."""
        return tuple(_network(text) for text in self.trusted_proxies)


def load_config(path: Path) -> HostConfig:
    """The configuration in a `.toml` or `.json` file; `ConfigError("config-…")` naming what is wrong."""
    try:
        data = path.read_bytes()
    except OSError:
        raise ConfigError("config-unreadable", str(path)) from None
    if len(data) > limits.MAX_CONFIG_BYTES:
        raise ConfigError("config-too-large")
    decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
    try:
        config = decode(data, type=HostConfig)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:  # names the field; no secret in the file
        raise ConfigError("config-malformed", str(error)) from None
    validate_config(config)
    return config


def validate_config(config: HostConfig) -> None:
    """All rules between and inside fields; `ConfigError` for the first one broken."""
    parse_listen(config.listen)
    parse_listen(config.metrics_listen)
    guest = config.enclave.guest()
    if config.enclave.launch is not None and not (isinstance(guest, VsockAddress) and guest.cid >= 4):
        raise ConfigError("config-launch-cid", config.enclave.address)  # 0 to 3 are taken (nitro-platform.md 7.1)
    if guest.port != INGRESS_PORT:
        raise ConfigError("config-ingress-port", config.enclave.address)
    if config.review_page is not None and len(config.review_page.pcrs) != len(IMAGE_PCRS):
        raise ConfigError("config-review-page")
    if config.scope is not None and not _SCOPE.match(config.scope):
        raise ConfigError("config-scope", config.scope)
    for destination in config.destinations:
        if not _NAME.match(destination.host):
            raise ConfigError("config-destination", destination.host)
        destination.allowed_networks()
    _validate_unlike(config)
    config.proxies()


def _validate_unlike(config: HostConfig) -> None:
    """No two entries of a list are for the same thing."""
    lists: dict[str, list[Any]] = {
        "destinations": [(destination.host, destination.port) for destination in config.destinations],
        "holders": [holder.name for holder in config.holders],
        "relays": [relay.chain_id for relay in config.relays] + [relay.chain_id for relay in config.relayers],
        "guards": [guard.address.lower() for guard in config.guards],
    }
    for name, entries in lists.items():
        if len(set(entries)) != len(entries):
            raise ConfigError(f"config-{name}-alike")


def parse_listen(text: str) -> HostPort:
    """`host:port` or `[v6]:port`; `ConfigError("config-listen")`."""
    match = _HOST_PORT.match(text)
    if match is None or int(match[3]) > 65535:
        raise ConfigError("config-listen", text)
    return HostPort(match[1] or match[2], int(match[3]))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ConfigError("config-network", text) from None
