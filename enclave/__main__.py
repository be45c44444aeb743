"""The enclave's process in a Nitro image. Composes real adapters only; takes no argument, reads no environment."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from enclave import log, vsock
from enclave.compose import Hardware
from enclave.config import parse_config
from enclave.errors import BootError, NsmError
from enclave.hardening import harden_process
from enclave.nsm.device import NsmDevice
from enclave.polling import polling_loop
from enclave.serve import serve
from enclave.system import KernelEntropy, SystemClock, parent_cid
from enclave.workers import Worker, fork_workers
from protocol.addresses import INGRESS_PORT

CONFIG_PATH: Final = Path("/etc/chancery/config.json")
"""Inside the image, and so part of its measurement."""


async def _listen(worker: Worker, factory: Callable[[], asyncio.Protocol]) -> None:
    await asyncio.get_running_loop().create_server(factory, sock=vsock.listen(INGRESS_PORT + worker.number))


def main() -> int:
    """Serve until the enclave is terminated; 1 when it refuses to boot."""
    try:
        harden_process()
        config = parse_config(CONFIG_PATH.read_bytes())
        parent, entropy = vsock.Parent(parent_cid()), KernelEntropy()
        worker = fork_workers(config.workers, config.limits.seen_records, entropy.random)
        hardware = Hardware(NsmDevice(), parent.dial, SystemClock(), entropy)
        with asyncio.Runner(loop_factory=polling_loop) as runner:
            runner.run(serve(config, hardware, partial(_listen, worker), parent.is_peer, worker))
    except (BootError, NsmError) as error:
        log.event("halted", code=error.code, detail=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
