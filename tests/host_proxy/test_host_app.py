"""Whole hosts: start, stop, failure to start, TLS, the command line, and what the process can import."""

import asyncio
import datetime
import io
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from attestation.roots import AMAZON
from host_proxy.app import compose, metrics_for, production_ports
from host_proxy.cli import CliContext, build_app
from host_proxy.cli.exit_codes import ExitCode
from host_proxy.config import Enclave, HostConfig, NitroLaunch, Tls
from host_proxy.errors import HostError
from host_proxy.logging import Log
from host_proxy.nitro_cli import NitroCli
from host_proxy.supervisor import Unmanaged
from protocol import errors, services
from protocol.frames import FrameConnection, Request, Response, encode
from protocol.services import RecordKey, Write
from tests.host_proxy.conftest import StartHost, eventually
from tests.host_proxy.guest import HEALTHY, Guest

ROOT = Path(__file__).parents[2]
SIGN = "/rpc/IdentityInstrument/Sign"


async def test_guest_finds_store_and_egress_beside_the_ingress(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    assert (await running.client.post(SIGN, json={})).status_code == 200
    reader, writer = await guest.dial(8001)
    writer.write(
        encode(Request(1, "store.put", {}, services.encode_puts([[Write(RecordKey("t", bytes(32)), 0, 1, b"v")]])))
    )
    frames = FrameConnection()
    (answer,) = frames.receive(await reader.read(1000))
    assert isinstance(answer, Response)
    assert answer.status == 200
    writer.close()
    reader, writer = await guest.dial(8000)
    writer.write(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 403")
    writer.close()


async def test_metrics_are_on_the_private_listener_only(start_host: StartHost) -> None:
    running = await start_host()
    await running.client.post(SIGN, json={})
    private = f"http://127.0.0.1:{running.host.metrics_port}"
    async with httpx.AsyncClient(base_url=private, trust_env=False) as client:
        text = (await client.get("/metrics")).text
        assert 'chancery_http_requests_total{service="IdentityInstrument",status="200"} 1.0' in text
        assert 'chancery_enclave_link_up{worker="0"} 1.0' in text
        for method, path in (("GET", "/"), ("POST", "/metrics"), ("POST", SIGN), ("GET", "/health")):
            assert (await client.request(method, path)).status_code == 404
    assert (await running.client.get("/metrics")).status_code == 404


async def test_stop_lets_requests_finish_and_leaves_no_sockets(
    start_host: StartHost, guest: Guest, folder: Path, output: io.StringIO
) -> None:
    gate = asyncio.Event()
    arrived = asyncio.Event()

    async def slow(_: int, request: Request) -> Response:
        if request.method.startswith("POST"):
            arrived.set()
            await gate.wait()
        return Response(request.id, 200, {"content-type": "application/json"}, json.dumps(HEALTHY).encode())

    running = await start_host()
    guest.answer = slow
    request = asyncio.create_task(running.client.post(SIGN, json={}))
    await arrived.wait()
    stopping = asyncio.create_task(running.host.stop())
    await asyncio.sleep(0.05)
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient(trust_env=False) as newcomer:
            await newcomer.post(f"http://127.0.0.1:{running.port}{SIGN}", json={})
    gate.set()
    assert (await request).status_code == 200
    await stopping
    assert set(os.listdir(folder)) == {"vm", "store.db"}
    assert '"cut_off": 0' in output.getvalue()


async def test_host_that_cannot_listen_says_so_and_lets_go_of_everything(
    start_host: StartHost, folder: Path, guest: Guest
) -> None:
    running = await start_host()
    fields = {"version": 1, "enclave": Enclave(address=f"unix:{folder}/other:5000"), "store": str(folder / "2.db")}
    config = HostConfig(**fields, listen=f"127.0.0.1:{running.port}", metrics_listen="127.0.0.1:0")  # type: ignore[arg-type]
    metrics = metrics_for(config)
    second = compose(config, production_ports(config, metrics), log=Log(io.StringIO(), strict=True), metrics=metrics)
    with pytest.raises(HostError, match="http-listen"):
        await second.start()
    assert not [name for name in os.listdir(folder) if name.startswith("other")]
    assert (await running.client.post(SIGN, json={})).status_code == 200


async def test_two_hosts_cannot_serve_one_guest(start_host: StartHost, folder: Path, guest: Guest) -> None:
    await start_host()
    with pytest.raises(HostError, match="transport-address-in-use"):
        await start_host()
    reader, writer = await guest.dial(8001)
    writer.write(encode(Request(1, "x", {}, b"")))
    assert await reader.read(100), "the first one still does"
    writer.close()


async def test_descriptors_and_tasks_stay_flat_while_the_guest_comes_and_goes(
    start_host: StartHost, guest: Guest
) -> None:
    """VS-09."""
    running = await start_host()

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def cycle() -> None:
        guest.drop_connections()
        await eventually(lambda: running.host._pool.connected == 1)
        assert (await running.client.post(SIGN, json={})).status_code in (200, 502)

    for _ in range(3):
        await cycle()
    before = descriptors(), len(asyncio.all_tasks())
    for _ in range(10):
        await cycle()
    await eventually(lambda: (descriptors(), len(asyncio.all_tasks())) <= (before[0] + 1, before[1] + 1))


def certificate(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    found = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(found.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Tls(certificate=str(folder / "cert.pem"), private_key=str(folder / "key.pem"))


async def test_public_listener_speaks_tls_when_configured(start_host: StartHost, folder: Path) -> None:
    tls = certificate(folder)
    running = await start_host(tls=tls)
    context = ssl.create_default_context(cafile=tls.certificate)
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        url = f"https://localhost:{running.port}"
        assert (await client.post(url + SIGN, json={})).status_code == 200
        refused = await client.post(url + SIGN, content=b"x", headers={"Upgrade": "h2c"})
        assert (refused.status_code, refused.json()["error"]) == (400, errors.BAD_REQUEST.name)
        with pytest.raises(httpx.HTTPError):
            await client.get(f"http://localhost:{running.port}/health")


async def test_unreadable_certificate_is_an_error_at_start(start_host: StartHost) -> None:
    with pytest.raises(HostError, match="http-tls"):
        await start_host(tls=Tls(certificate="/absent", private_key="/absent"))


async def test_production_starts_the_image_with_the_cid_of_its_address(tmp_path: Path) -> None:
    launch = NitroLaunch(image="/a.eif", memory_mib=512, cpu_count=2)
    config = HostConfig(
        version=1, enclave=Enclave(address="vsock://17:5000", launch=launch), store=str(tmp_path / "store.db")
    )
    ports = production_ports(config, metrics_for(config))
    assert isinstance(ports.launcher, NitroCli)
    assert ports.launcher._cid == 17
    await ports.store.close()
    config = HostConfig(version=1, enclave=Enclave(address="vsock://17:5000"), store=str(tmp_path / "store.db"))
    ports = production_ports(config, metrics_for(config))
    assert isinstance(ports.launcher, Unmanaged)
    await ports.store.close()


# --- what the process can import ---


def test_running_the_host_loads_nothing_of_the_enclave() -> None:
    """VS-07."""
    script = (
        "import sys, host_proxy.app, host_proxy.cli.run, host_proxy.cli.status\n"
        "strangers = {'enclave', 'evm', 'eif', 'simulator'}\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in strangers))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


# --- command line ---


def config_file(folder: Path, guest_path: Path, **fields: Any) -> Path:
    value = {
        "version": 1,
        "enclave": {"address": f"unix:{guest_path}:5000"},
        "store": str(folder / "cli.db"),
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
    }
    (folder / "host.json").write_text(json.dumps(value | fields))
    return folder / "host.json"


MAIN = "import sys; from host_proxy.cli import main; sys.argv[0] = 'chancery'; main()"


async def started(config: Path) -> tuple[asyncio.subprocess.Process, Callable[[], Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, "run", "--json", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )

    async def next_event() -> Any:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            return json.loads(await process.stdout.readline())

    return process, next_event


async def test_run_says_when_it_is_ready_serves_and_stops_on_sigterm(folder: Path, guest: Guest) -> None:
    process, next_event = await started(config_file(folder, guest.path))
    listening = await next_event()
    assert listening["event"] == "listening"
    event = await next_event()
    while event["event"] == "waiting":
        event = await next_event()
    assert event == {"event": "ready", "phase": "serving", "enclave": "running"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening['port']}", trust_env=False) as client:
        assert (await client.post(SIGN, json={})).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert [(await next_event())["event"] for _ in range(2)] == ["stopping", "stopped"]
    assert await process.wait() == ExitCode.OK


async def test_second_signal_does_not_wait(folder: Path, guest: Guest) -> None:
    arrived = asyncio.Event()

    async def silence(_: int, request: Request) -> Response | None:
        if request.method.startswith("POST"):
            arrived.set()
            return None
        return Response(request.id, 200, {}, json.dumps(HEALTHY).encode())

    guest.answer = silence
    process, next_event = await started(config_file(folder, guest.path, grace_s=300))
    port = (await next_event())["port"]
    event = await next_event()
    while event["event"] != "ready":
        event = await next_event()
    client = httpx.AsyncClient(trust_env=False)
    request = asyncio.create_task(client.post(f"http://127.0.0.1:{port}{SIGN}", json={}))
    await arrived.wait()
    process.send_signal(signal.SIGINT)
    assert (await next_event())["event"] == "stopping"
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(5):
        assert await process.wait() == ExitCode.FAILED
    answer = await request
    assert (answer.status_code, answer.json()["error"]) == (503, errors.NOT_SERVING.name)
    await client.aclose()


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(build_app([AMAZON]), list(arguments))


@pytest.mark.parametrize(
    "content", ["{", '{"version": 2}', "", '{"version": 1, "store": "x", "enclave": {"address": "x"}}']
)
def test_refused_configuration_has_its_exit_code_and_names_the_fault(tmp_path: Path, content: str) -> None:
    (tmp_path / "host.json").write_text(content)
    done = invoke("run", "--config", str(tmp_path / "host.json"))
    assert done.exit_code == ExitCode.CONFIGURATION
    assert done.stderr.startswith("config-")
    assert "Traceback" not in done.output


def test_host_that_cannot_start_has_its_exit_code_and_no_trace(folder: Path) -> None:
    done = invoke("run", "--config", str(config_file(folder, folder / "vm", store="/absent/store.db")))
    assert done.exit_code == ExitCode.FAILED
    assert done.stderr == "store-open\n"


def test_help_documents_the_exit_codes_and_the_commands() -> None:
    text = " ".join(invoke("--help").output.split())
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in text
    for command in ("run", "status"):
        assert command in text
        assert "--json" in invoke(command, "--help").output
    assert invoke("nonsense").exit_code == ExitCode.USAGE


def test_commands_find_the_trust_roots_they_were_built_with() -> None:
    import typer

    app = build_app([AMAZON])
    found = []

    @app.command()
    def probe(context: typer.Context) -> None:
        found.append(context.obj)

    assert CliRunner().invoke(app, ["probe"]).exit_code == 0
    assert found == [CliContext((AMAZON,))]


async def status(*arguments: str) -> Any:
    return await asyncio.to_thread(invoke, "status", *arguments)


async def test_status_shows_health_for_people_and_programs(start_host: StartHost, guest: Guest) -> None:
    async def answer(_: int, request: Request) -> Response:
        described = {"pcr0": "ab" * 48, "uptime": 7, "ver": "1.0\x1b[31m[red]"}
        value = HEALTHY if request.method == "GET /health" else described
        return Response(request.id, 200, {"content-type": "application/json"}, json.dumps(value).encode())

    guest.answer = answer
    running = await start_host()
    await running.serving()
    url = f"http://127.0.0.1:{running.port}"
    shown = await status("--url", url)
    assert shown.exit_code == ExitCode.OK
    assert "may still fail" in shown.output
    assert "\x1b" not in shown.output, "what the host says cannot steer a terminal"
    assert "[red]" in shown.output
    value = json.loads((await status("--url", url, "--json")).output)
    assert value["health"]["holders"]["may_fail"] == 1
    assert value["status"]["pcr0"] == "ab" * 48


async def test_status_of_an_enclave_that_does_not_serve_has_its_exit_code(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    await guest.stop()
    await running.serving(expected=False)
    done = await status("--url", f"http://127.0.0.1:{running.port}", "--json")
    assert done.exit_code == ExitCode.UNHEALTHY
    assert json.loads(done.output)["health"]["status"] == "down"


async def test_status_of_nobody_or_of_a_stranger_has_its_exit_code(start_host: StartHost) -> None:
    running = await start_host()
    for url in ("http://127.0.0.1:1", "nonsense", f"http://127.0.0.1:{running.host.metrics_port}"):
        done = await status("--url", url)
        assert done.exit_code == ExitCode.UNREACHABLE
        assert "Traceback" not in done.output
