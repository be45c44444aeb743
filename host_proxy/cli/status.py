"""`chancery status`: what a running host proxy says about itself and its enclave, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from host_proxy.cli.exit_codes import ExitCode, leave
from protocol import limits

if TYPE_CHECKING:
    from rich.table import Table

    from host_proxy.health import Report

_DEADLINE_S: Final = 10.0
_DESCRIBED: Final = ("pcr0", "startTime", "uptime", "ver")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("status")(status)


def status(
    url: Annotated[str, typer.Option("--url", help="The host proxy's address.")] = "http://127.0.0.1:8080",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show whether the enclave serves, and how many more share holders may fail.

    Reads /health and /status of a running host proxy. These are the host's words, not proof: to check who is at the
    other end, verify an attestation document. Exits with 5 when the enclave does not serve, 4 when nobody answers.
    """
    import msgspec
    from rich.console import Console

    from host_proxy.health import Report

    health, enclave = _get(url, "/health"), _get(url, "/status")
    try:
        report = msgspec.json.decode(health, type=Report)
        described = msgspec.json.decode(enclave, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        leave(ExitCode.UNREACHABLE, f"{url} does not answer like a host proxy")
    if as_json:
        typer.echo(json.dumps({"health": msgspec.to_builtins(report), "status": described}))
    else:
        Console().print(_table(report, described))
    if not report.serving:
        raise typer.Exit(ExitCode.UNHEALTHY)


def _get(url: str, path: str) -> bytes:
    """The body of one answer, whatever its status."""
    import httpx

    body = b""
    try:
        with httpx.stream("GET", url.rstrip("/") + path, timeout=_DEADLINE_S, trust_env=False) as answer:
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > limits.MAX_BODY_BYTES:
                    leave(ExitCode.UNREACHABLE, f"{url} answers with too much")
    except (httpx.HTTPError, httpx.InvalidURL):
        leave(ExitCode.UNREACHABLE, f"nobody answers at {url}")
    return body


def _table(report: Report, described: dict[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    rows = [("status", report.status), ("phase", f"{report.phase} {report.reason}".strip())]
    if report.holders is not None:
        holders = report.holders
        rows.append(("holders", f"{holders.available} answer, {holders.threshold} needed"))
        rows.append(("may still fail", str(holders.may_fail)))
        rows += [("failing", f"{name}: {code}") for name, code in holders.failing.items()]
    rows += [
        ("clock", report.clock),
        ("store", report.store),
        ("workers", f"{report.workers_connected} of {report.workers} connected"),
        ("supervision", report.enclave),
        *((name, str(described[name])) for name in _DESCRIBED if name in described),
    ]
    table = Table(show_header=False, box=None)
    for name, value in rows:
        table.add_row(name, Text(_printable(value)))
    return table


def _printable(text: str) -> str:
    """What the host sent, without anything that could steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
