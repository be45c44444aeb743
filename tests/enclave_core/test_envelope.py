"""The signed envelope and the dispatcher: order of checks, causes, one answer for anything."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attestation.document import parse_attestation_document
from enclave.auth_key import parse_key, verify_request_signature
from enclave.dispatch import DOCUMENT_HEADER, NONCE_HEADER
from enclave.errors import Refusal
from protocol import limits
from protocol.errors import TABLE
from tests.appliance import Client, Refused, World, commit_params

COMMIT = "/rpc/IdentityInstrument/CommitVerifier"
PARAMS = commit_params("user@example.com")
CODES = {row.code for row in TABLE}


async def body_of(world: World, body: bytes, **options: Any) -> dict[str, Any]:
    response = await world.raw(COMMIT, body, **options)
    value: dict[str, Any] = json.loads(response.body)
    assert response.status == value["status"]
    assert list(value) == [name for name in ("error", "code", "msg", "cause", "status") if name in value]
    return value


async def refused(call: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


def test_the_golden_secp256k1_signature_of_published_clients() -> None:
    """identity-instrument.md section 10, row 11."""
    key = parse_key({"keyType": "Ethereum_Secp256k1", "address": "0x3779a1B3B799408B93e7E3D841C71051B34170C2"})
    canonical = b'{"authMode":"OTP","handle":"user@example.com","identityType":"Email","metadata":{},"scope":"@123"}'
    signature = (
        "0x5ed63a8c3428800e4f5d26cbb84fef8cda29970ef23fa9bb0c6f9b67e3dd1480"
        "031bfe7aa1de57b6ab3c489a5217b60b2ddaeb402ac971f9da8be731c53c3d8801"
    )
    assert key is not None
    for variant in (signature, signature[2:], signature.upper().replace("0X", "0x"), signature[:-2] + "1c"):
        verify_request_signature(key, variant, canonical)
    for wrong in (signature[:-2] + "1b", signature[:-2] + "02", signature[:-2], signature + "00", "0xzz"):
        with pytest.raises(Refusal, match="InvalidSignature"):
            verify_request_signature(key, wrong, canonical)


def test_the_golden_p256_signature_of_published_clients() -> None:
    """identity-instrument.md section 10, row 12."""
    key = parse_key(
        {
            "keyType": "WebCrypto_Secp256r1",
            "address": "0x0467aeb792fad084f7b7f4ae2341f1bb4e7928f2a25f7e24f47ff208ab07002a24"
            "4ce4c6df110b754af729a33e05829c41c6fd35f6a0ae5e4b5f948ae1b7e19863",
        }
    )
    canonical = (
        b'{"answer":"0x5cd28a96f75561beb897bef5ee5fad1d561f7e1d3e84323649f9acfe8a9ef4eb","authMode":"OTP",'
        b'"identityType":"Email","scope":"@1","signerType":"Ethereum_Secp256k1","verifier":"user+1@example.com"}'
    )
    signature = (
        "0xeea581040f918c9ab62db6cf7d0e34c014cf63fc2d5298c3de774aeba4f45561"
        "8be6341c402e38ddc1dd52e534e1c0f29c48adc163f2cc08cec396a7e7b39625"
    )
    assert key is not None
    verify_request_signature(key, signature, canonical)
    for wrong in (signature[:-2], signature + "00", "0x" + "00" * 64, signature[:-2] + "26"):
        with pytest.raises(Refusal, match="InvalidSignature"):
            verify_request_signature(key, wrong, canonical)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda e: e | {"params": None}, "params is required"),
        (lambda e: {name: e[name] for name in ("authKey", "signature")}, "params is required"),
        (lambda e: e | {"authKey": None}, "valid auth key is required"),
        (lambda e: e | {"authKey": {"keyType": "RSA", "address": "0x00"}}, "valid auth key is required"),
        (
            lambda e: e | {"authKey": e["authKey"] | {"address": e["authKey"]["address"][2:]}},
            "valid auth key is required",
        ),
        (lambda e: e | {"authKey": e["authKey"] | {"address": "0x04" + "11" * 64}}, "valid auth key is required"),
        (lambda e: e | {"signature": ""}, "signature is required"),
        (lambda e: e | {"signature": 7}, "signature is required"),
    ],
)
async def test_missing_members_are_named_in_the_published_order(world: World, change: Any, cause: str) -> None:
    envelope = change(Client(world).envelope(PARAMS))
    value = await body_of(world, json.dumps(envelope).encode())
    assert (value["code"], value["cause"]) == (7200, cause)


async def test_everything_missing_names_params_first(world: World) -> None:
    assert (await body_of(world, b"{}"))["cause"] == "params is required"


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"\xff\xfe", b'"text"', b"{}{}", b"[" * 5000])
async def test_what_is_not_a_json_object_is_invalid(world: World, body: bytes) -> None:
    value = await body_of(world, body)
    assert value["code"] == 7200


async def test_duplicate_members_anywhere_are_refused(world: World) -> None:
    envelope = json.dumps(Client(world).envelope(PARAMS))
    doubled = envelope.replace('"scope"', '"handle": "other@example.com", "scope"', 1)
    value = await body_of(world, doubled.encode())
    assert value["cause"].startswith("failed to canonicalize params: Duplicate key")


async def test_a_changed_parameter_breaks_the_signature(world: World) -> None:
    for ethereum in (False, True):
        client = Client(world, ethereum=ethereum)
        envelope = client.envelope(PARAMS)
        envelope["params"] = PARAMS | {"handle": "thief@example.com"}
        error = await refused(client.send(COMMIT, envelope))
        assert (error.code, error.cause) == (7201, "verification failed")


async def test_another_key_s_name_breaks_the_signature(world: World) -> None:
    client, other = Client(world), Client(world)
    assert (await refused(client.send(COMMIT, client.envelope(PARAMS) | {"authKey": other.auth_key}))).code == 7201


async def test_unknown_members_are_covered_by_the_signature_and_ignored(world: World) -> None:
    client = Client(world)
    assert await client.call("CommitVerifier", PARAMS | {"surprise": [1, 2.5, None, {"é": "\u20ac"}]})


async def test_content_type_and_method_come_after_the_signature(world: World) -> None:
    good = json.dumps(Client(world).envelope(PARAMS)).encode()
    assert (await body_of(world, good, headers={"content-type": "text/plain"}))["code"] == -4
    assert (await body_of(world, good, headers={}))["code"] == -4
    assert (await body_of(world, good, headers={"content-type": "Application/JSON; charset=utf-8"}, http_method="PUT"))[
        "code"
    ] == -3
    assert (await body_of(world, b"", http_method="GET"))["code"] == 7200


@pytest.mark.parametrize("path", ["/", "/rpc", "/rpc/IdentityInstrument/Nothing", "/rpc/identityinstrument/Sign"])
async def test_unknown_paths_are_bad_routes(world: World, path: str) -> None:
    response = await world.raw(path, b"{}")
    assert (response.status, json.loads(response.body)["code"]) == (404, -2)


@pytest.mark.parametrize("frame_method", ["", "POST", "POST relative", "FETCH /x", "POST /\n", "POST /" + "a" * 101])
async def test_frame_methods_of_another_form_are_bad_routes(world: World, frame_method: str) -> None:
    from protocol.frames import Request

    response = await world.enclave.answer(Request(1, frame_method, {}, b""))
    assert json.loads(response.body)["code"] == -2


async def test_a_body_at_the_cap_is_read_and_one_byte_more_is_too_large(world: World) -> None:
    client = Client(world)
    envelope = client.envelope(PARAMS | {"padding": ""})
    room = limits.MAX_BODY_BYTES - len(json.dumps(envelope))
    full = json.dumps(client.envelope(PARAMS | {"padding": "x" * room})).encode()
    assert len(full) == limits.MAX_BODY_BYTES
    assert (await world.raw(COMMIT, full)).status == 200
    assert (await body_of(world, full + b" "))["code"] == 7311


@pytest.mark.parametrize(
    ("nonce", "cause"),
    [
        ("n" * (limits.MAX_NONCE_HEADER_CHARS + 1), "X-Attestation-Nonce value cannot be longer than 32"),
        ("a b", "X-Attestation-Nonce value contains invalid characters"),
        ("a\n", "X-Attestation-Nonce value contains invalid characters"),
        ("é", "X-Attestation-Nonce value contains invalid characters"),
    ],
)
async def test_a_bad_nonce_header_is_refused_before_anything_else(world: World, nonce: str, cause: str) -> None:
    response = await world.raw(COMMIT, b"", {NONCE_HEADER: nonce})
    value = json.loads(response.body)
    assert (value["code"], value["cause"]) == (0, cause)
    assert DOCUMENT_HEADER not in response.headers


async def test_an_answer_is_attested_when_asked_for_and_so_is_an_error(world: World) -> None:
    nonce = "A-Za-z0-9._-/+=" + "x" * 17
    for body in (json.dumps(Client(world).envelope(PARAMS)).encode(), b"{}"):
        response = await world.raw(COMMIT, body, {"content-type": "application/json", NONCE_HEADER: nonce})
        document = parse_attestation_document(base64.b64decode(response.headers[DOCUMENT_HEADER]))
        digest = hashlib.sha256(f"POST {COMMIT}\n".encode() + body + b"\n" + response.body).digest()
        assert document.nonce == nonce.encode()
        assert document.user_data == b"Sequence/1:" + base64.b64encode(digest)
        assert document.public_key == b"recipient"
    assert DOCUMENT_HEADER not in (await world.raw(COMMIT, b"{}")).headers


async def test_an_exception_that_nobody_foresaw_is_a_code_a_counter_and_no_text(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("canary-in-the-text")

    monkeypatch.setattr("enclave.login.otp.generate_code", explode)
    error = await refused(Client(world).call("CommitVerifier", PARAMS))
    assert (error.code, error.cause) == (7100, "")
    assert world.enclave._dispatcher.failures == 1
    assert "canary" not in capsys.readouterr().err
    monkeypatch.undo()
    assert await Client(world).call("CommitVerifier", PARAMS)


async def test_too_many_requests_at_once_get_busy(world: World) -> None:
    world.enclave._dispatcher._running = limits.MAX_IN_FLIGHT
    assert (await body_of(world, b"{}"))["code"] == 7310
    world.enclave._dispatcher._running = limits.MAX_IN_FLIGHT - 1
    assert (await body_of(world, b"{}"))["code"] == 7200


async def test_a_request_that_takes_too_long_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_DEADLINE_S", 0.01)

    async def hang(_: object) -> None:
        import asyncio

        await asyncio.Event().wait()

    monkeypatch.setattr(world.mailer, "send", hang)
    assert (await refused(Client(world).call("CommitVerifier", PARAMS))).code == 7312


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
async def test_random_bytes_always_get_the_error_body(world: World, body: bytes) -> None:
    assert (await body_of(world, body))["code"] in CODES


SAFE_INTEGERS = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | SAFE_INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = ["scope", "identityType", "authMode", "metadata", "handle", "signer", "verifier", "answer", "signerType"]
MEMBERS += ["lifetime", "nonce", "digest", "method", "origin", "expires", "session", "message", "transaction"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(MEMBERS), JSON_VALUES, max_size=6),
    st.sampled_from(["CommitVerifier", "CompleteAuth", "Sign"]),
)
async def test_signed_nonsense_always_gets_the_error_body(world: World, changes: dict[str, Any], method: str) -> None:
    client = Client(world)
    body = json.dumps(client.envelope(PARAMS | changes)).encode()
    response = await world.raw(f"/rpc/IdentityInstrument/{method}", body)
    code = json.loads(response.body).get("code")
    assert response.status == 200 or (code in CODES and code != 7100), response.body
