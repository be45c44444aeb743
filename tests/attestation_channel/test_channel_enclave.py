"""The enclave's end: opened at most once, with keys that change, dispatched as if plain (CH-01, CH-03, CH-05)."""

import asyncio
import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from attestation import channel
from attestation.binding import content_user_data, parse_binding
from attestation.channel import Exchange, InnerRequest, InnerResponse
from attestation.document import parse_attestation_document
from enclave import channel as enclave_channel
from enclave.channel import SealedChannel
from enclave.config import parse_config
from enclave.deadlines import Deadlines
from enclave.errors import BootError, Refusal
from protocol import errors, limits
from protocol.errors import ErrorCode
from protocol.frames import Request, Response
from tests.appliance import SCOPE, Client, World, b64u, commit_params, complete_params, config_json, otp_answer

JSON = {"content-type": "application/json"}
CBOR = {"content-type": channel.CONTENT_TYPE}
LIFETIME_S = 600
COMMIT = "POST /rpc/IdentityInstrument/CommitVerifier"


async def attested_key(world: World) -> bytes:
    """The channel key that a fresh binding document names."""
    nonce = secrets.token_urlsafe(24)
    answer = await world.raw("/rpc/Attestation/Document", json.dumps({"nonce": nonce}).encode())
    user_data = parse_attestation_document(b64u(json.loads(answer.body)["document"])).user_data
    return parse_binding(user_data or b"").channel_key


class Sealing:
    """A client that seals to one key."""

    def __init__(self, world: World, key: bytes) -> None:
        self.world, self.key = world, key

    def seal(self, request: InnerRequest, request_id: bytes | None = None) -> tuple[bytes, Exchange]:
        return channel.seal_request(self.key, request, request_id or secrets.token_bytes(16))

    async def send(self, envelope: bytes, headers: dict[str, str] | None = None) -> Response:
        return await self.world.raw(channel.PATH, envelope, CBOR | (headers or {}))

    async def call(self, request: InnerRequest, headers: dict[str, str] | None = None) -> InnerResponse:
        envelope, exchange = self.seal(request)
        answer = await self.send(envelope, headers)
        assert (answer.status, answer.headers) == (200, CBOR)
        return exchange.open_response(answer.body)

    async def post(self, path: str, value: Any) -> dict[str, Any]:
        answer = await self.call(InnerRequest(f"POST {path}", JSON, json.dumps(value).encode()))
        body: dict[str, Any] = json.loads(answer.body)
        assert answer.status == 200, body
        return body


@pytest.fixture
async def sealing(world: World) -> Sealing:
    return Sealing(world, await attested_key(world))


def refused(answer: Response) -> ErrorCode:
    """The row of the table in an unsealed answer."""
    body = json.loads(answer.body)
    assert answer.status == body["status"]
    return next(row for row in errors.TABLE if row.code == body["code"])


async def test_whole_login_goes_through_sealed(sealing: Sealing, world: World) -> None:
    client = Client(world)
    instrument = "/rpc/IdentityInstrument"
    started = await sealing.post(f"{instrument}/CommitVerifier", client.envelope(commit_params("user@example.com")))
    answer = otp_answer(started["challenge"], world.mailer.last_code())
    params = complete_params(started["verifier"], answer)
    done = await sealing.post(f"{instrument}/CompleteAuth", client.envelope(params))
    plain = await Client(world).call("CommitVerifier", commit_params("user@example.com"))
    assert done["signer"]["address"].startswith("0x")
    assert plain.keys() == started.keys()


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (InnerRequest("POST /rpc/No/Such", JSON, b"{}"), 404, errors.BAD_ROUTE),
        (InnerRequest("nonsense", JSON, b"{}"), 404, errors.BAD_ROUTE),
        (InnerRequest("GET /rpc/Attestation/Document", JSON, b"{}"), 405, errors.BAD_METHOD),
        (InnerRequest(COMMIT, JSON, b"{}"), 400, errors.INVALID_REQUEST),
        (InnerRequest(COMMIT, JSON | {"x-attestation-nonce": "?"}, b"{}"), 400, errors.ENDPOINT_ERROR),
    ],
)
async def test_errors_are_the_same_as_for_plain_calls_and_sealed(
    sealing: Sealing, request_: InnerRequest, status: int, code: ErrorCode
) -> None:
    sealed = await sealing.call(request_)
    plain = await sealing.world.enclave.answer(Request(1, request_.method, request_.headers, request_.body))
    assert (sealed.status, sealed.headers, sealed.body) == (plain.status, plain.headers, plain.body)
    assert (sealed.status, json.loads(sealed.body)["code"]) == (status, code.code)


