"""Headers, bodies and order of checks of the published wire format over HTTP (identity-instrument.md 1 and 10)."""

import base64
import hashlib
import json
import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from attestation.binding import content_user_data
from attestation.document import parse_attestation_document
from host_proxy import cors
from tests.appliance import PCRS, SCOPE, Client, commit_params, complete_params
from tests.instrument_wire.conftest import GENEROUS
from tests.instrument_wire.wire import INSTRUMENT, Answer, Wire, running

COMMIT = f"{INSTRUMENT}/CommitVerifier"
COMPLETE = f"{INSTRUMENT}/CompleteAuth"
SIGN = f"{INSTRUMENT}/Sign"
WEBRPC = "webrpc@v0.31.2;gen-golang@v0.23.3;identity-instrument@v0.1.0"
JSON = {"content-type": "application/json"}
SIGNER = {"keyType": "Ethereum_Secp256k1", "address": "0x" + "11" * 20}
PARAMS = commit_params("user@example.com")


def body_of(client: Client, params: Any = PARAMS, **members: Any) -> bytes:
    return json.dumps(client.envelope(params) | members).encode()


def test_golden_content_hashes() -> None:
    """Section 10, rows 13 and 14."""
    signed = content_user_data("POST", SIGN, b'{"a":1}', b'{"b":2}')
    assert signed == b"Sequence/1:SIjQKbJ+SJgoXNCQksDKBxmq81Is7oZDeKoK22BNbW4="
    health = content_user_data("GET", "/health", b"", b"")
    assert health == b"Sequence/1:pf8APfpKMP8/KsOIN4HSmfkGb/UEKIqkLRQffgh5vSo="


async def test_every_answer_to_a_call_is_attested_refusals_included(wire: Wire) -> None:
    client = wire.client(ethereum=False)
    requests = [
        ("POST", COMMIT, body_of(client)),
        ("POST", COMMIT, b"{}"),
        ("POST", SIGN, body_of(client, {"scope": SCOPE, "signer": SIGNER, "nonce": "0x1", "digest": "0x" + "00" * 32})),
        ("GET", COMMIT, b""),
        ("GET", "/status", b""),
        ("GET", "/health", b""),
    ]
    for method, path, body in requests:
        nonce = base64.b64encode(hashlib.sha256(body + path.encode()).digest()[:12]).decode()
        answer = await wire.request(path + "?query=1", body, JSON | {"x-attestation-nonce": nonce}, method)
        raw = base64.b64decode(answer.headers["x-attestation-document"], validate=True)
        document = parse_attestation_document(raw)
        digest = hashlib.sha256(f"{method} {path}\n".encode() + body + b"\n" + answer.body).digest()
        assert document.nonce == nonce.encode()
        assert document.user_data == b"Sequence/1:" + base64.b64encode(digest)
        assert raw[1:6] == bytes.fromhex("44a1013822"), "protected header {1: -35}"


@pytest.mark.parametrize(
    ("nonce", "cause"),
    [
        ("n" * 38, "X-Attestation-Nonce value cannot be longer than 32"),
        ("!@#$%^&*()", "X-Attestation-Nonce value contains invalid characters"),
    ],
)
async def test_bad_nonce_is_an_endpoint_error_without_attestation(wire: Wire, nonce: str, cause: str) -> None:
    answer = await wire.request(COMMIT, body_of(wire.client()), JSON | {"x-attestation-nonce": nonce})
    assert (answer.status, answer.code, answer.cause) == (400, 0, cause)
    assert "x-attestation-document" not in answer.headers
    assert "webrpc" not in answer.headers


