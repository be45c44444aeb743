"""How many client connections there may be, and how long each step of one may take (VS-03, VS-04).

Trust side: host. Plain counting and plain numbers; `http_edge` asks here and acts.
"""

import asyncio
from dataclasses import dataclass, field

from host_proxy.client_address import ClientAddresses, normalized
from host_proxy.metrics import Metrics
from protocol import limits


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds; the defaults are the table's, tests shorten them."""

    head_s: float = limits.HTTP_HEAD_DEADLINE_S
    message_s: float = limits.HTTP_MESSAGE_DEADLINE_S
    idle_s: float = limits.HTTP_IDLE_DEADLINE_S
    write_s: float = limits.HTTP_WRITE_DEADLINE_S
    linger_s: float = limits.HTTP_LINGER_S


@dataclass(slots=True)
class Door:
    """How many connections there are, in total and from each client, and whether one more may come in (VS-04)."""

    clients: ClientAddresses
    metrics: Metrics | None = None
    max_total: int = limits.MAX_HTTP_CONNECTIONS
    max_per_client: int = limits.MAX_HTTP_CONNECTIONS_PER_CLIENT
    total: int = 0
    by_client: dict[str, int] = field(default_factory=dict)
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, peer: str) -> bool:
        """Counts a connection in; False when it is one too many. Each `enter` needs its `leave`."""
        client = normalized(peer) or peer
        self.total += 1
        self.empty.clear()
        self.by_client[client] = self.by_client.get(client, 0) + 1
        self._observe()
        crowded = self.by_client[client] > self.max_per_client and not self.clients.is_proxy(peer)
        return self.total <= self.max_total and not crowded

    def leave(self, peer: str) -> None:
        """Counts a connection out."""
        client = normalized(peer) or peer
        self.total -= 1
        if not self.total:
            self.empty.set()
        self.by_client[client] -= 1
        if not self.by_client[client]:
            del self.by_client[client]
        self._observe()

    def refused(self) -> None:
        """Counts a message that was refused before it reached a route."""
        if self.metrics is not None:
            self.metrics.refused_messages.inc()

    def _observe(self) -> None:
        if self.metrics is not None:
            self.metrics.connections.set(self.total)
