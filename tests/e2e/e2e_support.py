"""A whole appliance for the end-to-end tests, and the people around it: users, and a host that is not what it seems.

The appliance runs on an event loop in a thread of its own, so tests and their clients are plain blocking code, as
users' programs are. `Site` is what an operator holds in hands, `User` one device of a user.
"""

import asyncio
import io
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from attestation.policy import Measurements
from attestation.roots import TrustRoot
from host_proxy.client.api import Api
from host_proxy.client.device_key import DeviceKey
from host_proxy.client.errors import ServiceRefusal
from host_proxy.client.flows import Flows, Login, Session
from host_proxy.config import Rates
from host_proxy.errors import StoreConflict
from host_proxy.logging import Log
from host_proxy.store import SqliteStore
from protocol import canonical_json
from protocol.errors import TABLE
from protocol.services import RecordKey, Write
from simulator import appliance as simulated
from simulator import settings
from simulator.appliance import Appliance, Options
from simulator.browser import sign_in
from simulator.hostile_store import HostileStore
from simulator.mail import code_in
from simulator.stand_ins import StandIns

SCOPE, STRICT_SCOPE = settings.SCOPE, settings.STRICT_SCOPE
ORIGIN, OTHER_ORIGIN = settings.ORIGIN, "https://shop.example"
HOLDERS = tuple(seat.name for seat in settings.HOLDERS)

COMMIT = "/rpc/IdentityInstrument/CommitVerifier"
COMPLETE = "/rpc/IdentityInstrument/CompleteAuth"
SIGN = "/rpc/IdentityInstrument/Sign"
CREATE, LIST, REVOKE = (f"/rpc/Session/{name}" for name in ("Create", "List", "Revoke"))
SIGN_MESSAGE, SIGN_TYPED_DATA, SIGN_TRANSACTION = (
    f"/rpc/Signer/Sign{name}" for name in ("Message", "TypedData", "Transaction")
)
DOCUMENT = "/rpc/Attestation/Document"
GET, REMOVE_DEVICES, LINK, UNLINK, UNFREEZE, DELETE = (
    f"/rpc/Account/{name}" for name in ("Get", "RemoveDevices", "Link", "Unlink", "Unfreeze", "Delete")
)
ROTATE, REFRESH, CLEANUP = (
    f"/rpc/IdentityInstrumentAdmin/{name}"
    for name in ("RotateCipherKey", "RefreshEncryptedData", "CleanupUnusedCipherKeys")
)
PATHS = (COMMIT, COMPLETE, SIGN, CREATE, LIST, REVOKE, SIGN_MESSAGE, SIGN_TYPED_DATA, SIGN_TRANSACTION, DOCUMENT)
PATHS += (GET, REMOVE_DEVICES, LINK, UNLINK, UNFREEZE, DELETE, ROTATE, REFRESH, CLEANUP)

_CALM_S = 60.0
"""Far longer than anything takes."""
_START_S = 300.0
"""Two real images are built, and one of them is booted, before an appliance with a guard is there."""
_POLL_S = 0.05
_JSON = {"content-type": "application/json"}
_BY_CODE = {row.code: row for row in TABLE}
_emails = itertools.count(1)
_T = TypeVar("_T")


def new_email() -> str:
    """An address that nobody used before."""
    return f"user-{next(_emails)}@example.com"


def scopes(**changes: Any) -> list[dict[str, Any]]:
    """The scopes of the simulated deployment with a second origin; `changes` replace members of each."""
    return [scope | {"origins": [ORIGIN, OTHER_ORIGIN]} | changes for scope in settings.scopes()]


def failing(health: dict[str, Any]) -> dict[str, str]:
    """The holders that `/health` names, with the code of what is wrong."""
    named: dict[str, str] = (health["holders"] or {}).get("failing", {})
    return named


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict), value
        return value

    @property
    def code(self) -> int:
        """The code of a refusal whose body is exactly that of the wire format."""
        body = self.json
        row = _BY_CODE[body["code"]]
        assert self.headers["content-type"] == "application/json"
        assert list(body) == [name for name in ("error", "code", "msg", "cause", "status") if name in body]
        assert (body["error"], body["msg"], body["status"]) == (row.name, row.message, row.status)
        assert self.status == row.status
        return row.code