async def test_sealed_call_can_be_attested_like_a_plain_one(sealing: Sealing) -> None:
    answer = await sealing.call(InnerRequest("GET /status", {"x-attestation-nonce": "my-nonce"}, b""))
    document = parse_attestation_document(base64.b64decode(answer.headers["x-attestation-document"]))
    assert document.nonce == b"my-nonce"
    assert document.user_data == content_user_data("GET", "/status", b"", answer.body)


async def test_sealed_call_inside_a_sealed_call_is_no_route(sealing: Sealing) -> None:
    inner, _ = sealing.seal(InnerRequest("GET /status", {}, b""))
    answer = await sealing.call(InnerRequest(f"POST {channel.PATH}", {"content-type": channel.CONTENT_TYPE}, inner))
    assert answer.status == 404


async def test_dispatch_can_tell_sealed_calls_from_plain_ones(sealing: Sealing) -> None:
    seen = []
    dispatcher = sealing.world.enclave._dispatcher
    original = dispatcher._routes.open["/rpc/Attestation/Document"]

    async def spy(call: Any) -> Any:
        seen.append(call.sealed)
        return await original(call)

    dispatcher._routes.open["/rpc/Attestation/Document"] = spy  # type: ignore[index]
    body = json.dumps({"nonce": secrets.token_urlsafe(24)}).encode()
    await sealing.call(InnerRequest("POST /rpc/Attestation/Document", JSON, body))
    await sealing.world.raw("/rpc/Attestation/Document", body)
    assert seen == [True, False]


async def test_scope_of_the_host_counts_as_for_plain_calls_and_the_client_cannot_name_it_unsigned(
    sealing: Sealing, world: World
) -> None:
    client = Client(world)
    params = commit_params("user@example.com")
    del params["scope"]
    request = InnerRequest(COMMIT, JSON, json.dumps(client.envelope(params)).encode())
    assert (await sealing.call(request)).status == 400
    assert (await sealing.call(request, {"x-sequence-scope": SCOPE})).status == 200
    forged = InnerRequest(COMMIT, JSON | {"x-sequence-scope": SCOPE}, request.body)
    assert refused(await sealing.send(sealing.seal(forged)[0])) is errors.CHANNEL_UNOPENED


async def test_ch05_repeated_request_is_refused(sealing: Sealing) -> None:
    envelope, exchange = sealing.seal(InnerRequest("GET /status", {}, b""))
    first = await sealing.send(envelope)
    assert exchange.open_response(first.body).status == 200
    assert refused(await sealing.send(envelope)) is errors.CHANNEL_REPLAYED
    again, _ = sealing.seal(InnerRequest("GET /status", {}, b""), channel.parse_request(envelope).request_id)
    assert refused(await sealing.send(again)) is errors.CHANNEL_REPLAYED