async def test_checks_come_in_the_published_order(wire: Wire) -> None:
    """Each request breaks one thing more than the one after it; what comes first is named."""
    client = wire.client()
    text, put = {"content-type": "text/plain"}, "PUT"
    good = client.envelope(PARAMS)["signature"]
    other = good[:-4] + ("00" if good[-4:-2] != "00" else "01") + good[-2:]
    unsigned = {"params": PARAMS, "authKey": client.auth_key}
    steps: list[tuple[bytes, dict[str, str], str, int, str]] = [
        (b"nonsense", text, put, 7200, "failed to unmarshal request body: "),
        (b"{}", text, put, 7200, "params is required"),
        (json.dumps({"params": PARAMS}).encode(), text, put, 7200, "valid auth key is required"),
        (json.dumps(unsigned).encode(), text, put, 7200, "signature is required"),
        (json.dumps(unsigned | {"signature": "0x"}).encode(), text, put, 7201, "invalid signature length"),
        (body_of(client, signature=other), text, put, 7201, ""),
        (body_of(client), text, put, -4, ""),
        (body_of(client), JSON, put, -3, ""),
        (body_of(client, ["no object"]), JSON, "POST", -4, "failed to unmarshal request data: "),
        (
            body_of(client, PARAMS | {"scope": "123", "authMode": "Magic"}),
            JSON,
            "POST",
            7200,
            "valid scope is required",
        ),
        (body_of(client, PARAMS | {"authMode": "Magic", "handle": "/"}), JSON, "POST", 7200, "invalid params: "),
    ]
    for body, headers, method, code, cause in steps:
        answer = await wire.request(COMMIT, body, headers, method)
        assert (answer.code, answer.cause[: len(cause)]) == (code, cause), body
        assert ("webrpc" in answer.headers) == (answer.code in (-4, -3) or "scope" in cause or "params:" in cause)
    assert (await wire.request(COMMIT, body_of(client))).headers["webrpc"] == WEBRPC


async def test_bad_method_names_the_right_one_and_a_plain_get_is_an_invalid_request(wire: Wire) -> None:
    answer = await wire.request(COMMIT, body_of(wire.client()), method="DELETE")
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, -3, "POST")
    for method in ("GET", "OPTIONS"):
        answer = await wire.request(COMMIT, b"", {}, method)
        assert (answer.status, answer.code) == (400, 7200)


async def test_trace_id_and_types_of_answers(wire: Wire) -> None:
    answer = await wire.request("/rpc/nothing", b"")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        404,
        b"404 page not found\n",
        "text/plain; charset=utf-8",
    )
    assert uuid.UUID(answer.headers["traceid"])
    mine = str(uuid.uuid4())
    assert (await wire.request(COMMIT, b"{}", JSON | {"traceid": mine})).headers["traceid"] == mine


async def test_no_answer_carries_the_original_s_span(wire: Wire) -> None:
    """Section 8, defect 13."""
    for body in (b"{}", body_of(wire.client())):
        answer = await wire.request(COMMIT, body)
        assert [name for name in answer.headers if name.lower().startswith("x-sequence")] == []


async def test_preflight_allows_what_the_published_client_sends(wire: Wire) -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    wanted = "content-type,webrpc,x-attestation-nonce,x-access-key"
    answer = await wire.request(COMMIT, b"", asked | {"access-control-request-headers": wanted}, "OPTIONS")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert set(wanted.split(",")) <= set(allowed)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-max-age"] == "600"
    answer = await wire.request(COMMIT, body_of(wire.client()), JSON | {"origin": "https://app.example"})
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"X-Attestation-Document", "Webrpc"} <= set(exposed)
    assert ", ".join(exposed).encode() == cors.EXPOSED_HEADERS


async def test_status_has_the_published_members_in_order_and_ends_with_a_newline(wire: Wire) -> None:
    answer = await wire.request("/status", b"", {}, "GET")
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["pcr0", "startTime", "uptime", "ver"]
    assert answer.body.endswith(b"}\n")
    assert answer.json["pcr0"] == PCRS[0].hex()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.json["startTime"])
    assert datetime.fromisoformat(answer.json["startTime"])
    assert type(answer.json["uptime"]) is int


