"""Where the enclave may connect to: listed names and ports, and only addresses that such a name may have (VS-06).

Trust side: host; the enclave has its own measured list. A name is resolved for every connection, every answer is
judged, and the connection goes to the judged address itself, so an answer that changes later (DNS rebinding) changes
nothing. Sources: RFC 6890 registries as `ipaddress` knows them; RFC 4291, 3056, 6052 for IPv4 inside IPv6.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from host_proxy.config import Destination
from host_proxy.errors import EgressRefused

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Link-local holds the metadata service of every cloud; the second is its IPv6 address on EC2. Never, even when listed.
_NEVER: Final = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::/32"),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A resolved address and the port to connect to."""

    address: IpAddress
    port: int


class Resolver(Protocol):
    """Turns a listed destination into endpoints."""

    async def resolve(self, host: str, port: int) -> Sequence[Endpoint]:
        """All endpoints, preferred ones first; `OSError` when the name does not resolve."""
        ...


class SystemResolver:
    """The resolver of the operating system. The port stays as it is."""

    async def resolve(self, host: str, port: int) -> Sequence[Endpoint]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [Endpoint(ipaddress.ip_address(sockaddr[0]), port) for *_, sockaddr in found]


class EgressPolicy:
    """The configured destinations, and the judgement on what they resolve to."""

    def __init__(self, destinations: Iterable[Destination], resolver: Resolver) -> None:
        self._networks = {(d.host, d.port): d.allowed_networks() for d in destinations}
        self._resolver = resolver

    async def endpoints(self, host: str, port: int) -> list[Endpoint]:
        """Allowed endpoints of a listed destination, at least one.

        `EgressRefused`: `egress-not-listed` (403), `egress-unresolved` (502), `egress-address` (403).
        """
        networks = self._networks.get((host, port))
        if networks is None:
            raise EgressRefused("egress-not-listed", 403)
        try:
            found = await self._resolver.resolve(host, port)
        except OSError:
            raise EgressRefused("egress-unresolved", 502) from None
        allowed = [endpoint for endpoint in found if _is_allowed(endpoint.address, networks)]
        if not allowed:
            raise EgressRefused("egress-address", 403)
        return allowed


def _is_allowed(address: IpAddress, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    inner = _innermost(address)
    if any(inner in network for network in _NEVER if network.version == inner.version):
        return False
    if any(inner in network for network in networks if network.version == inner.version):
        return True
    return inner.is_global and not inner.is_multicast


def _innermost(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 address stands for, if it stands for one; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