async def test_ch05_of_parallel_copies_one_is_opened(sealing: Sealing) -> None:
    envelope, _ = sealing.seal(InnerRequest("GET /status", {}, b""))
    answers = await asyncio.gather(*(sealing.send(envelope) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200, *[409] * 7]


async def test_damaged_requests_do_not_use_up_the_id(sealing: Sealing) -> None:
    envelope, exchange = sealing.seal(InnerRequest("GET /status", {}, b""))
    assert refused(await sealing.send(envelope[:-1] + bytes([envelope[-1] ^ 1]))) is errors.CHANNEL_UNOPENED
    assert exchange.open_response((await sealing.send(envelope)).body).status == 200


@pytest.mark.parametrize("body", [b"", b"{}", b"\x80", bytes(1000), b"\xff" * 65_536])
async def test_garbage_is_refused(sealing: Sealing, body: bytes) -> None:
    assert refused(await sealing.send(body)) is errors.CHANNEL_UNOPENED


async def test_other_content_types_are_refused(sealing: Sealing) -> None:
    envelope, _ = sealing.seal(InnerRequest("GET /status", {}, b""))
    for headers in (JSON, {}, {"content-type": "application/cbor; x=y"}):
        assert refused(await sealing.world.raw(channel.PATH, envelope, headers)) is errors.BAD_REQUEST


async def test_ch03_key_of_the_last_boot_is_refused_with_a_code_that_says_attest_again(
    sealing: Sealing, world: World
) -> None:
    await world.boot()
    envelope, _ = sealing.seal(InnerRequest("GET /status", {}, b""))
    assert refused(await sealing.send(envelope)) is errors.CHANNEL_KEY_UNKNOWN
    assert await attested_key(world) != sealing.key


async def test_ch03_rotation_gives_a_new_key_keeps_the_last_one_and_drops_the_one_before(tmp_path: Path) -> None:
    world = World(tmp_path, limits={"channel_key_s": LIFETIME_S})
    await world.boot()
    status = InnerRequest("GET /status", {}, b"")
    first = Sealing(world, await attested_key(world))
    await world.pass_time(LIFETIME_S - 1)
    assert await attested_key(world) == first.key
    await world.pass_time(1)
    second = Sealing(world, await attested_key(world))
    assert second.key != first.key
    assert (await first.call(status)).status == (await second.call(status)).status == 200
    await world.pass_time(LIFETIME_S)
    third = await attested_key(world)
    assert third not in (first.key, second.key)
    assert refused(await first.send(first.seal(status)[0])) is errors.CHANNEL_KEY_UNKNOWN
    assert (await second.call(status)).status == 200
    await world.stop()


async def test_ch03_request_is_not_opened_again_under_the_next_key(tmp_path: Path) -> None:
    """A client that attests again repeats the id: the enclave still knows whether the first one had arrived."""
    world = World(tmp_path, limits={"channel_key_s": LIFETIME_S})
    await world.boot()
    status, id_ = InnerRequest("GET /status", {}, b""), secrets.token_bytes(16)
    first = Sealing(world, await attested_key(world))
    assert (await first.send(first.seal(status, id_)[0])).status == 200
    await world.pass_time(LIFETIME_S)
    second = Sealing(world, await attested_key(world))
    assert refused(await second.send(second.seal(status, id_)[0])) is errors.CHANNEL_REPLAYED
    await world.stop()


class Time:
    def __init__(self) -> None:
        self.ms = 5_000

    def __call__(self) -> int:
        return self.ms


def test_ch03_idle_enclave_forgets_both_keys() -> None:
    time = Time()
    sealed = SealedChannel(X25519PrivateKey.generate(), time, LIFETIME_S)
    first = sealed.public_key
    time.ms += 2 * LIFETIME_S * 1000
    sealed.rotate_if_due()
    assert [key.public for key in sealed._live()] == [sealed.public_key]
    assert sealed.public_key != first


async def test_ch03_rotation_needs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclave_channel, "_ROUND_S", 0)
    time = Time()
    sealed = SealedChannel(X25519PrivateKey.generate(), time, LIFETIME_S)
    task = asyncio.create_task(sealed.keep_rotated())
    first = sealed._current
    time.ms += LIFETIME_S * 1000
    async with asyncio.timeout(5):
        while sealed._current is first:  # noqa: ASYNC110  it has no hook for tests
            await asyncio.sleep(0)
    task.cancel()


