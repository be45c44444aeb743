"""Events that a tenant's webhook has to be told, each until it has said that it has it.

An event is a sealed record before anything depends on it, so it outlives every restart; once it was taken the record
says so. It may be told twice, always under the same `jti`. What is sent is a Security Event Token (RFC 8417), signed
by the issuer's key, pushed as RFC 8935 says, over TLS that ends here.
"""

import asyncio
import contextlib
import json
import ssl
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws

from enclave import log
from enclave.clock import TrustedClock
from enclave.config.issuer import Issuer
from enclave.errors import EgressError, Refusal, StoreError
from enclave.issuer_keys import IssuerKeys
from enclave.login.issuers import parse_https_url
from enclave.net.http import request
from enclave.ports import Egress, Store
from enclave.records import Change, Conflict, Records
from enclave.tenants.tenants import Tenants
from protocol import errors, limits
from protocol.services import Page, RecordKey

TABLE: Final = "event"
MEDIA_TYPE: Final = "application/secevent+jwt"
SIGNED_UP: Final = "/events/invitation-signed-up"
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 3600.0
_TAKEN: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody who was invited has a wallet since `at_s`."""

    id: bytes
    scope: str
    reference: str
    wallet: str
    at_s: int

    def body(self) -> list[Any]:
        """What the record keeps until it was told."""
        return [self.id, self.scope, self.reference, self.wallet, self.at_s]


@dataclass(slots=True)
class _Pending:
    """What one tenant has not taken yet; all of it waits while its webhook fails."""

    events: dict[bytes, Event]
    pause_s: float
    next_ms: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """By what events reach a webhook."""

    egress: Egress
    tls: ssl.SSLContext
    issuer: Issuer
    keys: IssuerKeys


class Events:
    """Keeps events, and tells them."""

    def __init__(
        self,
        records: Records,
        store: Store,
        tenants: Tenants,
        clock: TrustedClock,
        delivery: Delivery,
        *,
        recovers: bool = True,
    ) -> None:
        """`recovers`: whether it falls to this worker to tell what earlier boots have left."""
        self._recovers = recovers
        self._records = records
        self._store = store
        self._tenants = tenants
        self._clock = clock
        self._delivery = delivery
        self._pending: dict[str, _Pending] = {}
        self._waiting = asyncio.Event()

    def change(self, event: Event) -> Change:
        """The write that makes an event one that has to be told."""
        return self._records.change(self._key(event), 0, event.body())

    def add(self, event: Event) -> None:
        """Tell an event that has been written, soon."""
        self._pending.setdefault(event.scope, _Pending({}, FIRST_PAUSE_S)).events[event.id] = event
        self._waiting.set()

    async def run(self) -> None:
        """Tell what there is to tell, for ever: what earlier boots have left, and what is added."""
        recovered = not self._recovers
        while True:
            recovered = recovered or await self._recover()
            self._waiting.clear()
            for scope, pending in list(self._pending.items()):
                if pending.next_ms <= self._clock.monotonic_ms():
                    await self._tell(scope, pending)
            idle = recovered and not self._pending
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if idle else FIRST_PAUSE_S):
                    await self._waiting.wait()

    async def _recover(self) -> bool:
        """Add what earlier boots have left; whether the store has told all of it."""
        after = b""
        try:
            while True:
                ids = await self._store.ids(Page(TABLE, after, limits.MAX_RECORDS_PER_CALL))
                for id_ in ids:
                    await self._recover_one(RecordKey(TABLE, id_))
                if len(ids) < limits.MAX_RECORDS_PER_CALL:
                    return True
                after = ids[-1]
        except (StoreError, Refusal):
            return False

    async def _recover_one(self, key: RecordKey) -> None:
        """Add the event at `key`, if it was not told. What does not open is no event, and holds up no other."""
        try:
            [record] = await self._records.load(key)
        except Refusal as refusal:
            if refusal.error is not errors.DATA_INTEGRITY_ERROR:
                raise
            log.event("webhook", code=refusal.error.name)
            return
        event = None if record is None else _read(record.body)
        if event is not None:
            self.add(event)

    async def _tell(self, scope: str, pending: _Pending) -> None:
        """Everything that waits for one tenant, until its webhook fails; then a pause, longer each time."""
        try:
            for event in list(pending.events.values()):
                await self._push(event)
                with contextlib.suppress(Conflict):  # another enclave has told it as well
                    await self._records.save(self._records.change(self._key(event), await self._version(event), None))
                del pending.events[event.id]
        except Exception as error:  # noqa: BLE001  the last edge: whatever fails is tried again, and the service lives
            log.event("webhook", code=_code(error))
            pending.next_ms = self._clock.monotonic_ms() + int(pending.pause_s * 1000)
            pending.pause_s = min(2 * pending.pause_s, LONGEST_PAUSE_S)
        else:
            if not pending.events:  # none was added meanwhile
                del self._pending[scope]

    async def _version(self, event: Event) -> int:
        [record] = await self._records.load(self._key(event))
        if record is None or record.body is None:
            raise Conflict
        return record.version

    async def _push(self, event: Event) -> None:
        """`EgressError`: among others `webhook-none`, `webhook-status`."""
        tenant = await self._tenants.scope(event.scope)
        embedded = None if tenant is None else tenant.embedded
        url = (
            None if embedded is None or embedded.invitations is None else parse_https_url(embedded.invitations.webhook)
        )
        if embedded is None or url is None:
            raise EgressError("webhook-none")
        answer = await request(
            self._delivery.egress,
            self._delivery.tls,
            method="POST",
            host=url.host,
            port=url.port,
            target=url.target,
            headers={"Content-Type": MEDIA_TYPE, "Accept": "application/json"},
            body=(await self._token(event, embedded.project_id)).encode(),
            max_body_bytes=limits.MAX_WEBHOOK_REPLY_BYTES,
            deadline_s=limits.WEBHOOK_DEADLINE_S,
        )
        if answer.status not in _TAKEN:
            raise EgressError("webhook-status")

    async def _token(self, event: Event, project_id: int) -> str:
        key, issuer = await self._delivery.keys.current(), self._delivery.issuer
        said = {"invitation": event.id.hex(), "reference": event.reference, "wallet": event.wallet}
        claims = {
            "iss": issuer.url,
            "aud": f"{issuer.audience_prefix}{project_id}",
            "jti": event.id.hex(),
            "iat": self._clock.now_s(),
            "toe": event.at_s,
            "events": {f"{issuer.url}{SIGNED_UP}": said},
        }
        header = {"alg": "RS256", "kid": key.kid, "typ": "secevent+jwt"}
        return jws.serialize_compact(header, json.dumps(claims), key.jwk, algorithms=["RS256"])

    def _key(self, event: Event) -> RecordKey:
        return self._records.key(TABLE, event.scope, event.id)


def _read(body: Any) -> Event | None:
    """The event that still has to be told, or None."""
    match body:
        case [bytes(id_), str(scope), str(reference), str(wallet), int(at_s)]:
            return Event(id_, scope, reference, wallet, at_s)
    return None


def _code(error: Exception) -> str:
    match error:
        case EgressError():
            return error.code
        case Refusal():
            return error.error.name
    return type(error).__name__
