"""Prometheus metrics with label values from closed sets only (LP-06), in a registry of their own.

Trust side: host. A value that is not in a label's set is counted as `other`, so no input can add a time series.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from protocol.errors import TABLE
from protocol.guard_errors import GUARD_TABLE

OTHER: Final = "other"
SERVICES: Final = frozenset(
    {"IdentityInstrument", "IdentityInstrumentAdmin", "Account", "Session", "Signer", "Attestation", "Channel"}
    | {"WaasAuthenticator", "WaasAuthenticatorAdmin", "Invitation", "Wallet", "LegacyWallet", "Delegation"}
    | {"Guard", "GuardRules", "GuardWallets", "GuardFactors", "GuardReview"}
    | {"status", "health"}
)
STATUSES: Final = frozenset({"200", "204"} | {str(row.status) for row in (*TABLE, *GUARD_TABLE)})
LIMITERS: Final = frozenset({"client", "auth_key"})
STORE_RESULTS: Final = frozenset({"ok", "conflict", "fault"})
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CALLS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

PREFIX: Final = "chancery"


class AnswerTally(Collector):
    """Answers and how long they took, in plain numbers until somebody asks: the library's own counters take a lock for
    each, and a histogram looks at all of its buckets. For one thread.
    """

    def __init__(self) -> None:
        self._answers = {(service, status): 0 for service in SERVICES | {OTHER} for status in STATUSES | {OTHER}}
        self._buckets = {service: [0] * (len(_SECONDS) + 1) for service in SERVICES | {OTHER}}
        self._seconds = dict.fromkeys(SERVICES | {OTHER}, 0.0)

    def count(self, service: str, status: str, seconds: float) -> None:
        """One answer; labels are from the closed sets."""
        self._answers[service, status] += 1
        self._buckets[service][bisect_left(_SECONDS, seconds)] += 1
        self._seconds[service] += seconds

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        answers = CounterMetricFamily(f"{PREFIX}_http_requests", "Answers to clients", labels=["service", "status"])
        for labels, number in self._answers.items():
            answers.add_metric(labels, number)
        times = HistogramMetricFamily(f"{PREFIX}_http_seconds", "Time to answer", labels=["service"])
        upto = [*map(floatToGoString, _SECONDS), "+Inf"]
        for service, numbers in self._buckets.items():
            times.add_metric([service], list(zip(upto, accumulate(numbers), strict=True)), self._seconds[service])
        yield answers
        yield times


class Metrics:
    """All metrics of one host. `destinations` and `workers` come from configuration and close the last two sets."""

    def __init__(self, *, destinations: Iterable[str] = (), workers: int = 1) -> None:
        self.registry = registry = CollectorRegistry()
        self._destinations = frozenset(destinations)
        self._answers = AnswerTally()
        registry.register(self._answers)
        self.refused_messages = Counter(
            f"{PREFIX}_http_refused_messages", "Messages refused before routing", registry=registry
        )
        self.connections = Gauge(f"{PREFIX}_http_connections", "Client connections", registry=registry)
        self._limited = Counter(f"{PREFIX}_rate_limited", "Requests over a rate", ["limiter"], registry=registry)
        self._links = Gauge(f"{PREFIX}_enclave_link_up", "Connection to a worker", ["worker"], registry=registry)
        for worker in range(workers):
            self._links.labels(str(worker)).set(0)
        self.enclave_starts = Counter(f"{PREFIX}_enclave_starts", "Starts of the enclave", registry=registry)
        self.serving = Gauge(f"{PREFIX}_serving", "1 while all workers serve", registry=registry)
        self.holders_may_fail = Gauge(
            f"{PREFIX}_holders_may_fail", "Share holders that may still fail", registry=registry
        )
        self._tunnels = Gauge(f"{PREFIX}_egress_tunnels", "Open tunnels", ["destination"], registry=registry)
        self._tunnel_bytes = Counter(
            f"{PREFIX}_egress_bytes", "Bytes carried", ["destination", "direction"], registry=registry
        )
        self.egress_refused = Counter(f"{PREFIX}_egress_refused", "Tunnels refused", registry=registry)
        puts = Counter(f"{PREFIX}_store_puts", "Conditional writes", ["result"], registry=registry)
        self._puts = {result: puts.labels(result) for result in STORE_RESULTS | {OTHER}}
        self.store_batch = Histogram(
            f"{PREFIX}_store_commit_calls", "Writes that shared one commit", buckets=_CALLS, registry=registry
        )
        self.faults = Counter(f"{PREFIX}_faults", "Exceptions nobody expected", registry=registry)

    def request(self, service: str, status: int, seconds: float) -> None:
        """One answer to a client; `service` is one of `SERVICES` or `OTHER`."""
        label = str(status)
        self._answers.count(service, label if label in STATUSES else OTHER, seconds)

    def limited(self, limiter: str) -> None:
        """One request over its rate."""
        self._limited.labels(limiter if limiter in LIMITERS else OTHER).inc()

    def link_connected(self, worker: int, *, connected: bool) -> None:
        """A link went up or down."""
        self._links.labels(str(worker)).set(connected)

    def tunnel(self, destination: str, change: int) -> None:
        """A tunnel opened (+1) or closed (-1)."""
        self._tunnels.labels(self._destination(destination)).inc(change)

    def carried(self, destination: str, *, sent: int, received: int) -> None:
        """Bytes of a tunnel, seen from the enclave."""
        name = self._destination(destination)
        self._tunnel_bytes.labels(name, "sent").inc(sent)
        self._tunnel_bytes.labels(name, "received").inc(received)

    def store_put(self, result: str) -> None:
        """The end of one conditional write."""
        self._puts[result if result in STORE_RESULTS else OTHER].inc()

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _destination(self, name: str) -> str:
        return name if name in self._destinations else OTHER