def test_key_that_has_opened_as_many_requests_as_it_may_is_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_CHANNEL_REQUESTS bounds what is remembered, and no id is ever forgotten while its key lives."""
    cap = 3
    assert limits.MAX_CHANNEL_REQUESTS == 100_000
    monkeypatch.setattr(limits, "MAX_CHANNEL_REQUESTS", cap)
    sealed = SealedChannel(X25519PrivateKey.generate(), Time(), LIFETIME_S)
    first = sealed.public_key

    def open_one(key: bytes) -> None:
        envelope, _ = channel.seal_request(key, InnerRequest("GET /", {}, b""), secrets.token_bytes(16))
        sealed.open(Request(1, enclave_channel.SEALED_METHOD, CBOR, envelope))

    for _ in range(cap - 1):
        open_one(first)
    assert sealed.public_key == first
    open_one(first)
    second = sealed.public_key
    assert second != first
    open_one(first)  # as the previous key it opens a few more, until the next change
    for _ in range(cap):
        open_one(second)
    with pytest.raises(Refusal) as caught:
        open_one(first)
    assert caught.value.error is errors.CHANNEL_KEY_UNKNOWN


def test_previous_key_opens_no_more_than_it_may_either(monkeypatch: pytest.MonkeyPatch) -> None:
    cap = 2
    monkeypatch.setattr(limits, "MAX_CHANNEL_REQUESTS", cap)
    sealed = SealedChannel(X25519PrivateKey.generate(), Time(), LIFETIME_S)
    first = sealed.public_key

    def outcome() -> ErrorCode | None:
        envelope, _ = channel.seal_request(first, InnerRequest("GET /", {}, b""), secrets.token_bytes(16))
        try:
            sealed.open(Request(1, enclave_channel.SEALED_METHOD, CBOR, envelope))
        except Refusal as refusal:
            return refusal.error
        return None

    assert [outcome() for _ in range(2 * cap + 1)] == [None] * 2 * cap + [errors.CHANNEL_KEY_UNKNOWN]


@pytest.mark.parametrize(("seconds", "fits"), [(59, False), (60, True), (86_400, True), (86_401, False)])
def test_lifetime_of_keys_is_bounded_by_the_configuration(seconds: int, fits: bool) -> None:
    data = json.dumps(config_json(limits={"channel_key_s": seconds})).encode()
    if fits:
        assert parse_config(data).limits.channel_key_s == seconds
    else:
        with pytest.raises(BootError):
            parse_config(data)


async def test_answer_too_large_to_seal_is_an_internal_error(sealing: Sealing, monkeypatch: pytest.MonkeyPatch) -> None:
    async def long(_: Any) -> Any:
        return "x" * limits.MAX_SEALED_RESPONSE_BYTES

    routes: Any = sealing.world.enclave._dispatcher._routes.open
    monkeypatch.setitem(routes, "/rpc/Attestation/Document", long)
    envelope, _ = sealing.seal(InnerRequest("POST /rpc/Attestation/Document", JSON, b"{}"))
    assert refused(await sealing.send(envelope)) is errors.INTERNAL_ERROR


async def test_unforeseen_failures_and_lateness_are_sealed(sealing: Sealing, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Any) -> Any:
        raise ZeroDivisionError

    async def late(_: Any) -> Any:
        raise TimeoutError

    routes: Any = sealing.world.enclave._dispatcher._routes.open
    for method, code in ((fail, errors.INTERNAL_ERROR), (late, errors.DEADLINE_EXCEEDED)):
        monkeypatch.setitem(routes, "/rpc/Attestation/Document", method)
        answer = await sealing.call(InnerRequest("POST /rpc/Attestation/Document", JSON, b"{}"))
        assert json.loads(answer.body)["code"] == code.code


async def test_sealed_call_that_takes_too_long_says_so_under_the_seal(
    sealing: Sealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: Any) -> Any:
        await asyncio.Event().wait()

    dispatcher = sealing.world.enclave._dispatcher
    assert dispatcher._deadlines._seconds == limits.REQUEST_DEADLINE_S
    monkeypatch.setattr(dispatcher, "_deadlines", Deadlines(0.05))
    routes: Any = dispatcher._routes.open
    monkeypatch.setitem(routes, "/rpc/Attestation/Document", hang)
    answer = await sealing.call(InnerRequest("POST /rpc/Attestation/Document", JSON, b"{}"))
    assert json.loads(answer.body)["code"] == errors.DEADLINE_EXCEEDED.code


async def test_booting_enclave_opens_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    envelope, _ = channel.seal_request(
        X25519PrivateKey.generate().public_key().public_bytes_raw(), InnerRequest("GET /", {}, b""), bytes(16)
    )
    assert refused(await world.raw(channel.PATH, envelope, CBOR)) is errors.NOT_SERVING


def test_nothing_secret_shows_in_a_repr() -> None:
    private = X25519PrivateKey.generate()
    sealed = SealedChannel(private, Time(), LIFETIME_S)
    assert private.private_bytes_raw().hex() not in repr(sealed._current)
    assert "private" not in repr(sealed._current)
