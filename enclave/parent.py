"""What the enclave asks of the parent instance, over one frame connection: records, credential hints, relaying, guards.

Trust side: enclave. Answers are bounded and checked for form; their content is hostile until a record opens or KMS
accepts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from socket import socket

from enclave.errors import EgressError, GuardError, RelayError, StoreError
from enclave.frame_link import FrameLink
from enclave.put_batches import PutBatches
from protocol import guarding, limits, relaying, services
from protocol.addresses import SERVICES_PORT
from protocol.errors import ProtocolError
from protocol.frames import Response
from protocol.relaying import Relayed, RelayFees, RelayStatus
from protocol.services import Credentials, Page, RecordKey, StoredRecord, Write

_RELAY_CODES = {
    HTTPStatus.NOT_FOUND: "relay-unknown",
    relaying.WOULD_REVERT_STATUS: "relay-would-revert",
    relaying.BUSY_STATUS: "relay-wallet-busy",
}
Dial = Callable[[int], Awaitable[socket]]


class ParentServices:
    """Ports `Store`, `Relay` and `Guards`, and `credentials` for the KMS client. Connects at first use, and anew.

    A connection has a deadline of its own, before that of the call; together they end before the request does.
    """

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._link: FrameLink | None = None
        self._connecting: asyncio.Task[FrameLink] | None = None
        self._puts = PutBatches(partial(self._call, services.STORE_PUT))

    async def get(self, keys: Sequence[RecordKey]) -> list[StoredRecord | None]:
        """Port `Store.get`."""
        response = await self._call(services.STORE_GET, services.encode_keys(list(keys)))
        if response.status != 200:
            raise StoreError("store-refused")
        try:
            return services.decode_records(response.body, count=len(keys))
        except ProtocolError:
            raise StoreError("store-malformed") from None

    async def put(self, writes: Sequence[Write]) -> None:
        """Port `Store.put`."""
        await self._puts.put(writes)

    async def ids(self, page: Page) -> list[bytes]:
        """Port `Store.ids`."""
        response = await self._call(services.STORE_LIST, services.encode_page(page))
        if response.status != 200:
            raise StoreError("store-refused")
        try:
            return services.decode_ids(response.body, page)
        except ProtocolError:
            raise StoreError("store-malformed") from None

    async def credentials(self, holder: str) -> Credentials:
        """The host's hint for calls to `holder`'s account; `StoreError` when it has none."""
        response = await self._call(services.CREDENTIALS, holder.encode())
        if response.status != 200:
            raise StoreError("credentials-refused")
        try:
            return services.decode_credentials(response.body)
        except ProtocolError:
            raise StoreError("credentials-malformed") from None

    async def send(self, relayed: Relayed) -> RelayStatus:
        """Port `Relay.send`."""
        return _status(await self._relay(relaying.RELAY_SEND, relaying.encode_relayed(relayed)))

    async def fees(self, relayed: Relayed) -> RelayFees:
        """Port `Relay.fees`."""
        body = await self._relay(relaying.RELAY_FEES, relaying.encode_relayed(relayed))
        try:
            return relaying.decode_fees(body)
        except ProtocolError:
            raise RelayError("relay-malformed") from None

    async def status(self, chain_id: int, id_: bytes) -> RelayStatus:
        """Port `Relay.status`."""
        return _status(await self._relay(relaying.RELAY_STATUS, relaying.encode_question(chain_id, id_)))

    async def ask(self, guard: bytes, request: bytes) -> tuple[int, bytes]:
        """Port `Guards.ask`."""
        body = guarding.encode_guard_request(guard, request)
        try:
            response = await self._call(guarding.GUARD_SIGN, body, limits.GUARD_ANSWER_DEADLINE_S)
        except StoreError:
            raise GuardError("guard-unreachable") from None
        if response.status != HTTPStatus.OK:
            unknown = response.status == HTTPStatus.NOT_FOUND
            raise GuardError("guard-unknown" if unknown else "guard-unreachable")
        try:
            return guarding.decode_guard_answer(response.body)
        except ProtocolError:
            raise GuardError("guard-malformed") from None

    async def _relay(self, method: str, body: bytes) -> bytes:
        try:
            response = await self._call(method, body, limits.RELAY_ANSWER_DEADLINE_S)
        except StoreError:
            raise RelayError("relay-unreachable") from None
        if response.status != HTTPStatus.OK:
            raise RelayError(_RELAY_CODES.get(response.status, "relay-refused"))
        return response.body

    async def _call(self, method: str, body: bytes, deadline_s: float = limits.STORE_DEADLINE_S) -> Response:
        try:
            link = self._link
            if link is None or link.closed:
                link = await self._connected()
            return await link.call(method, body, deadline_s=deadline_s)
        except (TimeoutError, OSError, ProtocolError, EgressError):
            raise StoreError("store-unreachable") from None

    async def _connected(self) -> FrameLink:
        """The link that one task makes for all who need it, whoever of them gives up meanwhile."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._end_connecting)
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> FrameLink:
        async with asyncio.timeout(limits.STORE_DEADLINE_S):
            connection = await self._dial(SERVICES_PORT)
            _, self._link = await asyncio.get_running_loop().create_connection(FrameLink, sock=connection)
            return self._link

    def _end_connecting(self, task: "asyncio.Task[FrameLink]") -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # those that waited for it know; nobody else has to


def _status(body: bytes) -> RelayStatus:
    try:
        return relaying.decode_status(body)
    except ProtocolError:
        raise RelayError("relay-malformed") from None
