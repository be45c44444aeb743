"""Structured logs: a closed list of events, each with its closed list of fields (LP-01, LP-02).

Trust side: host. What is not on the list cannot be logged: no bodies, no headers, no texts of exceptions. Client
addresses appear only as pseudonyms that change with the process and every day (LP-05).
"""

import hmac
import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from protocol import limits

_DAY_S: Final = 86_400
_PSEUDONYM_HEX: Final = 16

# Each event with its level and the fields it may have.
EVENTS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "host.started": ("info", frozenset({"port", "metrics_port", "workers"})),
    "host.stopping": ("info", frozenset()),
    "host.stopped": ("info", frozenset({"cut_off"})),
    "http.failed": ("warning", frozenset({"route", "status", "code", "trace", "client", "duration_ms"})),
    "link.connected": ("info", frozenset({"worker"})),
    "link.lost": ("warning", frozenset({"worker", "code"})),
    "enclave.started": ("info", frozenset()),
    "enclave.ended": ("error", frozenset({"code", "retry_s"})),
    "egress.closed": ("info", frozenset({"destination", "sent_bytes", "received_bytes", "duration_ms", "code"})),
    "egress.refused": ("warning", frozenset({"destination", "code"})),
    "services.closed": ("warning", frozenset({"code"})),
    "store.fault": ("error", frozenset({"code"})),
    "guard.fault": ("warning", frozenset({"code"})),
    "relay.fault": ("warning", frozenset({"code"})),
    "credentials.fault": ("error", frozenset({"holder", "code"})),
    "fault": ("critical", frozenset({"where", "kind", "line"})),
    "log.refused": ("error", frozenset({"refused"})),
}


class UnknownLogField(Exception):
    """An event or field that is not on the list; raised only by a strict log."""


class Log:
    """Writes one JSON object a line to `stream`.

    `strict` (tests) raises `UnknownLogField`; otherwise the offending part is left out and `log.refused` says so.
    """

    def __init__(self, stream: TextIO | None = None, *, strict: bool = False) -> None:
        self._strict = strict
        self._logger: Any = structlog.wrap_logger(
            structlog.PrintLogger(stream or sys.stderr),
            processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=True,
        )

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Logs one event of the list."""
        level, allowed = EVENTS.get(name, ("", frozenset()))
        unknown = fields.keys() - allowed
        if not level or unknown:
            if self._strict:
                raise UnknownLogField(name, *sorted(unknown))
            self.event("log.refused", refused=name)
            if not level:
                return
        self._logger.msg(name, level=level, **{k: _bounded(fields[k]) for k in fields if k in allowed})

    def fault(self, where: str, error: BaseException) -> None:
        """An exception nobody expected: its class and the last line of code, never its text (DO-07)."""
        self.event("fault", where=where, kind=type(error).__name__, line=_last_line(error.__traceback__))


class Pseudonyms:
    """Client addresses under a keyed hash; the key is random and lives for a day at most (LP-05)."""

    def __init__(self) -> None:
        self._renew()

    def of(self, client: str) -> str:
        """16 hexadecimal digits, the same for the same client until the key changes."""
        if time.monotonic() - self._made_at > _DAY_S:
            self._renew()
        return hmac.digest(self._key, client.encode("utf-8", "surrogatepass"), "sha256").hex()[:_PSEUDONYM_HEX]

    def _renew(self) -> None:
        self._key = os.urandom(32)
        self._made_at = time.monotonic()


def _bounded(value: str | float | bool | None) -> str | float | bool | None:
    return value[: limits.MAX_LOG_FIELD_CHARS] if isinstance(value, str) else value


def _last_line(traceback: TracebackType | None) -> str:
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f"{os.path.basename(code.co_filename)}:{traceback.tb_lineno}:{code.co_name}"
