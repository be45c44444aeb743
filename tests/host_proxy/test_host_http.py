"""The public HTTP API: what reaches the enclave, what comes back, and what every error looks like."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from msgspec.structs import replace

from host_proxy import cors
from host_proxy.config import Rates
from protocol import errors, limits
from protocol.frames import Request, Response
from tests.host_proxy.conftest import StartHost, eventually
from tests.host_proxy.guest import HEALTHY, Guest, echo, json_response

SIGN = "/rpc/IdentityInstrument/Sign"
KEY = {"authKey": {"keyType": "Ethereum_Secp256k1", "address": "0x" + "Ab" * 20}}
ORIGIN = {"Origin": "https://app.example"}


def assert_error(answer: httpx.Response, error: errors.ErrorCode, cause: str = "") -> None:
    assert answer.status_code == error.status
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json().items()) == list(errors.error_body(error, cause).items()), "in the order of the format"


async def test_request_reaches_the_enclave_with_listed_headers_only(start_host: StartHost) -> None:
    running = await start_host(scope="@7:test")
    answer = await running.client.post(
        SIGN + "?query=dropped",
        json=KEY,
        headers={
            **ORIGIN,
            "X-Attestation-Nonce": "abc",
            "X-Sequence-Scope": "@666",
            "X-Sequence-Span": "x",
            "Authorization": "Bearer canary",
            "Cookie": "canary",
            "X-Access-Key": "access-key",
        },
    )
    seen = answer.json()
    assert seen["method"] == "POST /rpc/IdentityInstrument/Sign"
    assert json.loads(seen["body"]) == KEY
    assert seen["headers"] == {
        "content-type": "application/json",
        "x-attestation-nonce": "abc",
        "x-sequence-scope": "@7:test",
        "origin": "https://app.example",
        "x-access-key": "access-key",
    }


async def test_bearer_tokens_reach_the_service_that_takes_them_and_no_other(start_host: StartHost) -> None:
    running = await start_host()
    sent = {"Authorization": "Bearer token", "X-Sequence-Project": "123", "Accept-Signature": "sig=()"}
    for service, expected in {"WaasAuthenticatorAdmin": "Bearer token", "WaasAuthenticator": None}.items():
        seen = (await running.client.post(f"/rpc/{service}/Clock", json={}, headers=sent)).json()["headers"]
        assert seen.get("authorization") == expected
        assert (seen["x-sequence-project"], seen["accept-signature"]) == ("123", "sig=()")
    twice = [("Authorization", "Bearer one"), ("Authorization", "Bearer two")]
    answer = await running.client.post("/rpc/WaasAuthenticatorAdmin/Clock", json={}, headers=twice)
    assert_error(answer, errors.BAD_REQUEST, "duplicate header")


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/jwks.json"])
async def test_published_keys_come_from_the_enclave_with_what_proves_them(start_host: StartHost, path: str) -> None:
    running = await start_host()
    seen = (await running.client.get(path, headers={"X-Attestation-Nonce": "abc", "Cookie": "canary"})).json()
    assert (seen["method"], seen["headers"]) == (f"GET {path}", {"x-attestation-nonce": "abc"})
    assert_error(await running.client.post(path, json={}), errors.BAD_METHOD)
    assert (await running.client.get("/.well-known/other")).status_code == 404


async def test_client_cannot_choose_the_scope_when_the_host_has_none(start_host: StartHost) -> None:
    running = await start_host()
    answer = await running.client.post(SIGN, json={}, headers={"X-Sequence-Scope": "@666"})
    assert "x-sequence-scope" not in answer.json()["headers"]


async def test_answer_carries_listed_headers_only(start_host: StartHost, guest: Guest) -> None:
    async def answer(_: int, request: Request) -> Response:
        headers = {
            "content-type": "application/json",
            "webrpc": "webrpc@v0",
            "x-attestation-document": "A" * 9000,
            "x-sequence-span": "leak",
            "set-cookie": "a=b",
            "transfer-encoding": "chunked",
        }
        return Response(request.id, 404, headers, b"{}")

    running = await start_host()
    guest.answer = answer
    got = await running.client.post(SIGN, json={}, headers=ORIGIN)
    assert got.status_code == 404
    assert got.headers["x-attestation-document"] == "A" * 9000
    assert got.headers["webrpc"] == "webrpc@v0"
    assert {"x-sequence-span", "set-cookie", "transfer-encoding", "server"}.isdisjoint(got.headers)
    assert got.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (199, {}),
        (101, {}),
        (200, {"webrpc": "a\r\nSet-Cookie: x"}),
        (200, {"webrpc": "\u20ac"}),
        (200, {"webrpc": "a\x00"}),
    ],
)
async def test_answer_that_http_cannot_carry_becomes_one_internal_error(
    start_host: StartHost, guest: Guest, status: int, headers: dict[str, str]
) -> None:
    async def answer(_: int, request: Request) -> Response:
        return Response(request.id, status, headers, b"{}")

    running = await start_host()
    guest.answer = answer
    assert_error(await running.client.post(SIGN, json={}), errors.INTERNAL_ERROR)


async def test_full_connection_of_the_enclave_is_busy_to_the_client(start_host: StartHost, guest: Guest) -> None:
    async def answer(_: int, request: Request) -> Response:
        return Response(request.id, 503)

    running = await start_host()
    guest.answer = answer
    assert_error(await running.client.post(SIGN, json={}), errors.BUSY)


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/rpc", "/rpc/", "/rpc/A", "/rpc/A/", "/rpc/A/B/C", "/rpc//B", "/rpc/A%2fB", "/rpc/A/B%0a",
     "//status", "/status/", "/rpc/" + "A" * 49 + "/B", "/admin", "/rpc/A-B/C"],
)  # fmt: skip
async def test_unknown_path_gets_the_text_of_the_original(start_host: StartHost, guest: Guest, path: str) -> None:
    running = await start_host()
    before = len(guest.requests)
    answer = await running.client.post(f"http://127.0.0.1:{running.port}{path}", json={})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "404 page not found\n"
    assert len(guest.requests) == before


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("TRACE", SIGN, "POST"), ("POST", "/status", "GET, HEAD"), ("DELETE", "/health", "GET, HEAD")],
)  # fmt: skip
async def test_wrong_method_is_refused_and_the_right_one_named(
    start_host: StartHost, method: str, path: str, allow: str
) -> None:
    running = await start_host()
    answer = await running.client.request(method, path)
    assert_error(answer, errors.BAD_METHOD)
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_the_enclave_judges_the_method_after_the_signature(start_host: StartHost, method: str) -> None:
    running = await start_host()
    answer = await running.client.request(method, SIGN, content=b"{}")
    assert (answer.json()["method"], answer.json()["body"]) == (f"{method} {SIGN}", "{}")


async def test_trace_id_of_the_client_comes_back_if_it_is_a_uuid(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    sent = "0197a2b4-7c1e-4c3d-9f00-0123456789ab"
    assert (await running.client.post(SIGN, json={}, headers={"TraceId": sent})).headers["TraceId"] == sent
    made = []
    for other in ("", "canary", sent + "0", "{" + sent + "}"):
        answer = await running.client.get("/nothing", headers={"TraceId": other})
        made.append(answer.headers["TraceId"])
        assert uuid.UUID(made[-1]).version == 7
    assert len(set(made)) == len(made)
    assert all("traceid" not in request.headers for _, request in guest.requests), "it goes no further than the host"


async def test_health_with_a_nonce_is_the_enclave_s_own(start_host: StartHost, guest: Guest) -> None:
    asked: list[dict[str, str]] = []

    async def attesting(worker: int, request: Request) -> Response:
        asked.append(dict(request.headers))
        answer = await echo(worker, request)
        return replace(answer, headers=dict(answer.headers) | {"x-attestation-document": "ZG9j"})

    running = await start_host()
    await running.serving()
    guest.answer = attesting
    answer = await running.client.get("/health", headers={"X-Attestation-Nonce": "n"})
    assert answer.json() == HEALTHY
    assert answer.headers["x-attestation-document"] == "ZG9j"
    assert {"x-attestation-nonce": "n"} in asked
    assert "store" in (await running.client.get("/health")).json(), "without one it is the host's view"


async def test_status_comes_from_the_enclave_with_the_nonce(start_host: StartHost) -> None:
    running = await start_host(scope="@1")
    answer = await running.client.get("/status", headers={"X-Attestation-Nonce": "n", "Content-Type": "x"})
    assert answer.json()["method"] == "GET /status"
    assert answer.json()["headers"] == {"x-attestation-nonce": "n"}


async def test_head_has_the_headers_and_no_body(start_host: StartHost) -> None:
    running = await start_host()
    await running.serving()
    answer = await running.client.head("/health")
    assert answer.status_code == 200
    assert answer.content == b""
    assert (await running.client.get("/health")).status_code == 200, "the connection is still in step"


# --- cross-origin ---


async def test_preflight_names_what_the_wire_format_lists(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    before = len(guest.requests)
    answer = await running.client.options(
        SIGN,
        headers={
            **ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-attestation-nonce",
        },
    )
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert answer.headers["access-control-max-age"] == "600"
    allowed = set(answer.headers["access-control-allow-headers"].split(", "))
    assert allowed == {
        "Accept", "Authorization", "Content-Type", "X-Access-Key", "X-Attestation-Nonce", "Accept-Signature", "Webrpc",
        "X-Receipt-Nonce",
    }  # fmt: skip
    assert len(guest.requests) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", SIGN, 200),
        ("TRACE", SIGN, 405),
        ("GET", "/status", 200),
        ("GET", "/health", 200),
        ("GET", "/none", 404),
    ],
)
async def test_every_answer_reflects_the_origin_and_exposes_the_document(
    start_host: StartHost, method: str, path: str, status: int
) -> None:
    running = await start_host()
    await running.serving()
    answer = await running.client.request(method, path, headers=ORIGIN)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "Origin"
    assert set(answer.headers["access-control-expose-headers"].split(", ")) == {
        "Date", "Signature", "Signature-Input", "Content-Digest", "X-RateLimit-Limit", "X-RateLimit-Remaining",
        "X-RateLimit-Reset", "Webrpc", "X-Attestation-Document", "X-Receipt",
    }  # fmt: skip


async def test_without_an_origin_nothing_is_allowed(start_host: StartHost) -> None:
    running = await start_host()
    answer = await running.client.get("/health")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = await running.client.options(SIGN, headers={"Access-Control-Request-Method": "POST"})
    assert not [name for name in preflight.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", [b"", b"a b", b"https://\xc3\xa4", b"a" * (limits.MAX_ORIGIN_CHARS + 1)])
def test_origin_that_is_no_origin_is_not_reflected(origin: bytes) -> None:
    assert cors.response_headers(origin) == cors.response_headers(None)
    assert cors.preflight_headers(origin) == cors.preflight_headers(None)


def test_origin_at_the_cap_is_reflected() -> None:
    origin = b"a" * limits.MAX_ORIGIN_CHARS
    assert (b"access-control-allow-origin", origin) in cors.response_headers(origin)


# --- bodies ---


async def test_body_at_the_cap_passes_and_one_byte_more_is_refused(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    answer = await running.client.post(SIGN, content=b"x" * limits.MAX_BODY_BYTES)
    assert len(answer.json()["body"]) == limits.MAX_BODY_BYTES
    before = len(guest.requests)
    assert_error(await running.client.post(SIGN, content=b"x" * (limits.MAX_BODY_BYTES + 1)), errors.REQUEST_TOO_LARGE)
    assert len(guest.requests) == before


async def test_chunked_body_above_the_cap_is_refused_while_it_arrives(start_host: StartHost, guest: Guest) -> None:
    async def chunks(total: int) -> AsyncIterator[bytes]:
        for _ in range(total // 4096):
            yield b"x" * 4096

    running = await start_host()
    answer = await running.client.post(SIGN, content=chunks(limits.MAX_BODY_BYTES))
    assert len(answer.json()["body"]) == limits.MAX_BODY_BYTES
    before = len(guest.requests)
    answer = await running.client.post(SIGN, content=chunks(limits.MAX_BODY_BYTES + 4096))
    assert_error(answer, errors.REQUEST_TOO_LARGE)
    assert len(guest.requests) == before


@pytest.mark.parametrize("name", ["Content-Type", "X-Attestation-Nonce", "Origin"])
async def test_doubled_header_that_would_be_forwarded_is_refused(start_host: StartHost, name: str) -> None:
    running = await start_host()
    headers = [(name, "a"), (name, "b"), ("Content-Length", "2")]
    answer = await running.client.post(SIGN, content=b"{}", headers=headers)
    assert_error(answer, errors.BAD_REQUEST, "duplicate header")


# --- rates ---


async def test_client_over_its_rate_gets_429_before_any_work(start_host: StartHost, guest: Guest) -> None:
    running = await start_host(rates=Rates(client_per_s=0.01, client_burst=2, auth_key_per_s=1e9, auth_key_burst=1e9))
    before = len(guest.requests)
    assert [(await running.client.post(SIGN, json={})).status_code for _ in range(2)] == [200, 200]
    for path in (SIGN, "/none", "/rpc/A/B"):
        answer = await running.client.post(path, json={})
        assert_error(answer, errors.USAGE_LIMIT_EXCEEDED)
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["x-ratelimit-remaining"] == "0"
    assert_error(await running.client.get("/health"), errors.USAGE_LIMIT_EXCEEDED)
    assert len(guest.requests) == before + 2


async def test_auth_key_over_its_rate_gets_429_and_others_do_not(start_host: StartHost) -> None:
    running = await start_host(rates=Rates(client_per_s=1e9, client_burst=1e9, auth_key_per_s=0.01, auth_key_burst=1))
    lower = {"authKey": {"address": KEY["authKey"]["address"].lower()}}
    assert (await running.client.post(SIGN, json=KEY)).status_code == 200
    assert_error(await running.client.post(SIGN, json=lower), errors.USAGE_LIMIT_EXCEEDED)
    assert (await running.client.post(SIGN, json={"authKey": {"address": "0x01"}})).status_code == 200
    assert (await running.client.post(SIGN, content=b"not json")).status_code == 200


# --- failures ---


async def test_enclave_that_goes_away_mid_request_gives_one_clear_error_and_comes_back(
    start_host: StartHost, guest: Guest
) -> None:
    arrived = asyncio.Event()

    async def silence(_: int, request: Request) -> None:
        if request.method.startswith("POST"):
            arrived.set()

    running = await start_host()
    normal, guest.answer = guest.answer, silence
    request = asyncio.create_task(running.client.post(SIGN, json=KEY))
    await arrived.wait()
    await guest.stop()
    assert_error(await request, errors.ENCLAVE_UNREACHABLE)
    assert_error(await running.client.post(SIGN, json=KEY), errors.ENCLAVE_UNREACHABLE)
    posts = [r for _, r in guest.requests if r.method.startswith("POST")]
    assert len(posts) == 1, "never sent again by itself"

    guest.answer = normal
    await guest.start()

    async def answers() -> bool:
        return (await running.client.post(SIGN, json=KEY)).status_code == 200

    await eventually(answers)


async def test_exception_inside_the_host_is_an_error_body_without_a_trace(
    start_host: StartHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: bytes) -> str:
        raise ValueError("canary-in-exception-text")

    running = await start_host()
    monkeypatch.setattr("host_proxy.http.routing_key", broken)
    answer = await running.client.post(SIGN, json=KEY)
    assert_error(answer, errors.INTERNAL_ERROR)
    logged = running.output.getvalue()
    assert '"kind": "ValueError"' in logged
    assert "canary" not in logged + answer.text
    assert running.metrics.registry.get_sample_value("chancery_faults_total") == 1


async def test_canaries_of_a_request_stay_out_of_logs_and_metrics(start_host: StartHost, guest: Guest) -> None:
    async def failing(_: int, request: Request) -> Response:
        return json_response(request, 500, errors.error_body(errors.INTERNAL_ERROR))

    running = await start_host()
    guest.answer = failing
    await running.client.post(
        "/rpc/Canary/Canary", content=b'{"canary": 1}', headers={"Origin": "canary", "X-Attestation-Nonce": "canary"}
    )
    written = running.output.getvalue() + running.metrics.exposition().decode()
    assert '"event": "http.failed"' in written
    assert "anary" not in written
    assert "127.0.0.1" not in written