async def test_metrics_are_not_on_the_public_listener(wire: Wire) -> None:
    """Section 8, defect 19."""
    assert (await wire.request("/metrics", b"", {}, "GET")).status == 404


# --- scope ---

VALID_SCOPES = ["@123", "@456:test-app", "@789:test_app", "@300:TestApp", "@400:a", "@123:-test", "@123:_test"]
VALID_SCOPES += ["@123:123", "@123:---", "@999999999:test", "@12345678901234567890:test"]
VALID_SCOPES += ["@1:" + "a" * 96, "@1:" + "a" * 97]
INVALID_SCOPES = ["", "123", "@", "@abc", "@123abc", "@0:test", "@0123", "@123:", "@123:a.b", "@123:a b", "@123:a@b"]
INVALID_SCOPES += ["@123@a", "@123:a:b", "@123:测试", "@-123:a", "@123.45:a", "@1:" + "a" * 98]


async def scope_cause(wire: Wire, scope: str) -> str:
    return (await wire.call(wire.client(), "CommitVerifier", PARAMS | {"scope": scope})).cause


async def test_scope_grammar(wire: Wire) -> None:
    causes = {scope: await scope_cause(wire, scope) for scope in [*VALID_SCOPES, *INVALID_SCOPES]}
    assert {scope for scope, cause in causes.items() if cause == "valid scope is required"} == set(INVALID_SCOPES)
    assert {scope for scope, cause in causes.items() if cause in ("", "scope is not served")} == set(VALID_SCOPES)


async def test_scope_comes_from_the_host_s_configuration_when_params_name_none(pki_folder: Path) -> None:
    unscoped = {name: value for name, value in PARAMS.items() if name != "scope"}
    async with running(pki_folder, scope=SCOPE, limits=GENEROUS) as wire:
        client = wire.client()
        assert (await wire.call(client, "CommitVerifier", unscoped)).status == 200
        forged = await wire.call(client, "CommitVerifier", unscoped, x_sequence_scope="@999")
        assert forged.status == 200, "what a client sends under that name goes nowhere"
        rescued = await wire.call(client, "CommitVerifier", unscoped | {"scope": "nonsense"})
        assert (rescued.code, rescued.cause[:31]) == (7200, "invalid params: invalid scope: ")


# --- requests that took the original down ---


async def test_nothing_drops_the_connection(wire: Wire) -> None:
    """Section 8, defect 15: a short P-256 signature, params null, an unknown verifier."""
    client = wire.client(ethereum=False)
    short = body_of(client, signature="0x" + "11" * 63)
    unknown = body_of(client, complete_params("nobody@example.com", "0x" + "00" * 32))
    expected: list[tuple[str, bytes, int, str]] = [
        (COMMIT, short, 7201, "invalid signature length"),
        (COMMIT, b'{"params": null}', 7200, "params is required"),
        (COMPLETE, unknown, 7200, "commitment not found"),
    ]
    for path, body, code, cause in expected:
        answer = await wire.request(path, body)
        assert (answer.code, answer.cause) == (code, cause)


async def test_faults_of_clients_are_not_reported_as_faults_of_the_server(wire: Wire) -> None:
    """Section 8, defects 16 and 17."""
    client = wire.client()
    answers: list[Answer] = [
        await wire.call(client, "CommitVerifier", PARAMS | {"handle": "with/slash@example.com"}),
        await wire.call(
            client, "CommitVerifier", PARAMS | {"authMode": "IDToken", "identityType": "OIDC", "handle": ""}
        ),
        await wire.call(client, "Sign", {"scope": SCOPE, "signer": SIGNER, "nonce": "0x1", "digest": "0x" + "00" * 32}),
    ]
    assert [answer.code for answer in answers] == [7200, 7200, 7202]


async def test_body_above_the_cap_is_refused(wire: Wire) -> None:
    """Section 8, defect 24."""
    answer = await wire.request(COMMIT, b" " * (64 * 1024 + 1))
    assert (answer.status, answer.code) == (413, 7311)
