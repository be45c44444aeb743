"""Who a request comes from, for rates and caps: the peer, or what a trusted proxy in front says.

Trust side: host. `X-Forwarded-For` is read only when the peer lies in a configured network, from its end, up to the
first hop that is not such a proxy itself; anything a client wrote further left is ignored. IPv6 clients count by /64,
the smallest network that one customer gets.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from protocol import limits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ClientAddresses:
    """Maps peers and forwarding headers to the text that one client is counted under."""

    def __init__(self, trusted_proxies: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted_proxies)
        self._is_trusted = lru_cache(maxsize=1024)(self._lies_in_trusted)

    def of(self, peer: str, forwarded_for: str | None) -> str:
        """The client's key."""
        client = peer
        if forwarded_for is not None and self.is_proxy(peer):
            for hop in reversed(forwarded_for.split(",")[-limits.MAX_FORWARDED_HOPS :]):
                if normalized(hop.strip()) is None:
                    break
                client = hop.strip()
                if not self._is_trusted(client):
                    break
        return normalized(client) or "unknown"

    def is_proxy(self, peer: str) -> bool:
        """Whether `peer` is a configured proxy, which speaks for many clients."""
        return bool(self._trusted) and self._is_trusted(peer)

    def _lies_in_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._trusted if network.version == address.version)


@lru_cache(maxsize=4096)
def normalized(text: str) -> str | None:
    """An IPv4 address as it is, an IPv6 address as its /64; None when `text` is neither."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
