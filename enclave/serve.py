"""From composed ports to a serving enclave; the last step that production and simulator share."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from enclave.app import Enclave, build
from enclave.compose import Hardware, compose
from enclave.config import Config
from enclave.server import FrameServer
from enclave.workers import ALONE, Worker
from protocol import collector

Listen = Callable[[Callable[[], asyncio.Protocol]], Awaitable[None]]


async def serve(
    config: Config,
    hardware: Hardware,
    listen: Listen,
    accepts: Callable[[socket.socket], bool],
    worker: Worker = ALONE,
) -> None:
    """Listen, boot and run until cancelled; a halted enclave goes on answering status and health.

    `listen` serves the protocols that it is given a factory of; `accepts` knows the parent's connections (VS-01).
    """
    enclave = build(compose(config, hardware), config, worker)
    server = FrameServer(enclave.answer, accepts)
    await listen(server.connection)
    settling = asyncio.create_task(_settle(enclave))
    await enclave.run()
    await settling


async def _settle(enclave: Enclave) -> None:
    await enclave.loaded()
    collector.settle()
