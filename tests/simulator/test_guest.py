"""The staged image as a process: it runs behind its walls, shows its own measurements, and answers through the host."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol import frames
from protocol.addresses import INGRESS_PORT, HybridAddress
from protocol.frames import FrameConnection, Request, Response
from simulator import nsm_socket
from simulator.guest import NSM, VSOCK
from simulator.image import StagedImage, new_module_id, stage
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki
from tests.appliance import config_json

_ROOT = Path(__file__).parents[2]


class Guest:
    """A running guest and the lines it has printed."""

    def __init__(self, process: asyncio.subprocess.Process, sockets: Path) -> None:
        self._process = process
        self._address = HybridAddress(str(sockets / VSOCK), INGRESS_PORT)
        self.lines: list[str] = []

    async def line(self, pattern: str) -> str:
        """The next line that matches; fails with all lines when the guest ends before."""
        assert self._process.stderr is not None
        async for raw in self._process.stderr:
            self.lines.append(raw.decode())
            if re.search(pattern, self.lines[-1]):
                return self.lines[-1]
        raise AssertionError("".join(self.lines))

    async def get(self, path: str) -> dict[str, Any]:
        """The body of the answer to one GET, through the handshake, as the host proxy asks."""
        reader, writer = await asyncio.open_unix_connection(self._address.path)
        writer.write(self._address.hello + frames.encode(Request(1, f"GET {path}", {}, b"")))
        assert await reader.readline() == b"OK %d\n" % INGRESS_PORT
        connection = FrameConnection()
        answers: list[Request | Response] = []
        while not answers:
            data = await reader.read(65536)
            assert data, "the guest closed the connection"
            answers = connection.receive(data)
        writer.close()
        assert isinstance(answers[0], Response)
        body: dict[str, Any] = json.loads(answers[0].body)
        return body


@contextlib.asynccontextmanager
async def _boot(image: StagedImage, folder: Path, *, debug: bool = False) -> AsyncIterator[Guest]:
    sockets = folder / "sockets"
    await asyncio.to_thread(sockets.mkdir)
    nsm = SimulatedNsm(NitroPki(folder), image.pcrs, new_module_id(), debug=debug)
    async with await nsm_socket.serve(nsm, sockets / NSM):
        process = await asyncio.create_subprocess_exec(
            *image.command("simulator.guest", [str(image.path), str(sockets)]),
            env={},
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                yield Guest(process, sockets)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> StagedImage:
    return stage(_ROOT, msgspec.json.encode(config_json()), tmp_path_factory.mktemp("image"))


async def test_guest_locks_itself_in_and_answers_with_its_own_measurement(image: StagedImage, tmp_path: Path) -> None:
    async with _boot(image, tmp_path) as guest:
        assert "network closed by" in await guest.line("simulator:")
        await guest.line('"event": "booting"')  # without a store or holders it keeps trying
        assert (await guest.get("/status"))["pcr0"] == image.pcrs[0].hex()
        assert (await guest.get("/health"))["phase"] == "booting"


async def test_debug_launch_halts_before_any_key_is_made(image: StagedImage, tmp_path: Path) -> None:
    async with _boot(image, tmp_path, debug=True) as guest:
        assert '"code": "debug-mode"' in await guest.line('"event": "halted"')


async def _run(image: StagedImage, sockets: Path, environment: dict[str, str]) -> tuple[int | None, str]:
    """Exit status and print-out of a guest that does not stay up."""
    command = image.command("simulator.guest", [str(image.path), str(sockets)])
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    _, printed = await process.communicate()
    return process.returncode, printed.decode()


async def test_guest_without_a_security_module_does_not_start(image: StagedImage, tmp_path: Path) -> None:
    status, printed = await _run(image, tmp_path, {})
    assert status == 1
    assert '"code": "nsm-open"' in printed


async def test_environment_of_the_user_stops_the_guest(image: StagedImage, tmp_path: Path) -> None:
    status, printed = await _run(image, tmp_path, {"AWS_PROFILE": "mine"})
    assert status == 1
    assert "jail-environment" in printed
