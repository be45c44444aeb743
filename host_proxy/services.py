"""The frame server on `SERVICES_PORT`: the enclave's store, its credential hints, what it has relayed, and what it asks
guards (protocol.services, protocol.relaying, protocol.guarding).

Trust side: host; the peer is the enclave, or whoever holds the port in its name, so every call is parsed strictly and
bounded. Failures are answered as a status without a body, those of puts as the outcome of each; what happened is in the
host's log under a stable code.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from host_proxy.credentials import CredentialsProvider
from host_proxy.errors import CredentialsFault, GuardFault, RelayFault, StoreConflict, StoreFault
from host_proxy.framing import FrameProtocol
from host_proxy.guard_links import UNKNOWN as UNKNOWN_GUARD
from host_proxy.guard_links import GuardLinks
from host_proxy.logging import Log
from host_proxy.looking import Looks
from host_proxy.metrics import Metrics
from host_proxy.relay.wallet_relay import UNKNOWN, WALLET_BUSY, WOULD_REVERT, WalletRelays
from host_proxy.store import Store
from host_proxy.transport import Listener
from protocol import guarding, limits, relaying, services
from protocol.addresses import SERVICES_PORT, Address
from protocol.errors import ProtocolError
from protocol.frames import Request, Response

_RELAY_STATUSES = {
    UNKNOWN: HTTPStatus.NOT_FOUND,
    WOULD_REVERT: relaying.WOULD_REVERT_STATUS,
    WALLET_BUSY: relaying.BUSY_STATUS,
}


class Services:
    """The listener and its connections."""

    def __init__(
        self,
        *,
        store: Store,
        credentials: CredentialsProvider,
        looks: Looks,
        log: Log,
        metrics: Metrics,
        relays: WalletRelays | None = None,
        guards: GuardLinks | None = None,
    ) -> None:
        self._store = store
        self._relays = relays or WalletRelays({})
        self._guards = guards or GuardLinks({})
        self._credentials = credentials
        self._looks = looks
        self._log = log
        self._metrics = metrics
        self._listener: Listener | None = None
        self.connections: set[ServiceConnection] = set()

    def start(self, guest: Address) -> None:
        """Listens for `guest`; `TransportError`."""
        self._listener = Listener(guest, SERVICES_PORT, lambda: ServiceConnection(self))

    async def close(self) -> None:
        """Stops listening and ends all connections; calls under way are abandoned unanswered."""
        if self._listener is not None:
            self._listener.close()
        calls = [call for connection in list(self.connections) for call in connection.close()]
        await asyncio.gather(*calls, return_exceptions=True)

    def closed(self, connection: "ServiceConnection", code: str) -> None:
        """A connection ended; anything but its plain end is worth a line."""
        self.connections.discard(connection)
        if code != "link-closed":
            self._log.event("services.closed", code=code)

    async def answer(self, request: Request) -> tuple[int, bytes]:
        """Status and body for one call."""
        try:
            return await self._dispatch(request)
        except ProtocolError:
            return HTTPStatus.BAD_REQUEST, b""
        except StoreFault as fault:
            self._log.event("store.fault", code=fault.code)
            return HTTPStatus.SERVICE_UNAVAILABLE, b""
        except CredentialsFault as fault:
            self._log.event("credentials.fault", code=fault.code, holder=fault.holder)
            return HTTPStatus.BAD_GATEWAY, b""
        except RelayFault as fault:
            self._log.event("relay.fault", code=fault.code)
            return _RELAY_STATUSES.get(fault.code, HTTPStatus.BAD_GATEWAY), b""
        except GuardFault as fault:
            self._log.event("guard.fault", code=fault.code)
            return HTTPStatus.NOT_FOUND if fault.code == UNKNOWN_GUARD else HTTPStatus.BAD_GATEWAY, b""
        except Exception as error:  # noqa: BLE001  one generic answer, and the service lives (DO-07)
            self._metrics.faults.inc()
            self._log.fault("services", error)
            return HTTPStatus.INTERNAL_SERVER_ERROR, b""

    async def _dispatch(self, request: Request) -> tuple[int, bytes]:
        match request.method:
            case services.STORE_GET:
                records = await self._store.get(services.decode_keys(request.body))
                return HTTPStatus.OK, services.encode_records(records)
            case services.STORE_LIST:
                ids = await self._store.ids(services.decode_page(request.body))
                return HTTPStatus.OK, services.encode_ids(ids)
            case services.CREDENTIALS:
                credentials = await self._credentials.credentials(_holder_name(request.body))
                return HTTPStatus.OK, services.encode_credentials(credentials)
            case relaying.RELAY_SEND:
                sent = await self._relays.send(relaying.decode_relayed(request.body))
                return HTTPStatus.OK, relaying.encode_status(sent)
            case relaying.RELAY_FEES:
                fees = await self._relays.fees(relaying.decode_relayed(request.body))
                return HTTPStatus.OK, relaying.encode_fees(fees)
            case relaying.RELAY_STATUS:
                found = await self._relays.status(*relaying.decode_question(request.body))
                return HTTPStatus.OK, relaying.encode_status(found)
            case guarding.GUARD_SIGN:
                status, answer = await self._guards.ask(*guarding.decode_guard_request(request.body))
                return HTTPStatus.OK, guarding.encode_guard_answer(status, answer)
        return HTTPStatus.NOT_FOUND, b""

    def put(self, body: bytes) -> list[asyncio.Future[None]]:
        """Hands the puts of one call to the store; `ProtocolError`. When all have ended, they go to `outcomes`."""
        puts = services.decode_puts(body)
        ends: list[asyncio.Future[None]] = [asyncio.ensure_future(self._store.put(writes)) for writes in puts]
        self._looks.storing()
        return ends

    def outcomes(self, ends: list[asyncio.Future[None]]) -> list[int]:
        """How the puts of one call have ended, as the enclave is told, counted and logged."""
        self._looks.stored()
        return [services.UNKNOWN if end.cancelled() else self._outcome(end.exception()) for end in ends]

    def _outcome(self, error: BaseException | None) -> int:
        match error:
            case None:
                self._metrics.store_put("ok")
                return services.DURABLE
            case StoreConflict():
                self._metrics.store_put("conflict")
                return services.CONFLICT
            case StoreFault(code=code):
                self._metrics.store_put("fault")
                self._log.event("store.fault", code=code)
            case _:  # one generic outcome, and the service lives (DO-07)
                self._metrics.faults.inc()
                self._log.fault("services", error)
        return services.UNKNOWN


class ServiceConnection(FrameProtocol):
    """One connection of the enclave: many calls at once, answers in the order in which they are ready."""

    def __init__(self, owner: Services) -> None:
        super().__init__()
        self._owner = owner
        self._under_way: set[asyncio.Future[Any]] = set()
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._owner.connections) >= limits.MAX_CONNECTIONS:
            self.fail("services-too-many-connections")
            return
        self._owner.connections.add(self)
        self._arm_idle_timer()

    def message_received(self, message: Request | Response) -> None:
        if isinstance(message, Response):
            self.fail("services-unexpected-response")
            return
        if len(self._under_way) >= limits.MAX_IN_FLIGHT:
            self.send(Response(message.id, HTTPStatus.SERVICE_UNAVAILABLE))
        elif message.method == services.STORE_PUT:
            self._put(message)
        else:
            self._keep(self._loop.create_task(self._answer(message)))

    def pause_writing(self) -> None:
        super().pause_writing()
        self.pause_reading()  # no new work for a peer that does not take what is ready

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resume_reading()

    def ended(self, code: str) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._owner.closed(self, code)

    def close(self) -> list[asyncio.Future[Any]]:
        """Cuts the connection; the calls that were under way, cancelled."""
        self.fail("link-closed")
        calls = list(self._under_way)
        for call in calls:
            call.cancel()
        return calls

    def _keep(self, call: asyncio.Future[Any]) -> None:
        self._under_way.add(call)
        call.add_done_callback(self._under_way.discard)

    def _put(self, request: Request) -> None:
        """`store.put`, which signatures wait for: tasks and `gather` would take it more turns of the loop."""
        try:
            ends = self._owner.put(request.body)
        except ProtocolError:
            self.send(Response(request.id, HTTPStatus.BAD_REQUEST))
            return
        left = len(ends)

        def ended(_: asyncio.Future[None]) -> None:
            nonlocal left
            left -= 1
            if not left:
                self.send(Response(request.id, HTTPStatus.OK, {}, services.encode_outcomes(self._owner.outcomes(ends))))

        for end in ends:
            self._keep(end)
            end.add_done_callback(ended)

    async def _answer(self, request: Request) -> None:
        status, body = await self._owner.answer(request)
        try:
            self.send(Response(request.id, status, {}, body))
        except ProtocolError:  # more records than one frame holds
            self.send(Response(request.id, HTTPStatus.REQUEST_ENTITY_TOO_LARGE))

    def _arm_idle_timer(self) -> None:
        self._idle_timer = self._loop.call_later(limits.IDLE_DEADLINE_S, self._check_idle)

    def _check_idle(self) -> None:
        if not self._under_way and self._loop.time() - self.received_at >= limits.IDLE_DEADLINE_S:
            self.fail("link-closed")
        else:
            self._arm_idle_timer()


def _holder_name(body: bytes) -> str:
    if len(body) > limits.MAX_HOLDER_NAME_BYTES:
        raise ProtocolError("services-holder")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("services-holder") from None
