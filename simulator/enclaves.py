"""The two ways in which an enclave runs on this machine: as a walled-in process, or booted in the emulator.

Everything around it is the same: host proxy, holders, identity provider, mail.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol

from attestation import pcr
from eif.build import BuildInputs, build_image
from eif.emulator.build import build_emulator
from eif.emulator.machine import Machine, MachineOptions
from eif.errors import EifError
from eif.measurements import measure_path
from host_proxy.errors import LaunchError
from host_proxy.supervisor import Launcher
from simulator import image
from simulator.launcher import SimulatorLauncher
from simulator.pki import NitroPki

SOURCE_ROOT: Final = Path(__file__).resolve().parents[1]
IMAGE_FILE: Final = "chancery.eif"

OnLine = Callable[[str], None]


class MeasuredImage(Protocol):
    """An image on disk, and what it measures."""

    @property
    def path(self) -> Path: ...

    @property
    def pcrs(self) -> Mapping[int, bytes]: ...


class LocalLauncher(Launcher, Protocol):
    """A launcher that says where the enclave is reached."""

    @property
    def address(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    def close(self) -> None:
        """Remove what it left on disk; nothing runs any more."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image, and what starts it."""

    image: MeasuredImage
    launcher: LocalLauncher


class Enclaves(ABC):
    """A way to run an enclave."""

    emulated: ClassVar[bool]
    """Whether its documents are those of the emulator."""
    changes: ClassVar[Mapping[str, Any]]
    """To the measured configuration."""
    boot_deadline_s: ClassVar[float]

    @abstractmethod
    async def prepare(self, config: bytes, scratch: Path, pki: NitroPki, on_line: OnLine) -> Prepared:
        """Make and measure an image with `config` below `scratch`; `on_line` gets what the enclave prints."""


@dataclass(frozen=True)
class WalledIn(Enclaves):
    """A process behind walls, with a security module in software."""

    emulated = False
    changes = MappingProxyType({})
    boot_deadline_s = 30.0

    source_root: Path = SOURCE_ROOT
    debug: bool = False

    async def prepare(self, config: bytes, scratch: Path, pki: NitroPki, on_line: OnLine) -> Prepared:
        """Stage the checkout; one process for each start."""
        staged = await asyncio.to_thread(image.stage, self.source_root, config, scratch / "image")
        sockets = scratch / "sockets"
        sockets.mkdir(mode=0o700)
        return Prepared(staged, SimulatorLauncher(staged, pki, sockets, on_line=on_line, debug=self.debug))


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An enclave image file."""

    path: Path
    pcrs: Mapping[int, bytes]


@dataclass(frozen=True)
class Emulated(Enclaves):
    """The real image in QEMU. `say` gets the progress of building."""

    emulated = True
    # An emulated processor has no clock of KVM. On a busy machine its time stamp counter cannot be calibrated, and its
    # timers fall behind by seconds.
    changes = MappingProxyType(
        {"clock_sources": ["kvm-clock", "tsc", "refined-jiffies"], "limits": {"clock_skew_ms": 60_000}}
    )
    boot_deadline_s = 90.0

    source_root: Path = SOURCE_ROOT
    options: MachineOptions = field(default_factory=MachineOptions)
    say: OnLine = lambda _: None

    async def prepare(self, config: bytes, scratch: Path, pki: NitroPki, on_line: OnLine) -> Prepared:  # noqa: ARG002
        """Build the image, and measure the file; one machine for each start."""
        path = scratch / IMAGE_FILE
        await asyncio.to_thread(build_image, BuildInputs(config, source=self.source_root), path, self.say)
        registers = await asyncio.to_thread(measure_path, path)
        parent = {3: pcr.of_role(self.options.parent_role), 4: pcr.of_instance(self.options.parent_id)}
        emulator = await asyncio.to_thread(build_emulator, self.say)
        machine = Machine(emulator, path, self.options, on_line=on_line)
        return Prepared(BuiltImage(path, MappingProxyType(registers | parent)), EmulatedLauncher(machine))


class EmulatedLauncher:
    """Implements `host_proxy.supervisor.Launcher` over the emulator's machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def address(self) -> str:
        """Where the host reaches the first worker."""
        return self._machine.address

    @property
    def pid(self) -> int | None:
        """QEMU's process, once started."""
        return self._machine.qemu_pid

    async def start(self) -> None:
        """Boot the image."""
        try:
            await self._machine.start()
        except EifError as error:
            raise LaunchError(f"launch-{error.code}") from None

    async def wait(self) -> str:
        """Returns when the machine has ended."""
        return await self._machine.wait()

    async def stop(self) -> None:
        """End the machine."""
        await self._machine.stop()

    def close(self) -> None:
        """Remove the machine's folder."""
        self._machine.close()
