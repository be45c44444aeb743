"""Starts the enclave with `nitro-cli`: JSON on standard output, the number of an error as exit status.

Trust side: host. Measurements that `nitro-cli` prints are recomputed by this host from a file and prove nothing; only
an attestation document does. Source: nitro-platform.md 7.5.
"""

import asyncio
import contextlib
from typing import Final, TypeVar

import msgspec

from host_proxy.config import NitroLaunch
from host_proxy.errors import LaunchError
from protocol import limits

_T = TypeVar("_T")

_POLL_S: Final = 2.0
_COMMAND_DEADLINE_S: Final = 300.0  # booting a large image takes 90 s for each 6 GiB


class _Started(msgspec.Struct):
    enclave_id: str = msgspec.field(name="EnclaveID")
    enclave_cid: int = msgspec.field(name="EnclaveCID")


class _Described(msgspec.Struct):
    enclave_id: str = msgspec.field(name="EnclaveID")
    state: str = msgspec.field(name="State")
    name: str = msgspec.field(name="EnclaveName", default="")


class NitroCli:
    """`Launcher` for one image under one name and one CID.

    An enclave of that name that a former host process left behind is ended first: which image it runs is unknown, and
    all it holds in memory is short-lived.
    """

    def __init__(self, launch: NitroLaunch, cid: int, *, poll_s: float = _POLL_S) -> None:
        self._launch = launch
        self._cid = cid
        self._poll_s = poll_s
        self._enclave_id: str | None = None

    async def start(self) -> None:
        """`LaunchError`: `launch-…`, or `nitro-cli-e36` and the like for the tool's own codes."""
        launch = self._launch
        for enclave in await self._describe():
            if enclave.name == launch.name:
                await self._run("terminate-enclave", "--enclave-id", enclave.enclave_id)
        output = await self._run(
            "run-enclave",
            *("--eif-path", launch.image),
            *("--memory", str(launch.memory_mib)),
            *("--cpu-count", str(launch.cpu_count)),
            *("--enclave-cid", str(self._cid)),
            *("--enclave-name", launch.name),
        )
        started = _decode(output, _Started)
        self._enclave_id = started.enclave_id
        if started.enclave_cid != self._cid:
            raise LaunchError("launch-other-cid")

    async def wait(self) -> str:
        """Asks every `poll_s` seconds whether the enclave still runs; two failures to ask in a row count as its end."""
        failures = 0
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                enclaves = await self._describe()
            except LaunchError as error:
                failures += 1
                if failures == 2:
                    return error.code
                continue
            failures = 0
            mine = next((enclave for enclave in enclaves if enclave.enclave_id == self._enclave_id), None)
            if mine is None:
                return "launch-gone"
            if mine.state != "RUNNING":
                return "launch-" + ("terminating" if mine.state == "TERMINATING" else "empty")

    async def stop(self) -> None:
        """Ends the enclave that `start` started."""
        enclave_id, self._enclave_id = self._enclave_id, None
        if enclave_id is not None:
            with contextlib.suppress(LaunchError):
                await self._run("terminate-enclave", "--enclave-id", enclave_id)

    async def _describe(self) -> list[_Described]:
        return _decode(await self._run("describe-enclaves"), list[_Described])

    async def _run(self, command: str, *arguments: str) -> bytes:
        """Standard output of one command that succeeded."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._launch.nitro_cli,
                command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            raise LaunchError("launch-no-nitro-cli", self._launch.nitro_cli) from None
        try:
            async with asyncio.timeout(_COMMAND_DEADLINE_S):
                return await _output_of(process)
        except TimeoutError:
            raise LaunchError("launch-deadline") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _output_of(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise LaunchError("launch-output")
    output = await process.stdout.read(limits.MAX_LAUNCHER_OUTPUT_BYTES + 1)
    while len(output) <= limits.MAX_LAUNCHER_OUTPUT_BYTES and (more := await process.stdout.read(limits.KIB)):
        output += more
    if len(output) > limits.MAX_LAUNCHER_OUTPUT_BYTES:
        raise LaunchError("launch-output")
    status = await process.wait()
    if status != 0:
        raise LaunchError(f"nitro-cli-e{status:02d}" if 0 < status <= 60 else "launch-nitro-cli-failed")
    return output


def _decode(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise LaunchError("launch-output") from None
