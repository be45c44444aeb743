"""The frame client: one multiplexed connection to each worker of the enclave, and the choice of the worker.

Trust side: host. A request is sent at most once: when the connection ends, or the deadline passes, its caller gets one
clear refusal and decides alone whether to try again. Answers that come too late are dropped. One key always reaches the
same worker (design section 8), because that worker holds the key's short-lived state.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final

from host_proxy.backoff import Backoff
from host_proxy.errors import Refused, TransportError
from host_proxy.framing import FrameProtocol
from host_proxy.logging import Log
from host_proxy.looking import Looks
from host_proxy.metrics import Metrics
from host_proxy.routing import worker_key
from host_proxy.transport import open_connection
from protocol import errors, limits
from protocol.addresses import Address
from protocol.errors import ErrorCode, ProtocolError
from protocol.frames import Request, Response
from protocol.workers import worker_of

_RECONNECT_FIRST_S: Final = 0.05
_RECONNECT_CAP_S: Final = 2.0
_SWEEP_S: Final = 0.1


@dataclass(slots=True)
class _Waiting:
    """A request under way. Times are the loop's."""

    answer: asyncio.Future[Response]
    sent_at: float
    expires_at: float

    def refuse(self, error: ErrorCode) -> None:
        if not self.answer.done():
            self.answer.set_exception(Refused(error))


class _Session(FrameProtocol):
    """One connection: requests out, answers matched by id."""

    def __init__(self, looks: Looks) -> None:
        super().__init__()
        self._looks = looks
        self._ids = count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._born_at = self._loop.time()
        self.over: asyncio.Future[str] = self._loop.create_future()

    @property
    def lived_s(self) -> float:
        """Seconds since the connection was made."""
        return self._loop.time() - self._born_at

    async def call(self, method: str, headers: Mapping[str, str], body: bytes, deadline_s: float) -> Response:
        """See `EnclaveLink.call`."""
        if self.over.done():
            raise Refused(errors.ENCLAVE_UNREACHABLE)
        if len(self._waiting) >= limits.MAX_IN_FLIGHT or not self.writable:
            raise Refused(errors.BUSY)
        id_ = next(self._ids)
        try:
            self.send(Request(id_, method, headers, body))
        except ProtocolError:
            raise Refused(errors.REQUEST_TOO_LARGE) from None
        now = self._loop.time()
        waiting = self._waiting[id_] = _Waiting(self._loop.create_future(), now, now + deadline_s)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        self._looks.asked()
        try:
            return await waiting.answer
        finally:
            self._looks.answered()
            self._waiting.pop(id_, None)

    def message_received(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            self.fail("link-unexpected-request")
            return
        waiting = self._waiting.get(message.id)
        if waiting is not None and not waiting.answer.done():
            waiting.answer.set_result(message)

    def ended(self, code: str) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for waiting in self._waiting.values():
            waiting.refuse(errors.ENCLAVE_UNREACHABLE)
        if not self.over.done():
            self.over.set_result(code)

    def _sweep(self) -> None:
        # One timer for all: a timer for each request would cost more than the rest of the bookkeeping.
        now = self._loop.time()
        silent = False
        for waiting in self._waiting.values():
            if waiting.expires_at <= now:
                waiting.refuse(errors.DEADLINE_EXCEEDED)
                silent |= self.received_at < waiting.sent_at
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep) if self._waiting else None
        if silent:  # not a word for a whole deadline: the peer is gone without saying so
            self.fail("link-silent")


class EnclaveLink:
    """A connection to one worker that is kept up: lost, it is made again with growing pauses."""

    def __init__(self, address: Address, worker: int, *, looks: Looks, log: Log, metrics: Metrics) -> None:
        self._address = address
        self._looks = looks
        self._worker = worker
        self._log = log
        self._metrics = metrics
        self._session: _Session | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether a request could be sent now."""
        return self._session is not None and not self._session.over.done()

    def start(self) -> None:
        """Begins connecting in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Ends the connection; callers that still wait get `ENCLAVE_UNREACHABLE`."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def call(
        self, method: str, headers: Mapping[str, str], body: bytes, *, deadline_s: float = limits.REQUEST_DEADLINE_S
    ) -> Response:
        """The worker's answer; `Refused`: `ENCLAVE_UNREACHABLE`, `BUSY`, `DEADLINE_EXCEEDED`, `REQUEST_TOO_LARGE`."""
        if self._session is None:
            raise Refused(errors.ENCLAVE_UNREACHABLE)
        return await self._session.call(method, headers, body, deadline_s)

    async def _run(self) -> None:
        backoff = Backoff(first_s=_RECONNECT_FIRST_S, cap_s=_RECONNECT_CAP_S)
        last_code = ""
        while True:
            code = await self._connect_once(backoff)
            if code != last_code:  # a long outage is one line, not one for each attempt
                self._log.event("link.lost", worker=self._worker, code=code)
            last_code = code
            await asyncio.sleep(backoff.next_s())

    async def _connect_once(self, backoff: Backoff) -> str:
        """Connects and stays until the end of the connection; the code of that end."""
        try:
            session = await open_connection(self._address, partial(_Session, self._looks))
        except TransportError as error:
            return error.code
        self._session = session
        self._metrics.link_connected(self._worker, connected=True)
        self._log.event("link.connected", worker=self._worker)
        try:
            code = await session.over
        finally:
            self._session = None
            self._metrics.link_connected(self._worker, connected=False)
            session.fail("link-closed")
        if session.lived_s > _RECONNECT_CAP_S:  # one that breaks at once earns no fresh start
            backoff.reset()
        return code


class WorkerPool:
    """The links to all workers of one enclave."""

    def __init__(self, links: Sequence[EnclaveLink]) -> None:
        self.links = tuple(links)
        self._turn = count()

    @property
    def connected(self) -> int:
        """How many links are up."""
        return sum(link.connected for link in self.links)

    def start(self) -> None:
        """Begins connecting to all workers."""
        for link in self.links:
            link.start()

    async def close(self) -> None:
        """Ends all connections."""
        await asyncio.gather(*(link.close() for link in self.links))

    def owner_of(self, path: str, body: bytes, auth_key: str | None) -> EnclaveLink:
        """The worker for a request to a method."""
        if auth_key is None and len(self.links) > 1:
            auth_key = worker_key(path, body)
        return self.owner(auth_key)

    def owner(self, key: str | None) -> EnclaveLink:
        """The worker that holds `key`'s state; without a key the next connected one in turn."""
        if key is not None:
            return self.links[worker_of(key, len(self.links))]
        turn = next(self._turn)
        candidates = [link for link in self.links if link.connected] or self.links
        return candidates[turn % len(candidates)]
