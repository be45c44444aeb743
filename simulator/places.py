"""Where each enclave of an appliance lives: its configuration, its holders, its folders, its host's addresses."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_proxy.config import GuardConfig, HostPort, parse_listen
from host_proxy.relay.config import RelayConfig
from simulator import guard_settings
from simulator.settings import HolderSeat
from simulator.stand_ins import StandIns


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """A guard beside the instrument, with a host of its own. `changes` replace members of its configuration."""

    listen: str = "127.0.0.1:0"
    metrics_listen: str = "127.0.0.1:0"
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """One enclave and its host. `listen`: the API and the metrics."""

    config: bytes
    seats: Sequence[HolderSeat]
    scratch: Path
    store: Path
    listen: tuple[str, str]
    reviewed: str | None = None
    """The deployment whose reviewers' page the host serves."""
    relays: tuple[RelayConfig, ...] = ()
    guards: tuple[GuardConfig, ...] = ()


def guard_place(
    state: Path, scratch: Path, options: GuardOptions, stand_ins: StandIns, changes: Mapping[str, Any]
) -> Place:
    """The guard's. `changes` are those of the way in which its enclave runs."""
    listen = parse_listen(options.listen)
    port = listen.port or _free_port(listen.host)  # its rules name the page's origin, and are measured
    config = guard_settings.measured_config(
        state,
        stand_ins.key_arns(guard_settings.HOLDERS),
        stand_ins.authority.certificate_pem,
        page_origin=f"http://{guard_settings.SITE}:{port}",
        changes={**changes, **options.changes},
    )
    return Place(
        config=config,
        seats=guard_settings.HOLDERS,
        scratch=scratch,
        store=state / guard_settings.FOLDER / "store.sqlite",
        listen=(str(HostPort(listen.host, port)), options.metrics_listen),
        reviewed=guard_settings.DEPLOYMENT,
    )


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
