"""The HTTP/1.1 edge: uvicorn's parser and cycle, with the refusals, caps and deadlines that it lacks (VS-03 to VS-05).

Trust side: host, first contact with strangers. llhttp refuses most malformed messages; on top, a request must have an
origin-form target and one Host, at most one plain length, no upgrade, and a bounded head. Whatever is refused here
gets the JSON error body and the end of the connection. Sources: RFC 9112 sections 3.2, 6 and 9;
identity-instrument.md 1.2.
"""

import asyncio
import re
from typing import Any, Final, cast

import uvicorn
from httptools import parse_url
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from host_proxy import cors
from host_proxy.gathered import GatheredWrites
from host_proxy.http import error_reply
from host_proxy.http_cycle import Cycle, head
from host_proxy.http_door import Deadlines, Door
from host_proxy.trace_id import choose_trace_id
from protocol import errors, limits
from protocol.errors import ErrorCode

_DIGITS: Final = re.compile(rb"[0-9]{1,20}\Z")
_HEADER_OVERHEAD_BYTES: Final = 4  # `: ` and the line's end


class _Malformed(Exception):
    """Raised inside a parser callback, which makes the parser give up."""


class EdgeProtocol(HttpToolsProtocol):
    """One client connection."""

    def __init__(self, config: uvicorn.Config, state: ServerState, door: Door) -> None:
        super().__init__(config, state, {})
        self.access_log = False
        self._door = door
        self._peer = ""
        self._refusal = errors.BAD_REQUEST
        self._running: RequestResponseCycle | None = None
        self._idle_since = self.loop.time()
        self._message_since: float | None = None
        self._stalled_since: float | None = None
        self._lingering_since: float | None = None
        self._in_head = False
        self._message_bytes = 0

    # --- connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, GatheredWrites(transport, self.loop))
        self._peer = self.client[0] if self.client else ""
        if not self._door.enter(self._peer):
            self._refuse(errors.BUSY)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._door.leave(self._peer)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self._lingering_since is not None:
            return
        for start in range(0, len(data), limits.MAX_HTTP_HEAD_BYTES):  # nearly always one slice
            piece = data[start : start + limits.MAX_HTTP_HEAD_BYTES]
            self._message_bytes += len(piece)
            super().data_received(piece)
            if self._message_since is not None:
                cap = limits.MAX_HTTP_HEAD_BYTES if self._in_head else limits.MAX_HTTP_MESSAGE_BYTES
                if self._message_bytes > cap:
                    self._refuse(errors.REQUEST_TOO_LARGE)
            if self.transport.is_closing() or self._lingering_since is not None:
                return

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has no more to say and may still listen: it gets its answers before the connection ends."""
        if self._message_since is not None:
            self._refuse(errors.BAD_REQUEST)  # a request that will never be whole
        if self._lingering_since is None and self._is_answering() and self.transport.can_write_eof():
            self.cycle.keep_alive = False  # the last request's; those before it are answered first
            return True
        self.transport.close()  # ours, which sends what was written in this turn; asyncio would close the one below
        return False

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's text; ours is the table's
        """uvicorn's answer to whatever its parser refused."""
        self._refuse(self._refusal)

    # --- parser callbacks ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._message_since = self.loop.time()
        self._in_head = True
        self._message_bytes = 0  # the piece in which a message begins does not count: it may hold others too

    def on_headers_complete(self) -> None:
        """As uvicorn's, with what it lacks, and without what we do not use: upgrades and its cap on connections."""
        size = len(self.url) + sum([len(name) + len(value) + _HEADER_OVERHEAD_BYTES for name, value in self.headers])
        if size > limits.MAX_HTTP_HEAD_BYTES or len(self.headers) > limits.MAX_HTTP_HEADERS:
            self._give_up(errors.REQUEST_TOO_LARGE)
        if not self._is_wellformed():
            self._give_up(errors.BAD_REQUEST)
        self._in_head = False
        self._set_target()
        before = self.cycle
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # a pipelined request waits for its turn
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._message_since = None

    def _set_target(self) -> None:
        url = parse_url(self.url)
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["raw_path"] = url.path
        self.scope["path"] = url.path.decode("ascii")  # as it came: nothing here means anything else by an escape
        self.scope["query_string"] = url.query or b""

    def _is_wellformed(self) -> bool:
        """What llhttp leaves open. Two lengths, or two ways to say one, are how requests are smuggled."""
        hosts = framings = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                framings += 1 if _DIGITS.match(value) else 2
            elif name == b"transfer-encoding":
                framings += 1 if value.lower() == b"chunked" and self.parser.get_http_version() == "1.1" else 2
            elif name == b"upgrade":
                return False
        return self.url.startswith(b"/") and hosts == 1 and framings <= 1

    # --- requests under way ---

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """As uvicorn's, without its timer: `check_deadlines` ends idle connections."""
        self._idle_since = self.loop.time()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def check_deadlines(self, now: float, deadlines: Deadlines) -> None:
        """Called for every connection about once a second."""
        if self._lingering_since is not None:
            if now - self._lingering_since > deadlines.linger_s:
                self.transport.abort()
            return
        if self.transport.is_closing() or self.transport.get_write_buffer_size() > 0:
            self._stalled_since = now if self._stalled_since is None else self._stalled_since
            if now - self._stalled_since > deadlines.write_s:
                self.transport.abort()
            return
        self._stalled_since = None
        if self._message_since is not None:
            if now - self._message_since > (deadlines.head_s if self._in_head else deadlines.message_s):
                self._refuse(errors.DEADLINE_EXCEEDED)
        elif not self._is_answering() and now - self._idle_since > deadlines.idle_s:
            self.transport.close()

    # --- refusals ---

    def _give_up(self, error: ErrorCode) -> None:
        self._refusal = error
        raise _Malformed

    def _is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _refuse(self, error: ErrorCode) -> None:
        """Answers what arrived last with `error`, and closes.

        An earlier request that is still being answered gets its answer first; then the connection ends without another
        word, because an answer out of turn would be taken for a different request's.
        """
        if self.transport.is_closing() or self._lingering_since is not None:
            return
        self._door.refused()
        in_body = self._message_since is not None and not self._in_head
        self._message_since = None
        running = self._running
        if running is not None and not running.response_complete and not (in_body and running is self.cycle):
            self.pipeline.clear()
            running.keep_alive = False
            self.flow.pause_reading()
        elif in_body and self.cycle.response_started:
            self.transport.close()  # what was to be said about this request has been said
        else:
            self._end_with(error)

    def cut_off(self) -> None:
        """The server stops and waits no longer."""
        if self._running is not None and not self._running.response_started and not self.transport.is_closing():
            self._end_with(errors.NOT_SERVING)
        else:
            self.transport.abort()

    def _end_with(self, error: ErrorCode) -> None:
        """Answers with `error` and closes without a reset, which could overtake the answer: the client is listened to
        for a moment longer (RFC 9112 section 9.6)."""
        if self._is_answering() and self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        self.transport.write(self._refusal_bytes(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._lingering_since = self.loop.time()
        else:
            self.transport.close()

    def _refusal_bytes(self, error: ErrorCode) -> bytes:
        reply = error_reply(error)
        origin = next((value for name, value in self.headers or [] if name == b"origin"), None)
        headers = [
            *self.server_state.default_headers,
            *reply.headers,
            *cors.response_headers(origin),
            (b"traceid", choose_trace_id(None).encode("ascii")),
            (b"content-length", b"%d" % len(reply.body)),
            (b"connection", b"close"),
        ]
        return head(reply.status, headers) + reply.body
