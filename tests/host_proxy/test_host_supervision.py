"""Supervision: an enclave that ends is started again, and `nitro-cli` is driven by its documented output."""

import asyncio
import io
import json
import stat
from pathlib import Path

import pytest

from host_proxy import nitro_cli
from host_proxy.config import NitroLaunch
from host_proxy.errors import LaunchError
from host_proxy.logging import Log
from host_proxy.metrics import Metrics
from host_proxy.nitro_cli import NitroCli
from host_proxy.supervisor import Supervisor, Unmanaged
from protocol import limits
from tests.host_proxy.conftest import eventually


class Scripted:
    """A launcher whose enclave ends when told; each start may fail with a code first."""

    def __init__(self, *failures: str) -> None:
        self.failures = list(failures)
        self.running = False
        self.starts = 0
        self.ended: asyncio.Future[str] | None = None

    async def start(self) -> None:
        self.starts += 1
        if self.failures:
            code = self.failures.pop(0)
            raise (LaunchError(code) if code else ValueError("canary"))
        assert not self.running, "never two at once"
        self.running = True
        self.ended = asyncio.get_running_loop().create_future()

    async def wait(self) -> str:
        assert self.ended is not None
        return await self.ended

    async def stop(self) -> None:
        self.running = False

    def end(self, code: str) -> None:
        assert self.ended is not None
        self.ended.set_result(code)


def supervisor(launcher: Scripted, log: Log, metrics: Metrics) -> Supervisor:
    return Supervisor(launcher, log=log, metrics=metrics, first_pause_s=0.02, longest_pause_s=0.05)


async def test_enclave_that_ends_is_started_again(log: Log, metrics: Metrics, output: io.StringIO) -> None:
    launcher = Scripted()
    supervised = supervisor(launcher, log, metrics)
    assert supervised.state == "stopped"
    supervised.start()
    for number in range(1, 4):
        await eventually(lambda number=number: launcher.starts == number and supervised.state == "running")  # type: ignore[misc]
        launcher.end("launch-gone")
        await eventually(lambda: supervised.state != "running")
    await supervised.close()
    assert not launcher.running
    assert supervised.state == "stopped"
    ended = [json.loads(line) for line in output.getvalue().splitlines() if "enclave.ended" in line]
    assert [event["code"] for event in ended] == ["launch-gone"] * 3
    assert [event["retry_s"] for event in ended] == [0.02, 0.04, 0.05], "pauses grow up to a cap"


async def test_launcher_that_fails_is_tried_again_and_its_code_is_logged(
    log: Log, metrics: Metrics, output: io.StringIO
) -> None:
    launcher = Scripted("nitro-cli-e36", "")
    supervised = supervisor(launcher, log, metrics)
    supervised.start()
    await eventually(lambda: supervised.state == "running")
    assert launcher.starts == 3
    assert '"code": "nitro-cli-e36"' in output.getvalue()
    assert '"code": "launch-fault"' in output.getvalue()
    assert "canary" not in output.getvalue()
    assert metrics.registry.get_sample_value("chancery_enclave_starts_total") == 1
    await supervised.close()


async def test_close_during_a_pause_is_immediate(log: Log, metrics: Metrics) -> None:
    launcher = Scripted(*["launch-output"] * 50)
    supervised = Supervisor(launcher, log=log, metrics=metrics, first_pause_s=60)
    supervised.start()
    await eventually(lambda: supervised.state == "waiting")
    async with asyncio.timeout(1):
        await supervised.close()


async def test_enclave_that_others_start_is_left_to_them(log: Log, metrics: Metrics) -> None:
    supervised = Supervisor(Unmanaged(), log=log, metrics=metrics)
    supervised.start()
    await eventually(lambda: supervised.state == "running")
    await supervised.close()


# --- nitro-cli ---

FAKE = """#!/bin/sh
echo "$@" >> {folder}/calls
echo "progress text" >&2
cat {folder}/$1.json
exit $(cat {folder}/$1.exit 2>/dev/null || echo 0)
"""
STARTED = {"EnclaveName": "chancery", "EnclaveID": "i-0-enc1", "ProcessID": 1, "EnclaveCID": 16, "NumberOfCPUs": 2,
           "CPUIDs": [1, 3], "MemoryMiB": 512}  # fmt: skip
DESCRIBED = STARTED | {"State": "RUNNING", "Flags": "NONE", "Measurements": {"PCR0": "00"}}


