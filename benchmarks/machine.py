"""What the machine says of itself: processor time of processes, who else is busy, how long a flush to disk takes."""

import os
import statistics
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, in all its threads."""
    user, system = _stat(pid)[11:13]
    return (int(user) + int(system)) / _TICKS_PER_S


def family_cpu_s(pid: int) -> float:
    """`cpu_s` of a process and of its children that live."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(cpu_s, (pid, *map(int, children))))


def started_at(pid: int) -> float:
    """When a process was started, on the clock of `now`; exact to one tick (10 ms)."""
    return int(_stat(pid)[19]) / _TICKS_PER_S


def resident_mib(pid: int) -> float:
    """Memory that a process holds in RAM, shared pages included."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def now() -> float:
    """Seconds since the machine booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def busy_s() -> float:
    """Processor time that everything on the machine has used since it booted."""
    fields = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / _TICKS_PER_S


def flush_us(folder: Path, times: int = 100) -> float:
    """The median time to append a small record to a file in `folder` and flush it to disk."""
    path = folder / "flush"
    durations = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(bytes(256))
            os.fdatasync(file.fileno())
            durations.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(durations) * 1e6


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
