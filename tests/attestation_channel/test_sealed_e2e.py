"""Past a real host proxy to a walled-in enclave: the Python transport, a program in Node, and a page in a browser."""

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx
import pytest
from eth_keys import keys

from attestation import channel
from attestation.client import DOCUMENT_PATH, SealedTransport, Service
from attestation.errors import AttestationError
from attestation.policy import Binding
from simulator import settings
from tests.appliance import otp_answer
from tests.attestation_channel import document_table
from tests.attestation_channel.test_javascript import MODULE, TESTS
from tests.e2e.e2e_support import Site, new_email

NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_DEADLINE_S = 60
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("appliance")) as running:
        yield running.serving()


class Host(httpx.HTTPTransport):
    """Carries requests as the network does, and keeps what it could see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bytes]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        self.seen.append((request.url.path, request.read() + response.read()))
        return response


@pytest.fixture
def host() -> Host:
    return Host()


def service(site: Site, **changes: Any) -> Service:
    demands = {"url": site.url, "image": site.image, "roots": (site.stand_ins.root,)} | changes
    return Service(**demands)


def test_user_of_the_python_client_logs_in_and_signs_and_the_host_reads_nothing(site: Site, host: Host) -> None:
    """The usual client over the sealed transport: its answers are sealed and attested one by one."""
    transport = SealedTransport(service(site, binding=Binding(deployment=settings.DEPLOYMENT)), outer=host)
    user = site.user(transport=transport)
    email = new_email()
    signer, session = user.ready(email)
    assert user.recovered(session.session) == signer
    assert [path for path, _ in host.seen[:2]] == [DOCUMENT_PATH, channel.PATH]
    assert {path for path, _ in host.seen[1:]} == {channel.PATH}
    for _, data in host.seen:
        assert email.encode() not in data
        assert signer.encode() not in data
        assert session.attestation.encode() not in data


def test_sealed_calls_have_no_more_sizes_than_there_are_buckets(site: Site, host: Host) -> None:
    user = site.user(transport=SealedTransport(service(site), outer=host))
    user.ready()
    assert len({len(data) for path, data in host.seen if path == channel.PATH}) <= 3


def test_restarted_enclave_is_attested_again_without_the_user_noticing(site: Site, host: Host) -> None:
    transport = SealedTransport(service(site), outer=host)
    with httpx.Client(base_url=site.url, transport=transport) as client:
        client.get("/status").raise_for_status()
        before = transport.document
        site.restart()
        client.get("/status").raise_for_status()
        assert transport.document is not before
    assert [path for path, _ in host.seen].count(DOCUMENT_PATH) == 2


def test_shipped_client_refuses_the_simulator_before_it_says_anything(site: Site, host: Host) -> None:
    transport = SealedTransport(Service(url=site.url, image=site.image), outer=host)
    with httpx.Client(base_url=site.url, transport=transport) as client, pytest.raises(AttestationError) as caught:
        client.post("/rpc/Session/List", json={"secret": 1})
    assert caught.value.code == "root-untrusted"
    assert [path for path, _ in host.seen] == [DOCUMENT_PATH]


def test_sealed_calls_show_in_the_metrics_under_their_own_name(site: Site) -> None:
    with httpx.Client(base_url=site.url, transport=SealedTransport(service(site))) as client:
        client.get("/status").raise_for_status()
    assert 'service="Channel"' in site.metrics()


def facts(site: Site) -> dict[str, Any]:
    pcrs = {index: value.hex() for index, value in site.image.pcrs.items()}
    root = base64.b64encode(site.stand_ins.root.der).decode()
    return {"url": site.url, "pcrs": pcrs, "root": root, "deployment": settings.DEPLOYMENT, "email": new_email()}


def check(seen: dict[str, Any], told: dict[str, Any]) -> None:
    """What a page saw: strangers refused, and signatures by the wallet that the login brought."""
    assert seen["refused"] == ["root-untrusted", "root-untrusted", "measurement-mismatch", "measurement-mismatch"]
    assert seen["status"]["pcr0"] == told["pcrs"][0]
    assert seen["unsigned"] == 400
    for kind in ("sealed", "attested"):
        signature = bytes.fromhex(seen[kind]["signature"][2:])
        vrs = signature[:64] + bytes([signature[64] - 27])
        digest = bytes.fromhex(seen[kind]["digest"][2:])
        recovered = keys.Signature(vrs).recover_public_key_from_msg_hash(digest).to_address()
        assert recovered == seen[kind]["signer"]


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_program_in_node_logs_in_and_signs(site: Site) -> None:
    told = facts(site)
    command = [str(NODE), "--no-warnings", str(TESTS / "journey-node.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        timer = threading.Timer(_DEADLINE_S, program.kill)
        timer.start()
        try:
            assert program.stdin is not None
            assert program.stdout is not None
            print(json.dumps(told), file=program.stdin, flush=True)
            challenge = json.loads(program.stdout.readline())["challenge"]
            answer = otp_answer(challenge, site.mailed_code(told["email"]))
            print(json.dumps(answer), file=program.stdin, flush=True)
            check(json.loads(program.stdout.readline())["seen"], told)
        finally:
            timer.cancel()
            program.kill()


class PageServer:
    """Serves the page from an origin of its own, tells it the code that came by mail, and takes its result."""

    def __init__(self, site: Site) -> None:
        self.site, self.told = site, facts(site)
        self.results: Queue[dict[str, Any]] = Queue()
        files = {"/": TESTS / "page.html", "/chancery-fetch.js": MODULE}
        files |= {f"/{name}": TESTS / name for name in ("journey.mjs", "judge.mjs")}
        self.rows = [*document_table.chains(), *document_table.documents(), *document_table.demands()]
        self.files = {path: (_TYPES[file.suffix], file.read_bytes()) for path, file in files.items()}

    def answer(self, path: str, body: bytes) -> tuple[str, bytes]:
        if path in self.files:
            return self.files[path]
        value: Any = None
        if path == "/facts":
            value = self.told
        elif path == "/table":
            return "application/json", document_table.encode(self.rows).encode()
        elif path == "/answer":
            value = otp_answer(json.loads(body)["challenge"], self.site.mailed_code(self.told["email"]))
        elif path == "/result":
            self.results.put(json.loads(body))
        return "application/json", json.dumps(value).encode()

    @contextmanager
    def running(self) -> Iterator[str]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                content_type, data = server.answer(self.path, body)
                self.send_response(200)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _serve  # noqa: N815  the names are the library's

            def log_message(self, *_: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/"
        finally:
            http.shutdown()
            http.server_close()
            thread.join()


@contextmanager
def browser(url: str, profile: Path) -> Iterator[None]:
    """Headless Chromium showing `url`; ends with all its processes."""
    command = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", url]
    with (profile.parent / "browser.log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_page_of_another_origin_in_a_browser_logs_in_and_signs(site: Site, tmp_path: Path) -> None:
    """And the browser's own cryptography comes to the same verdicts on the table of documents."""
    page = PageServer(site)
    with page.running() as url, browser(url, tmp_path / "profile"):
        try:
            result = page.results.get(timeout=_DEADLINE_S)
        except Empty:
            pytest.fail(f"no result from the page: {(tmp_path / 'browser.log').read_text()[-2000:]}")
    assert "error" not in result, result["error"]
    assert result["different"] == []
    told = json.loads(json.dumps(page.told))
    check(result["seen"], told | {"pcrs": {int(index): value for index, value in told["pcrs"].items()}})
