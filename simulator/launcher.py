"""Starts a staged image as a Nitro host does: a fresh security module, then a walled-in process (port `Launcher`)."""

import asyncio
import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from simulator import nsm_socket
from simulator.guest import NSM, VSOCK
from simulator.image import StagedImage, new_module_id
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki

_GRACE_S: Final = 3.0
_MAX_LINE_BYTES: Final = 16 * 1024


class SimulatorLauncher:
    """Implements `host_proxy.supervisor.Launcher`. Every start is a new boot: new module, registers and process."""

    def __init__(
        self,
        image: StagedImage,
        pki: NitroPki,
        sockets: Path,
        *,
        on_line: Callable[[str], None] = lambda _: None,
        debug: bool = False,
    ) -> None:
        """`on_line` gets each line that the guest prints; `debug` launches with zeroed registers."""
        self._image = image
        self._pki = pki
        self._sockets = sockets
        self._on_line = on_line
        self._debug = debug
        self._nsm_server: asyncio.Server | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where the host reaches the first worker."""
        return f"unix:{self._sockets / VSOCK}:5000"

    @property
    def pid(self) -> int | None:
        """The guest's process, once started."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Boot the image."""
        await self.stop()
        nsm = SimulatedNsm(self._pki, self._image.pcrs, new_module_id(), debug=self._debug)
        self._nsm_server = await nsm_socket.serve(nsm, self._sockets / NSM)
        self._process = await asyncio.create_subprocess_exec(
            *self._image.command("simulator.guest", [str(self._image.path), str(self._sockets)]),
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            limit=_MAX_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for the host, which ends its guests
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def wait(self) -> str:
        """Returns when the guest has ended."""
        if self._process is None:
            return "enclave-not-started"
        status = await self._process.wait()
        return f"enclave-exit-{status}"

    async def stop(self) -> None:
        """End the guest and its module."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(_GRACE_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._nsm_server is not None:
            self._nsm_server.close()
        self._process = self._reader = self._nsm_server = None

    def close(self) -> None:
        """Nothing to remove: the sockets lie in the caller's folder."""

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:  # a line beyond the limit; the reader has dropped it
                continue
            if not line:
                return
            self._on_line(line.decode(errors="replace").rstrip())
