"""The real image in software emulation: its size, and the time from power-on to serving, in the least memory.

    python -m benchmarks.bench_boot

Needs kernel and emulator in the cache; `make boot` puts them there. Every instruction is emulated, on two cores.
"""

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from benchmarks import machine
from benchmarks.report import Figure
from eif.emulator import build as emulator
from eif.emulator.machine import MachineOptions
from eif.kernel import build as kernel
from host_proxy.logging import Log
from simulator.appliance import Options, running
from simulator.enclaves import Emulated

_MEMORY_MIB = 256
_MOST_MIB = 40
_MOST_S = 12


async def measure() -> list[Figure]:
    """The first boot founds the deployment, the second opens it."""
    with tempfile.TemporaryDirectory(prefix="chancery-bench-boot-") as folder:
        first_s, size = await _power_on_to_serving(Path(folder))
        later_s, _ = await _power_on_to_serving(Path(folder))
    return [
        Figure("image", size / 2**20, "MiB", at_most=_MOST_MIB),
        Figure("memory of the guest", _MEMORY_MIB, "MiB"),
        Figure("power-on to serving, first boot", first_s, "s", at_most=_MOST_S),
        Figure("power-on to serving, later boot", later_s, "s", at_most=_MOST_S),
    ]


async def _power_on_to_serving(state: Path) -> tuple[float, int]:
    """Seconds from the start of QEMU's process, and the size of the image in bytes."""
    served: list[float] = []

    def on_line(line: str) -> None:
        if '"serving"' in line:
            served.append(machine.now())

    enclaves = Emulated(options=MachineOptions(memory_mib=_MEMORY_MIB, accelerator="tcg"))
    options = Options(listen="127.0.0.1:0", log=Log(io.StringIO()), enclaves=enclaves, on_line=on_line)
    async with running(state, options) as appliance:
        await appliance.wait_until()
        pid = appliance.launcher.pid
        if pid is None:
            raise RuntimeError("the machine has ended")
        return served[0] - machine.started_at(pid), appliance.image.path.stat().st_size


def main() -> int:
    """Print the figures; 1 when a target is missed."""
    if not (emulator.is_built() and kernel.is_built()):
        print("kernel or emulator is not in the cache; run: make boot", file=sys.stderr)
        return 1
    figures = asyncio.run(measure())
    for figure in figures:
        verdict = "" if figure.holds is None else f"  ({figure.target})  {'ok' if figure.holds else 'MISSED'}"
        print(f"{figure.name:<34} {figure.value:8.1f} {figure.unit}{verdict}")
    return 0 if all(figure.holds is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
