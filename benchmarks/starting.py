"""How long it takes to start: the enclave from process start to serving, and the command line to its help."""

import contextlib
import io
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from host_proxy.config import Rates
from host_proxy.logging import Log
from protocol import collector
from simulator.appliance import Appliance, Options, running

_UNLIMITED = Rates(client_per_s=1e9, client_burst=1e9, auth_key_per_s=1e9, auth_key_burst=1e9)
_LIMITS = {"signatures_per_minute": 1_000_000}
_HELP = [sys.executable, "-c", "from host_proxy.cli import main; main()", "--help"]


@dataclass(slots=True)
class Started:
    """A serving appliance."""

    appliance: Appliance
    enclave_pid: int
    start_s: float
    """From the start of the enclave's process until it served."""
    log: io.StringIO

    @property
    def kms_calls(self) -> int:
        """Connections to KMS that have ended so far."""
        return sum('"kms.' in line and "egress.closed" in line for line in self.log.getvalue().splitlines())


@contextlib.asynccontextmanager
async def serving(state: Path, workers: int = 1) -> AsyncIterator[Started]:
    """The whole appliance, with rates raised through its configuration, once it serves."""
    served: list[float] = []

    def on_line(line: str) -> None:
        if '"serving"' in line:
            served.append(machine.now())

    log = io.StringIO()
    changes = {"limits": _LIMITS, "workers": workers}
    options = Options(listen="127.0.0.1:0", rates=_UNLIMITED, log=Log(log), on_line=on_line, changes=changes)
    async with running(state, options) as appliance:
        await appliance.wait_until()
        collector.settle()  # as `chancery run` does
        pid = appliance.launcher.pid
        assert pid is not None
        yield Started(appliance, pid, served[0] - machine.started_at(pid), log)


def help_s(times: int) -> float:
    """The median time of `chancery --help`."""
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(_HELP, stdout=subprocess.DEVNULL, check=True)
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)
