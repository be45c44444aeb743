"""Targets for a whole enclave in this process: any body to any route, signed or not, and any bytes on its connections.

An answer of the error table is a value here, but for InternalError: that one means that nobody foresaw the input.
"""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from enclave.dispatch import NONCE_HEADER
from enclave.frame_link import FrameLink
from enclave.server import FrameServer
from protocol import canonical_json, errors, frames
from protocol.errors import ProtocolError
from protocol.frames import Request, Response
from tests.appliance import Client, World, commit_params, complete_params
from tests.evm import samples
from tests.fuzz.loop import run
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import encoded, text

EMAIL = "user@example.com"
INSTRUMENT = ("CommitVerifier", "CompleteAuth", "Sign")
OWN: Mapping[str, dict[str, Any]] = {
    "Session/Create": {"lifetime": 60},
    "Session/List": {},
    "Session/Revoke": {"device": "Ethereum_Secp256k1:0x" + "11" * 20},
    "Signer/SignMessage": {"message": {"text": "hello"}},
    "Signer/SignTypedData": {"typedData": samples.mail()},
    "Signer/SignTransaction": {"transaction": samples.transaction(2)},
}
ROUTES = (
    *(f"/rpc/IdentityInstrument/{method}" for method in INSTRUMENT),
    *(f"/rpc/{method}" for method in OWN),
    "/rpc/Attestation/Document",
    "/status",
)
CODES = {row.code for row in errors.TABLE} - {errors.INTERNAL_ERROR.code}


class Appliance:
    """A serving enclave and a device that is logged in, or will be again."""

    def __init__(self) -> None:
        limits = {"mails_per_address": 1000, "mails_window_s": 1, "signatures_per_minute": 1_000_000}
        self.world = World(Path(tempfile.mkdtemp(prefix="chancery-fuzz-")), limits=limits)
        self.client = Client(self.world)
        self.session = self.address = ""
        run(self.world.boot())
        run(self.log_in())

    async def log_in(self) -> None:
        self.address = (await self.world.log_in(self.client, EMAIL, lifetime=3600))["signer"]["address"]
        self.session = (await self.client.session())["session"]

    def judge(self, response: Response) -> dict[str, Any]:
        """The body of a foreseen answer."""
        body: dict[str, Any] = json.loads(response.body)
        frames.encode(response)
        if response.status != 200 and (body["status"], body["code"] in CODES) != (response.status, True):
            raise AssertionError(body)
        if self.world.enclave._dispatcher.failures:
            raise AssertionError("an exception that no method foresaw")
        return body

    async def send(self, path: str, body: bytes) -> dict[str, Any]:
        return self.judge(await self.world.raw(path, body))

    async def send_signed(self, path: str, members: dict[str, Any]) -> dict[str, Any]:
        """`members` laid over what makes a good call of `path`, signed."""
        params = self._good(path) | members
        body = await self.send(path, encoded(self.client.envelope(params)))
        if body.get("code") in (errors.KEY_NOT_FOUND.code, errors.KEY_EXPIRED.code, errors.SESSION_NOT_FOUND.code):
            await self.log_in()
        return body

    def _good(self, path: str) -> dict[str, Any]:
        method = path.removeprefix("/rpc/")
        if method in OWN:
            session = {"session": self.session} if method.startswith("Signer/") else {}
            return self.client.own_params(path) | session | OWN[method]
        match path.rpartition("/")[2]:
            case "CommitVerifier":
                return commit_params(EMAIL)
            case "CompleteAuth":
                return complete_params(EMAIL, "0x00")
        self.client._nonce += 1
        signer = {"keyType": "Ethereum_Secp256k1", "address": self.address}
        return {"scope": "@123", "signer": signer, "nonce": hex(self.client._nonce), "digest": "0x" + "11" * 32}


@cache
def appliance() -> Appliance:
    return Appliance()


def _route(data: bytes) -> str:
    return ROUTES[(data[0] if data else 0) % len(ROUTES)]


def _body(data: bytes) -> object:
    return run(appliance().send(_route(data), data[1:]))


def _params(data: bytes) -> object:
    members = canonical_json.parse(data[1:])
    path = ROUTES[(data[0] if data else 0) % (len(INSTRUMENT) + len(OWN))]
    return run(appliance().send_signed(path, members if isinstance(members, dict) else {"": members}))


def _frame(data: bytes) -> object:
    """Method, nonce header and body of a frame, apart by NUL."""
    method, nonce, body = (*text(data).split("\x00", 2), "", "")[:3]
    request = Request(1, method[:128], {NONCE_HEADER: nonce, "content-type": nonce}, body.encode("utf-8", "replace"))
    made = appliance()
    return made.judge(run(made.world.enclave.answer(request)))


class Sink(asyncio.Transport):
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.sent += data

    def abort(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


def _ingress(data: bytes) -> object:
    """Bytes of the host on a connection: answered or closed, and never both silent and open with a whole frame in."""

    answer = appliance().world.enclave.answer

    async def feed() -> bytes:
        server = FrameServer(answer, lambda _: True)
        connection, sink = server.connection(), Sink()
        connection.connection_made(sink)
        for piece in (data[:7], data[7:]):
            if not sink.closed:
                connection.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return sink.sent

    return run(feed())


def _parent(data: bytes) -> object:
    """Bytes of the parent's services while a call waits."""

    async def feed() -> object:
        link = FrameLink()
        link.connection_made(Sink())
        call = asyncio.ensure_future(link.call("store.get", b""))
        await asyncio.sleep(0)
        for piece in (data[:7], data[7:]):
            link.data_received(piece)
        await asyncio.sleep(0)
        link.connection_lost(None)
        return (await asyncio.gather(call, return_exceptions=True))[0]

    result = run(feed())
    return _one_of(result, Response, ConnectionError)


def _one_of(value: object, *kinds: type) -> object:
    if type(value) not in kinds:
        raise AssertionError(value)
    return value


def _params_of_each_method() -> list[bytes]:
    empty = [bytes([place]) + b"{}" for place in range(len(INSTRUMENT) + len(OWN))]
    full = [bytes([len(INSTRUMENT) + place]) + encoded(members) for place, members in enumerate(OWN.values())]
    started = [commit_params(EMAIL) | {"metadata": {"a": "b"}}, complete_params(EMAIL, "0x00", lifetime=60)]
    return empty + full + [bytes([place]) + encoded(members) for place, members in enumerate(started)]


def _bodies() -> list[bytes]:
    commit = encoded(appliance().client.envelope(commit_params(EMAIL)))
    document = encoded({"nonce": "A" * 22})
    bodies = {ROUTES[0]: commit, "/rpc/Attestation/Document": document, "/status": b""}
    return [bytes([ROUTES.index(route)]) + body for route, body in bodies.items()]


def _requests() -> list[bytes]:
    return [frames.encode(Request(1, "GET /status", {}, b"")) + frames.encode(Request(2, "", {}, b""))]


TARGETS = {
    "request_body": Target(_body, (), _bodies),
    "request_params": Target(_params, (ProtocolError,), _params_of_each_method),
    "request_frame": Target(_frame, (), lambda: [b"GET /status\x00nonce\x00", b"POST /rpc/Session/List\x00\x00{}"]),
    "ingress_bytes": Target(_ingress, (), _requests),
    "parent_bytes": Target(_parent, (), lambda: [frames.encode(Response(1, 200, {}, b"body"))]),
}
