"""`chancery run`: the host proxy in the foreground until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.errors import ConfigError, HostError

if TYPE_CHECKING:
    from host_proxy.app import Host
    from host_proxy.config import HostConfig

_ASK_AGAIN_S: Final = 1.0


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("run")(run)


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="TOML or JSON file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Say what happens as JSON lines.")] = False,
) -> None:
    """Run the host proxy: HTTP in front, the enclave behind, store and egress beside it.

    Starts the enclave if the configuration says how, says "ready" once it serves, and logs JSON lines to standard
    error. The first SIGTERM or Ctrl-C lets requests finish; a second one does not wait.
    """
    import uvloop  # these two here, so that help comes fast

    from host_proxy.config import load_config

    try:
        uvloop.run(_run(load_config(config), as_json=as_json))
    except ConfigError as error:
        leave(ExitCode.CONFIGURATION, str(error))
    except HostError as error:
        leave(ExitCode.FAILED, str(error))
    except asyncio.CancelledError:
        leave(ExitCode.FAILED, "stopped without waiting")


async def _run(config: HostConfig, *, as_json: bool) -> None:
    from host_proxy.app import compose, metrics_for, production_ports
    from host_proxy.logging import Log
    from protocol import collector

    metrics = metrics_for(config)
    host = compose(config, production_ports(config, metrics), log=Log(), metrics=metrics)
    stopping = _stop_on_signals()
    await host.start()
    collector.settle()
    _say("listening", as_json=as_json, port=host.port, metrics_port=host.metrics_port)
    announcing = asyncio.create_task(_announce(host, as_json=as_json))
    await stopping.wait()
    _say("stopping", as_json=as_json)
    announcing.cancel()
    await host.stop()
    _say("stopped", as_json=as_json)


def _stop_on_signals() -> asyncio.Event:
    """Set by the first signal; the second cancels what still runs."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    main = asyncio.current_task()

    def received() -> None:
        if stopping.is_set() and main is not None:
            main.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)
    return stopping


async def _announce(host: Host, *, as_json: bool) -> None:
    """Says what the enclave is doing, each time that changes."""
    said = ""
    while True:
        report = await host.health()
        state = "ready" if report.serving else "waiting"
        if f"{state} {report.phase}" != said:
            said = f"{state} {report.phase}"
            _say(state, as_json=as_json, phase=report.phase, enclave=report.enclave)
        await asyncio.sleep(_ASK_AGAIN_S)


def _say(event: str, *, as_json: bool, **fields: str | int) -> None:
    if as_json:
        typer.echo(json.dumps({"event": event, **fields}))
    else:
        typer.echo("  ".join([event, *(f"{name}={value}" for name, value in fields.items())]))