class Site:
    """An appliance in operation, and everything that it said: host log, guest lines, refusals that clients got."""

    def __init__(self, state: Path, options: Options | None = None, **members: Any) -> None:
        self.state = state
        self.log = io.StringIO()
        self.lines: list[str] = []
        self.refusals: list[bytes] = []
        rates = Rates(client_per_s=10_000, client_burst=10_000, auth_key_per_s=10_000, auth_key_burst=10_000)
        self.options = replace(
            options or Options(),
            listen="127.0.0.1:0",
            rates=rates,
            log=Log(self.log, strict=True),
            on_line=self.lines.append,
            **members,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="appliance", daemon=True)
        self._running = simulated.running(state, self.options)
        self._http = httpx.Client(timeout=_CALM_S, transport=Recorder(self.refusals))
        self.appliance: Appliance

    def __enter__(self) -> Self:
        self._thread.start()
        self.appliance = self.do(self._running.__aenter__(), _START_S)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.do(self._running.__aexit__(None, None, None))
        finally:
            self._http.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def do(self, work: Coroutine[Any, Any, _T], patience_s: float = _CALM_S) -> _T:
        """Run `work` where the appliance runs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(patience_s)

    @property
    def stand_ins(self) -> StandIns:
        return self.appliance.stand_ins

    @property
    def url(self) -> str:
        return self.appliance.url

    def health(self) -> dict[str, Any]:
        return self.do(self.appliance.health())

    def wait_for(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Health, once `condition` holds, which may itself call the appliance."""
        until = time.monotonic() + _CALM_S
        while not condition(health := self.health()):
            assert time.monotonic() < until, f"not within {_CALM_S} s: {what}; health was {health}"
            time.sleep(_POLL_S)
        return health

    def serving(self) -> Self:
        self.do(self.appliance.wait_until("serving"))
        return self

    def restart(self) -> None:
        """The enclave ends and boots again; returns once it serves."""
        boots = self.metric("chancery_enclave_starts_total")
        self.do(self.appliance.launcher.stop())
        self.wait_for(lambda _: self.metric("chancery_enclave_starts_total") > boots, "another boot")
        self.serving()

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.appliance.host.metrics_port}/metrics").text

    def metric(self, name: str) -> float:
        found = re.search(rf"^{name} (.+)$", self.metrics(), re.MULTILINE)
        assert found is not None
        return float(found[1])

    @property
    def image(self) -> Measurements:
        """What a user who verified this build accepts."""
        pcrs = self.appliance.image.pcrs
        return Measurements(name="this build", pcrs={index: pcrs[index] for index in range(3)})

    def send(self, path: str, body: bytes, headers: Mapping[str, str] = _JSON, method: str = "POST") -> Reply:
        """One request with these very bytes."""
        response = self._http.request(method, self.url + path, content=body, headers=dict(headers))
        return Reply(response.status_code, response.headers, response.content)

    def mailed_code(self, email: str) -> str:
        return code_in(self.do(self.stand_ins.mail.wait_for(email)))

    def user(self, scope: str = SCOPE, origin: str = ORIGIN, **options: Any) -> "User":
        """A new device of a user who trusts this image under the simulator's root."""
        return User(self, scope, origin, **options)