class Tool:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "nitro-cli"
        self.path.write_text(FAKE.format(folder=folder))
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)
        self.says("run-enclave", STARTED)
        self.says("describe-enclaves", [])
        self.says("terminate-enclave", {"EnclaveID": "i-0-enc1", "Terminated": True})

    def says(self, command: str, value: object, *, status: int = 0) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        (self.folder / f"{command}.json").write_text(text)
        (self.folder / f"{command}.exit").write_text(str(status))

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def launcher(self) -> NitroCli:
        launch = NitroLaunch(image="/a.eif", memory_mib=512, cpu_count=2, nitro_cli=str(self.path))
        return NitroCli(launch, 16, poll_s=0.02)


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path)


async def test_enclave_is_run_with_the_configured_values_and_never_in_debug_mode(tool: Tool) -> None:
    await tool.launcher().start()
    assert tool.calls == [
        "describe-enclaves",
        "run-enclave --eif-path /a.eif --memory 512 --cpu-count 2 --enclave-cid 16 --enclave-name chancery",
    ]


async def test_enclave_left_by_a_former_host_is_ended_first_and_strangers_are_not(tool: Tool) -> None:
    stranger = DESCRIBED | {"EnclaveName": "other", "EnclaveID": "i-0-enc9"}
    tool.says("describe-enclaves", [stranger, DESCRIBED | {"EnclaveID": "i-0-enc0"}])
    await tool.launcher().start()
    assert [call for call in tool.calls if call.startswith("terminate")] == ["terminate-enclave --enclave-id i-0-enc0"]


@pytest.mark.parametrize(
    ("after", "code"),
    [([], "launch-gone"), ([DESCRIBED | {"State": "TERMINATING"}], "launch-terminating"),
     ([DESCRIBED | {"State": "EMPTY"}], "launch-empty"), ([DESCRIBED | {"EnclaveID": "i-0-enc7"}], "launch-gone")],
)  # fmt: skip
async def test_end_of_the_enclave_is_noticed(tool: Tool, after: object, code: str) -> None:
    launcher = tool.launcher()
    await launcher.start()
    tool.says("describe-enclaves", [DESCRIBED])
    waiting = asyncio.ensure_future(launcher.wait())
    await eventually(lambda: tool.calls.count("describe-enclaves") >= 3)
    assert not waiting.done()
    tool.says("describe-enclaves", after)
    assert await waiting == code


async def test_one_failure_to_ask_is_forgiven_and_two_in_a_row_are_not(tool: Tool) -> None:
    launcher = tool.launcher()
    await launcher.start()
    tool.says("describe-enclaves", "", status=14)
    assert await launcher.wait() == "nitro-cli-e14"


async def test_stop_ends_what_was_started_once(tool: Tool) -> None:
    launcher = tool.launcher()
    await launcher.stop()
    await launcher.start()
    await launcher.stop()
    await launcher.stop()
    assert tool.calls[2:] == ["terminate-enclave --enclave-id i-0-enc1"]


async def test_stop_never_raises(tool: Tool) -> None:
    launcher = tool.launcher()
    await launcher.start()
    tool.says("terminate-enclave", "", status=1)
    await launcher.stop()


@pytest.mark.parametrize(
    ("output", "status", "code"),
    [
        ("", 36, "nitro-cli-e36"),
        ("", 1, "nitro-cli-e01"),
        ("", 99, "launch-nitro-cli-failed"),
        ("", 0, "launch-output"),
        ("nonsense", 0, "launch-output"),
        ("[" * 100_000, 0, "launch-output"),
        ("{}", 0, "launch-output"),
        (json.dumps(STARTED | {"EnclaveCID": 17}), 0, "launch-other-cid"),
        (json.dumps(STARTED).ljust(limits.MAX_LAUNCHER_OUTPUT_BYTES + 1), 0, "launch-output"),
    ],
)
async def test_failure_of_the_tool_is_one_stable_code(tool: Tool, output: str, status: int, code: str) -> None:
    tool.says("run-enclave", output, status=status)
    with pytest.raises(LaunchError) as caught:
        await tool.launcher().start()
    assert caught.value.code == code


async def test_output_at_the_cap_passes(tool: Tool) -> None:
    tool.says("run-enclave", json.dumps(STARTED).ljust(limits.MAX_LAUNCHER_OUTPUT_BYTES))
    await tool.launcher().start()


async def test_absent_tool_says_so() -> None:
    launch = NitroLaunch(image="/a.eif", memory_mib=512, cpu_count=2, nitro_cli="/absent/nitro-cli")
    with pytest.raises(LaunchError, match="launch-no-nitro-cli: /absent/nitro-cli"):
        await NitroCli(launch, 16).start()


async def test_tool_that_hangs_is_killed_at_the_deadline(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nitro_cli, "_COMMAND_DEADLINE_S", 0.2)
    tool.path.write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(LaunchError) as caught:
        await tool.launcher().start()
    assert caught.value.code == "launch-deadline"
