"""The simulated enclave's process: locks itself in, then composes what a Nitro image composes.

Trust side: inside the simulated enclave, measured as part of the init ramdisk. It differs from `enclave.__main__` in
where the module, the parent and the host's connections are reached, and in nothing else.

    python -m simulator.guest IMAGE SOCKETS

IMAGE is the staged image (readable), SOCKETS the one folder that both sides see (writable): the host connects to
`SOCKETS/enclave`, its services listen on `SOCKETS/enclave_<port>`, the security module on `SOCKETS/nsm`.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from simulator import jail

VSOCK: Final = "enclave"
NSM: Final = "nsm"

_SYSFS: Final = Path(__file__).with_name("sysfs")
"""What the kernel of a Nitro guest says of its clock and generator, so that configuration stays that of production."""


def main(image: Path, sockets: Path) -> int:
    """Serve until terminated; 1 when the jail or the boot refuses."""
    try:
        report = jail.lock_in([image], [sockets])
    except jail.JailError as error:
        print(f"simulator: the enclave cannot be confined: {error}", file=sys.stderr, flush=True)
        return 1
    print(f"simulator: {report}", file=sys.stderr, flush=True)
    return _boot(image, sockets)


def _boot(image: Path, sockets: Path) -> int:
    # Imported inside the walls: from here on it is the enclave's own code that runs.
    from enclave import log
    from enclave.compose import Hardware
    from enclave.config import parse_config
    from enclave.errors import BootError, NsmError
    from enclave.hardening import harden_process
    from enclave.polling import polling_loop
    from enclave.serve import serve
    from enclave.system import KernelEntropy, SystemClock
    from enclave.workers import fork_workers
    from protocol.addresses import INGRESS_PORT
    from simulator import vsock
    from simulator.nsm_socket import NsmSocket

    async def listen(factory: Callable[[], asyncio.Protocol]) -> None:
        if worker.number:
            vsock.serve_passed(passing[worker.number][1], factory)
        else:
            others = {INGRESS_PORT + number: pair[0] for number, pair in passing.items()}
            await vsock.serve(sockets / VSOCK, {INGRESS_PORT: factory}, others)

    try:
        harden_process()
        config = parse_config((image / "app" / "config.json").read_bytes())
        passing = {number: socket.socketpair() for number in range(1, config.workers)}
        entropy = KernelEntropy(_SYSFS)
        worker = fork_workers(config.workers, config.limits.seen_records, entropy.random)
        nsm = NsmSocket(sockets / NSM)
        hardware = Hardware(nsm, vsock.dial(sockets / VSOCK), SystemClock(_SYSFS), entropy)
        with asyncio.Runner(loop_factory=polling_loop) as runner:
            runner.run(serve(config, hardware, listen, vsock.peer_is_parent, worker))
    except (BootError, NsmError) as error:
        log.event("halted", code=error.code, detail=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
