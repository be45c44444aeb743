"""What `/health` says: the enclave's own words combined with what the host sees, and how much may still fail.

Trust side: host; it informs operators and load balancers, nothing relies on it. The workers are asked at most once in
`_FRESH_S` (while down: `_FRESH_WHILE_DOWN_S`), however many clients ask us (DO-02), and once in `_POLL_S` without any,
which also keeps idle links alive.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec

from host_proxy.enclave_link import EnclaveLink, WorkerPool
from host_proxy.errors import HostError, Refused
from host_proxy.metrics import Metrics
from host_proxy.store import Store
from host_proxy.supervisor import SupervisorState
from protocol import limits

HEALTH_METHOD: Final = "GET /health"
_FRESH_S: Final = 1.0
_FRESH_WHILE_DOWN_S: Final = 0.1
_POLL_S: Final = 10.0

_Text = Annotated[str, msgspec.Meta(max_length=64)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=64)]


class Holders(msgspec.Struct, frozen=True, kw_only=True):
    """The share holders as one worker sees them: how many answer, how many must, how many more may fail, and why."""

    available: _Count
    threshold: _Count
    may_fail: _Count
    failing: dict[_Text, _Text] = {}


class WorkerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a worker's answer to `GET /health`. Further members belong to newer images and are ignored."""

    serving: bool
    phase: _Text
    reason: _Text = ""
    clock: _Text = "trusted"
    holders: Holders | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the host's `/health`."""

    status: Literal["ok", "degraded", "down"]
    serving: bool
    phase: str
    reason: str
    clock: str
    holders: Holders | None
    store: str
    workers: int
    workers_connected: int
    enclave: str

    @property
    def http_status(self) -> int:
        """503 takes this host out of a load balancer."""
        return 503 if self.status == "down" else 200


_DECODER: Final = msgspec.json.Decoder(WorkerHealth)
_UNREACHABLE: Final = WorkerHealth(serving=False, phase="unreachable")


class HealthMonitor:
    """Asks, combines, remembers for a moment."""

    def __init__(
        self, pool: WorkerPool, store: Store, supervisor: Callable[[], SupervisorState], metrics: Metrics
    ) -> None:
        self._pool = pool
        self._store = store
        self._supervisor = supervisor
        self._metrics = metrics
        self._asking: asyncio.Task[Report] | None = None
        self._report: Report | None = None
        self._report_at = 0.0
        self._poller: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins polling in the background."""
        self._poller = asyncio.get_running_loop().create_task(self._poll())

    async def close(self) -> None:
        """Ends the polling."""
        tasks = [task for task in (self._poller, self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def report(self) -> Report:
        """The state of a moment ago; callers that come together share one question to the workers."""
        loop = asyncio.get_running_loop()
        if self._report is not None:
            fresh_s = _FRESH_S if self._report.serving else _FRESH_WHILE_DOWN_S
            if loop.time() - self._report_at < fresh_s:
                return self._report
        if self._asking is None or self._asking.done():
            self._asking = loop.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _poll(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(_POLL_S)

    async def _ask(self) -> Report:
        asking = asyncio.gather(*map(_worker_health, self._pool.links))
        store, workers = await asyncio.gather(self._store_state(), asking)
        report = combine(workers, store=store, connected=self._pool.connected, enclave=self._supervisor())
        self._report, self._report_at = report, asyncio.get_running_loop().time()
        self._metrics.serving.set(report.serving)
        if report.holders is not None:
            self._metrics.holders_may_fail.set(report.holders.may_fail)
        return report

    async def _store_state(self) -> str:
        try:
            async with asyncio.timeout(limits.HEALTH_DEADLINE_S):
                await self._store.check()
        except TimeoutError:
            return "store-deadline"
        except HostError as error:
            return error.code
        return "ok"


async def _worker_health(link: EnclaveLink) -> WorkerHealth:
    with contextlib.suppress(Refused, msgspec.MsgspecError, RecursionError, UnicodeError):
        answer = await link.call(HEALTH_METHOD, {}, b"", deadline_s=limits.HEALTH_DEADLINE_S)
        worker = _DECODER.decode(answer.body)
        return worker if answer.status == 200 else msgspec.structs.replace(worker, serving=False)
    return _UNREACHABLE


def combine(workers: list[WorkerHealth], *, store: str, connected: int, enclave: SupervisorState) -> Report:
    """The report on all parts: as good as the worst of them."""
    worst = next((worker for worker in workers if not worker.serving), workers[0])
    holders = min((w.holders for w in workers if w.holders is not None), key=lambda h: h.available, default=None)
    serving = worst.serving and store == "ok"
    whole = holders is None or not holders.failing
    return Report(
        status="down" if not serving else "ok" if whole else "degraded",
        serving=serving,
        phase=worst.phase,
        reason=worst.reason,
        clock=worst.clock,
        holders=holders,
        store=store,
        workers=len(workers),
        workers_connected=connected,
        enclave=enclave,
    )
