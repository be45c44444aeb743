"""Boots an image in QEMU's nitro-enclave machine, and gives the parent's side of its vsock as unix sockets.

The host connects to `address` (`unix:…:5000`); what the guest starts arrives on sockets beside it (design section 9).
What is appended to the command line changes no register. QEMU's documents are unsigned (nitro-platform.md 4.3), so
nothing that ships accepts them.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eif.emulator.build import Emulator
from eif.errors import EifError
from protocol.addresses import HEARTBEAT_PORT, INGRESS_PORT

HEARTBEAT: Final = b"\xb7"
MODULE_ID: Final = "i-0000000000000000a-enc0000000000000001"
PARENT_ROLE: Final = "arn:aws:iam::000000000000:role/chancery-emulator"
APPENDED_CMDLINE: Final = "reboot=t tsc=reliable init_on_alloc=0 init_on_free=0 chancery.parent_cid=2"
"""A triple fault ends QEMU; the time stamp counter is not doubted when the machine is busy; memory is not cleared a
second time, which emulation does byte by byte; the parent is CID 2."""

_PROCESSOR: Final = "max,-erms,-fsrm"  # string instructions are emulated byte by byte; kernels then use others
_GUEST_CID: Final = 4
_SOCKET: Final = "vsock"
_DEVICE_SOCKET: Final = "device"
_KVM: Final = Path("/dev/kvm")
_KVM_PATIENCE_S: Final = 8.0
"""With hardware virtualisation init speaks within a second or two; where it is broken, it never does."""
_GRACE_S: Final = 3.0
_POLL_S: Final = 0.02
_SOCKET_PATIENCE_S: Final = 5.0
_LONGEST_LINE: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class MachineOptions:
    """`memory_mib` and `cpus` of the guest; `accelerator`: `kvm`, `tcg`, or `auto`, which tries the first."""

    memory_mib: int = 512
    cpus: int = 2
    accelerator: str = "auto"
    module_id: str = MODULE_ID
    parent_role: str = PARENT_ROLE

    @property
    def parent_id(self) -> str:
        """The parent instance's id, from which PCR4 is made."""
        return self.module_id.partition("-enc")[0]


class Machine:
    """One machine for one image; each `start` is a new boot. A context manager that leaves nothing behind."""

    def __init__(
        self,
        emulator: Emulator,
        image: Path,
        options: MachineOptions | None = None,
        *,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_line` gets each line of the console."""
        self._emulator = emulator
        self._image = image
        self._options = options or MachineOptions()
        self._on_line = on_line
        # Paths of unix sockets are short; the caller's folders may not be.
        self._folder = Path(tempfile.mkdtemp(prefix="chancery-vm-"))
        self._processes: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[None]] = []
        self._heartbeats: asyncio.Server | None = None
        self._alive = asyncio.Event()

    async def __aenter__(self) -> "Machine":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self.close()

    def close(self) -> None:
        """Remove the sockets; the machine must have ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """Where the host reaches the first worker."""
        return f"unix:{self._folder / _SOCKET}:{INGRESS_PORT}"

    @property
    def qemu_pid(self) -> int | None:
        """QEMU's process, once started."""
        return self._processes[-1].pid if self._processes else None

    async def start(self) -> None:
        """Boot; returns when init has sent its heartbeat, or at once if there is nothing to try after it.

        `EifError("emulator-failed")` when a program does not start.
        """
        wanted = self._options.accelerator
        if wanted == "auto" and os.access(_KVM, os.R_OK | os.W_OK):
            await self._start("kvm")
            if await self._is_alive_within(_KVM_PATIENCE_S):
                return
            self._on_line("emulator: hardware virtualisation does not work here; emulating the processor instead")
        await self._start("tcg" if wanted == "auto" else wanted)

    async def _is_alive_within(self, patience_s: float) -> bool:
        """Whether init speaks before the machine ends and the time is over."""
        events = [asyncio.create_task(self._alive.wait()), asyncio.create_task(self.wait())]
        await asyncio.wait(events, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()
        return self._alive.is_set()

    async def heartbeat(self, deadline_s: float) -> None:
        """Returns when init has said that the image has started; `EifError("emulator-failed")` after `deadline_s`."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._alive.wait()
        except TimeoutError:
            raise EifError("emulator-failed", f"no heartbeat within {deadline_s:.0f} s") from None

    async def wait(self) -> str:
        """Returns a code when the machine has ended."""
        if not self._processes:
            return "enclave-not-started"
        status = await self._processes[-1].wait()
        return f"enclave-exit-{status}"

    async def stop(self) -> None:
        """End the machine and what belongs to it; never raises."""
        for process in reversed(self._processes):
            await _end(process)
        self._processes.clear()
        await asyncio.gather(*self._readers, return_exceptions=True)
        self._readers.clear()
        if self._heartbeats is not None:
            self._heartbeats.close()
            self._heartbeats = None

    async def _start(self, accelerator: str) -> None:
        await self.stop()
        self._alive.clear()
        socket, device = self._folder / _SOCKET, self._folder / _DEVICE_SOCKET
        heartbeats = f"{socket}_{HEARTBEAT_PORT}"
        for path in (socket, device, heartbeats):  # those of a former boot; the host's own listeners stay
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._heartbeats = await asyncio.start_unix_server(self._on_heartbeat, heartbeats)
        vm = f"guest-cid={_GUEST_CID},uds-path={socket},socket={device}"
        await self._run([*self._emulator.vsock_device(), "--vm", vm], lambda _: None)
        await _appears(device)
        await self._run(self._qemu(device, accelerator), self._on_line)

    def _qemu(self, device: Path, accelerator: str) -> list[str]:
        options = self._options
        machine = (
            f"nitro-enclave,vsock=c,id={options.module_id},parent-role={options.parent_role},"
            f"parent-id={options.parent_id}"
        )
        return [
            *self._emulator.qemu(), "-M", machine, "-accel", accelerator, "-cpu", _PROCESSOR, "-smp", str(options.cpus),
            "-m", f"{options.memory_mib}M", "-kernel", str(self._image), "-append", APPENDED_CMDLINE, "-nographic",
            "-no-reboot", "-chardev", f"socket,id=c,path={device}",
        ]  # fmt: skip

    async def _run(self, command: Sequence[str], on_line: Callable[[str], None]) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            raise EifError("emulator-failed", error.strerror or "") from None
        self._processes.append(process)
        self._readers.append(asyncio.create_task(_read_lines(process, on_line)))

    async def _on_heartbeat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers init as nitro-cli does: the same byte back."""
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_GRACE_S):
                if await reader.readexactly(1) == HEARTBEAT:
                    writer.write(HEARTBEAT)
                    await writer.drain()
                    self._alive.set()
        writer.close()


async def _appears(path: Path) -> None:
    try:
        async with asyncio.timeout(_SOCKET_PATIENCE_S):
            while not path.exists():  # noqa: ASYNC110, ASYNC240  another program makes it, and does not say so
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise EifError("emulator-failed", "the vsock device does not start") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read_lines(process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> None:
    if process.stdout is None:
        return
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # a line beyond the limit; the reader has dropped it
            continue
        if not line:
            return
        on_line(line.decode(errors="replace").rstrip())
