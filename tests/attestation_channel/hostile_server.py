"""An HTTP server in front of an enclave in this process that does to answers what a test's client asks it to.

`PUT /tricks/NAME` chooses a trick; it stays until the next one. Everything else goes to the enclave, which runs on an
event loop in a thread of its own, so that clients can be other programs.
"""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar

from attestation import channel
from attestation.client import DOCUMENT_PATH
from protocol import errors
from protocol.errors import ErrorCode, error_body
from protocol.frames import Request
from tests.attestation_channel.attested import AttestedWorld

DOCUMENT_HEADER = "x-attestation-document"
_FORWARDED = ("content-type", "x-attestation-nonce")
_ENDLESS_BYTES = 4 * 1024 * 1024
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


Forward = Callable[[], Answer]
Trick = Callable[["HostileServer", str, Forward], Answer]


def _json(status: int, value: Any) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(value).encode())


def _claim(error: ErrorCode) -> Answer:
    return _json(error.status, error_body(error))


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _with_header(answer: Answer, value: str) -> Answer:
    return replace(answer, headers=answer.headers | {DOCUMENT_HEADER: value})


def _without_header(answer: Answer) -> Answer:
    return replace(answer, headers={k: v for k, v in answer.headers.items() if k != DOCUMENT_HEADER})


def _repeat(server: "HostileServer", path: str, forward: Forward) -> Answer:
    """The first answer that was given on this path since the trick was chosen."""
    return server.kept.setdefault(path, forward()) if path not in server.kept else server.kept[path]


def _lie_once(server: "HostileServer", path: str, forward: Forward) -> Answer:
    answer = forward()
    if path != channel.PATH or path in server.kept:
        return answer
    server.kept[path] = answer
    return _claim(errors.CHANNEL_KEY_UNKNOWN)


def _document_of(answer: Answer) -> bytes:
    return base64.b64decode(answer.headers[DOCUMENT_HEADER])


def _on(path: str, change: Callable[[Forward], Answer]) -> Trick:
    """A trick that is played on one path only."""
    return lambda _, asked, forward: change(forward) if asked == path else forward()


def _anywhere(change: Callable[[Forward], Answer]) -> Trick:
    return lambda _, __, forward: change(forward)


SEALED = {"content-type": channel.CONTENT_TYPE}
TRICKS: dict[str, Trick] = {
    "none": _anywhere(lambda forward: forward()),
    "repeat": _repeat,
    # answers with a document in a header
    "strip": _anywhere(lambda forward: _without_header(forward())),
    "flip-body": _anywhere(lambda forward: replace(answer := forward(), body=_flip(answer.body))),
    "longer-body": _anywhere(lambda forward: replace(answer := forward(), body=answer.body + b" ")),
    "no-base64": _anywhere(lambda forward: _with_header(forward(), "*")),
    "no-document": _anywhere(lambda forward: _with_header(forward(), "AAAA")),
    "flip-document": _anywhere(
        lambda forward: _with_header(answer := forward(), base64.b64encode(_flip(_document_of(answer))).decode())
    ),
    "two-documents": _anywhere(
        lambda forward: _with_header(answer := forward(), ", ".join([answer.headers[DOCUMENT_HEADER]] * 2))
    ),
    "good-status": _anywhere(lambda forward: replace(forward(), status=200)),
    "redirect": _on("/status", lambda _: Answer(302, {"location": "/health"}, b"")),
    "endless": _anywhere(lambda _: Answer(200, SEALED, bytes(_ENDLESS_BYTES))),
    # sealed answers and the documents before them
    "plain": _on(channel.PATH, lambda _: _json(200, {"signer": "evil"})),
    "plain-error": _on(channel.PATH, lambda _: _claim(errors.INTERNAL_ERROR)),
    "odd-error": _on(channel.PATH, lambda _: _json(500, {"error": "<b>owned", "code": 1})),
    "flip-sealed": _on(channel.PATH, lambda forward: replace(answer := forward(), body=_flip(answer.body))),
    "cut-sealed": _on(channel.PATH, lambda forward: replace(answer := forward(), body=answer.body[:-1])),
    "lie-once": _lie_once,
    "lie-always": _on(channel.PATH, lambda _: _claim(errors.CHANNEL_KEY_UNKNOWN)),
    "no-attestation": _on(DOCUMENT_PATH, lambda _: Answer(404, {}, b"404 page not found")),
    "empty-attestation": _on(DOCUMENT_PATH, lambda _: _json(200, {})),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that give up are part of the tests."""


class HostileServer:
    """A booted enclave behind a server on a free port of this machine."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._loop = asyncio.new_event_loop()
        self._threads = [threading.Thread(target=self._loop.run_forever, daemon=True)]
        self.kept: dict[str, Answer] = {}
        self.seen: list[tuple[str, bytes]] = []
        self.trick = TRICKS["none"]
        self.world: AttestedWorld

    def __enter__(self) -> Self:
        self._threads[0].start()
        self.world = self.do(self._booted())
        server = self
        self._http = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": server}))
        self._threads.append(threading.Thread(target=self._http.serve_forever, daemon=True))
        self._threads[1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self.do(self.world.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run `work` where the enclave runs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def choose(self, name: str) -> Answer:
        """The trick `name`, or `reboot`, which starts the enclave anew."""
        self.kept.clear()
        if name == "reboot":
            self.do(self.world.boot())
        else:
            self.trick = TRICKS[name]
        return Answer(204, {}, b"")

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if method == "PUT":
            return self.choose(path.removeprefix("/tricks/"))
        self.seen.append((path, body))

        def forward() -> Answer:
            response = self.do(self.world.enclave.answer(Request(1, f"{method} {path}", headers, body)))
            return Answer(response.status, dict(response.headers), response.body)

        return self.trick(self, path, forward)

    async def _booted(self) -> AttestedWorld:
        world = AttestedWorld(self._state)
        await world.boot()
        return world


class _Handler(BaseHTTPRequestHandler):
    owner: HostileServer
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name: self.headers[name] for name in _FORWARDED if name in self.headers}
        answer = self.owner.answer(self.command, self.path, headers, body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815  the names are the library's

    def log_message(self, *_: object) -> None:
        pass
