"""The kernel's clock and random generator: the real adapters of ports `Clock` and `Entropy`.

Trust side: enclave. Nothing here asks the host: time is the guest's kernel clock, which `boot` compares with the NSM
(TI-01 to TI-04), and randomness is the guest kernel's generator (MS-06).
"""

import os
import time
from pathlib import Path
from typing import Final

from enclave.errors import BootError
from protocol import limits
from protocol.addresses import MAX_CID, PARENT_CID

_CMDLINE: Final = Path("/proc/cmdline")
_PARENT_OPTION: Final = "chancery.parent_cid="
_CLOCK_SOURCE: Final = "devices/system/clocksource/clocksource0/current_clocksource"
_RANDOM_SOURCE: Final = "class/misc/hw_random/rng_current"


def _attribute(path: Path, code: str) -> str:
    """One line of sysfs without its newline; `BootError(code)` when there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.MAX_SYSFS_BYTES + 1)
        if len(data) <= limits.MAX_SYSFS_BYTES:
            return data.decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        pass
    raise BootError(code, str(path))


def parent_cid(cmdline: Path = _CMDLINE) -> int:
    """The parent's CID: 3, unless the kernel's command line, which is measured, says otherwise; `BootError("cmdline")`.

    On Nitro nobody can add to the measured line; QEMU can, and there the parent is CID 2. init reads the same option.
    """
    try:
        with cmdline.open("rb") as file:
            data = file.read(limits.MAX_CMDLINE_BYTES + 1)
        words = data.decode("ascii").split()
    except (OSError, UnicodeDecodeError):
        raise BootError("cmdline") from None
    if len(data) > limits.MAX_CMDLINE_BYTES:
        raise BootError("cmdline", "too long")
    cid = PARENT_CID
    for value in (word.removeprefix(_PARENT_OPTION) for word in words if word.startswith(_PARENT_OPTION)):
        if not (value.isdecimal() and len(value) <= 10 and 2 <= int(value) <= MAX_CID):
            raise BootError("cmdline", "chancery.parent_cid")
        cid = int(value)
    return cid


class SystemClock:
    """Port `Clock` over the kernel's clocks."""

    def __init__(self, sysfs: Path = Path("/sys")) -> None:
        self._sysfs = sysfs

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch by the guest's real-time clock."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds since boot; never steps back."""
        return time.monotonic_ns() // 1_000_000

    def source(self) -> str:
        """The kernel's current clock source, `kvm-clock` on Nitro (TI-02); `BootError("clock-source")`."""
        return _attribute(self._sysfs / _CLOCK_SOURCE, "clock-source")


class KernelEntropy:
    """Port `Entropy` over getrandom(2) and the kernel's pool."""

    def __init__(self, sysfs: Path = Path("/sys"), pool: Path = Path("/dev/random")) -> None:
        self._sysfs = sysfs
        self._pool = pool

    def random(self, size: int) -> bytes:
        """`size` bytes of getrandom(2), which waits until the pool has been seeded."""
        return os.urandom(size)

    def mix(self, data: bytes) -> None:
        """Stir `data` into the pool, uncredited, so bad data does no harm; `BootError("entropy-mix")`."""
        try:
            with self._pool.open("wb", buffering=0) as pool:
                view = memoryview(data)
                while view:
                    view = view[pool.write(view) :]
        except OSError:
            raise BootError("entropy-mix", str(self._pool)) from None

    def hardware_source(self) -> str:
        """The current hardware generator, `nsm-hwrng` on Nitro (MS-06); `BootError("entropy-source")`."""
        return _attribute(self._sysfs / _RANDOM_SOURCE, "entropy-source")