class User:
    """One device: `api` and `flows` as shipped (they verify every answer), `send` for what no honest client sends."""

    def __init__(
        self,
        site: Site,
        scope: str,
        origin: str,
        *,
        roots: Sequence[TrustRoot] | None = None,
        image: Measurements | None = None,
        transport: httpx.BaseTransport | None = None,
        device: DeviceKey | None = None,
    ) -> None:
        self.site = site
        self.scope = scope
        self.origin = origin
        self.device = device or DeviceKey.generate()
        self._last_nonce = 0
        self.api = Api(
            site.url,
            self.device,
            scope=scope,
            origin=origin,
            roots=roots or (site.stand_ins.root,),
            image=image or site.image,
            transport=transport or Recorder(site.refusals),
        )
        self.flows = Flows(self.api, scope)

    def log_in(self, email: str | None = None, lifetime_s: int | None = None) -> Login:
        """By mail."""
        address = email or new_email()
        started = self.flows.start_mail_login(address)
        return self.flows.finish_mail_login(started, self.site.mailed_code(address), lifetime_s)

    def log_in_by_token(self, name: str) -> Login:
        """At the identity provider's page, as a person does."""
        return self.flows.id_token_login(sign_in(self.site.stand_ins.login_page_url, name))

    def ready(self, email: str | None = None) -> tuple[str, Session]:
        """Logged in with a session: the wallet's address and the session."""
        return self.log_in(email).signer, self.flows.create_session()

    def recovered(self, session: str, text: str = "hello") -> str:
        """Who signed a message that this device asked to sign, as eth-account sees it."""
        signed = self.flows.sign("Message", session, {"text": text})
        address: str = Account.recover_message(encode_defunct(text=text), signature=signed["signature"])
        return address.lower()

    def own_params(self, path: str, **members: Any) -> dict[str, Any]:
        """The signed members of one of our own methods; `members` replace or add."""
        now_ms = time.time_ns() // 1_000_000
        self._last_nonce = max(now_ms, self._last_nonce + 1)  # as `Api`, and rising within a millisecond too
        common = {"method": path, "scope": self.scope, "origin": self.origin, "nonce": hex(self._last_nonce)}
        return common | {"expires": now_ms + 30_000} | members

    def envelope(self, params: Any, *, signer: DeviceKey | None = None) -> bytes:
        """`params` signed by this device, or by another key in its name."""
        signature = (signer or self.device).sign(canonical_json.canonicalize(params))
        return json.dumps({"params": params, "authKey": self.device.wire(), "signature": signature}).encode()

    def send(self, path: str, **members: Any) -> Reply:
        """One of our own methods."""
        return self.site.send(path, self.envelope(self.own_params(path, **members)))

    def sign_message(self, session: str, **members: Any) -> Reply:
        return self.send(SIGN_MESSAGE, **{"session": session, "message": {"text": "hello"}} | members)


class Recorder(httpx.HTTPTransport):
    """Carries requests and keeps the bodies of refusals."""

    def __init__(self, refusals: list[bytes]) -> None:
        super().__init__()
        self._refusals = refusals

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if response.status_code >= 400:
            self._refusals.append(response.read())
        return response


@dataclass(slots=True)
class Refusal:
    """What a caller was told; filled in when the block ends."""

    code: int = 0
    cause: str = ""
    body: dict[str, Any] = field(default_factory=dict)


@contextmanager
def refused() -> Iterator[Refusal]:
    """Around a call of `flows` or `api` that the appliance must refuse, with an answer that is attested like any."""
    refusal = Refusal()
    with pytest.raises(ServiceRefusal) as caught:
        yield refusal
    refusal.body = caught.value.error
    refusal.code, refusal.cause = refusal.body["code"], refusal.body.get("cause", "")


@contextmanager
def prepared(prepare: Callable[[StandIns], None]) -> Iterator[None]:
    """Appliances that start inside the block find their surroundings as `prepare` left them, from the first call on."""

    def make(*arguments: Any, **options: Any) -> StandIns:
        stand_ins = StandIns(*arguments, **options)
        prepare(stand_ins)
        return stand_ins

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "StandIns", make)
        yield


class LyingSqlite(HostileStore):
    """The host's own store in the hands of a hostile host, on the host's side of the connection."""

    def __init__(self, path: Path) -> None:
        self._sqlite = SqliteStore(path)
        super().__init__(self._sqlite)  # the two ports differ in their errors alone

    async def put(self, writes: Sequence[Write]) -> None:
        try:
            await super().put(writes)
        except Exception as error:  # the port of the enclave has a conflict of its own
            if getattr(error, "code", "") == "store-conflict":
                raise StoreConflict from None
            raise

    async def check(self) -> None:
        await self._sqlite.check()

    async def close(self) -> None:
        await self._sqlite.close()

    def keys(self, table: str) -> list[RecordKey]:
        """Where the records of a table lie, in the order in which they were first asked for."""
        return [key for key, record in self._rows.items() if key.table == table and record is not None]
