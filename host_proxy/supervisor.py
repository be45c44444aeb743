"""Keeps one enclave running: starts it, waits for its end, starts it again with growing pauses.

Trust side: host. What an enclave is and how it starts is the launcher's business: `nitro-cli` in production, a
process in the simulator, nothing where others look after the enclave.
"""

import asyncio
import contextlib
from typing import Final, Literal, Protocol

from host_proxy.backoff import Backoff
from host_proxy.errors import LaunchError
from host_proxy.logging import Log
from host_proxy.metrics import Metrics

SupervisorState = Literal["stopped", "starting", "running", "waiting"]

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_STABLE_S: Final = 60.0


class Launcher(Protocol):
    """Starts and ends one enclave."""

    async def start(self) -> None:
        """Returns when the enclave has been started; `LaunchError`."""
        ...

    async def wait(self) -> str:
        """Returns a stable code when the enclave that was started last has ended; `LaunchError`."""
        ...

    async def stop(self) -> None:
        """Ends the enclave if there is one; never raises."""
        ...


class Unmanaged:
    """`Launcher` where somebody else starts the enclave."""

    async def start(self) -> None:
        """Nothing to do."""

    async def wait(self) -> str:
        await asyncio.get_running_loop().create_future()
        return ""  # never reached

    async def stop(self) -> None:
        """Nothing to do."""


class Supervisor:
    """Runs a launcher in the background. `state` says where it stands."""

    def __init__(
        self,
        launcher: Launcher,
        *,
        log: Log,
        metrics: Metrics,
        first_pause_s: float = _FIRST_PAUSE_S,
        longest_pause_s: float = _LONGEST_PAUSE_S,
    ) -> None:
        self._launcher = launcher
        self._log = log
        self._metrics = metrics
        self._backoff = Backoff(first_s=first_pause_s, cap_s=longest_pause_s)
        self._task: asyncio.Task[None] | None = None
        self.state: SupervisorState = "stopped"

    def start(self) -> None:
        """Begins in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Ends the enclave and the supervision."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._launcher.stop()
        self.state = "stopped"

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.state = "starting"
            started = loop.time()
            code = await self._run_once()
            if loop.time() - started > _STABLE_S:
                self._backoff.reset()
            self.state = "waiting"
            pause_s = self._backoff.next_s()
            self._log.event("enclave.ended", code=code, retry_s=pause_s)
            await self._launcher.stop()
            await asyncio.sleep(pause_s)

    async def _run_once(self) -> str:
        try:
            await self._launcher.start()
            self.state = "running"
            self._metrics.enclave_starts.inc()
            self._log.event("enclave.started")
            return await self._launcher.wait()
        except LaunchError as error:
            return error.code
        except Exception as error:  # noqa: BLE001  a launcher's defect must not end the supervision
            self._log.fault("launcher", error)
            return "launch-fault"
