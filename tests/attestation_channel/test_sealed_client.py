"""The transports for httpx against an enclave and a hostile host: attest first, believe nothing unsealed (CH-09)."""

import dataclasses
import inspect
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from attestation import channel, client
from attestation.client import AsyncSealedTransport, SealedTransport, Service
from attestation.errors import AttestationError
from attestation.policy import AnyImage, Binding, Measurements
from attestation.roots import TrustRoot
from protocol import errors, limits
from protocol.base64url import encode_b64u
from protocol.errors import error_body
from protocol.frames import Request
from tests.appliance import MODULE_ID, PCRS, Client, b64u, commit_params
from tests.attestation_channel.attested import AttestedWorld

URL = "https://wallet.example.test"
DOCUMENT = client.DOCUMENT_PATH
IMAGE = Measurements(name="test image", pcrs=PCRS)
SEALED = {"content-type": channel.CONTENT_TYPE}

Handler = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Host(httpx.AsyncBaseTransport):
    """The way to the enclave: honest, unless a test puts something else in front. Remembers what it was given."""

    def __init__(self, world: AttestedWorld) -> None:
        self.world = world
        self.seen: list[httpx.Request] = []
        self.instead: dict[str, Handler] = {}

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.seen]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return await self.instead.get(request.url.path, self.forward)(request)

    async def forward(self, request: httpx.Request) -> httpx.Response:
        headers = {"content-type": request.headers["content-type"]}
        method = f"{request.method} {request.url.raw_path.decode()}"
        answer = await self.world.enclave.answer(Request(1, method, headers, request.content))
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


def service(world: AttestedWorld, **changes: Any) -> Service:
    demands = {"url": URL, "image": IMAGE, "roots": (TrustRoot("test", world.pki.root_der),)} | changes
    return Service(**demands)


@asynccontextmanager
async def connected(world: AttestedWorld, host: Host, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = AsyncSealedTransport(service(world, **changes), outer=host, clock=world.clock.wall_ms)
    async with httpx.AsyncClient(base_url=URL, transport=transport) as made:
        yield made


@pytest.fixture
def host(world: AttestedWorld) -> Host:
    return Host(world)


async def refusal(attempt: Awaitable[Any]) -> str:
    with pytest.raises(AttestationError) as caught:
        await attempt
    return caught.value.code


async def test_first_request_attests_and_every_request_is_sealed(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        body = Client(world).envelope(commit_params("user@example.com"))
        answers = [await sealed.post("/rpc/IdentityInstrument/CommitVerifier", json=body) for _ in range(2)]
        status = await sealed.get("/status")
    assert host.paths == [DOCUMENT, channel.PATH, channel.PATH, channel.PATH]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["webrpc"]
    assert status.json()["pcr0"] == PCRS[0].hex()
    assert answers[0].extensions["attestation"].document.module_id == MODULE_ID
    for request in host.seen[1:]:
        assert b"user@example.com" not in request.content
        assert set(request.headers) <= {"host", "content-type", "content-length", "accept-encoding"}
    assert len({len(request.content) for request in host.seen[1:]}) == 1


async def test_errors_of_the_enclave_come_back_as_they_are(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        answer = await sealed.post("/rpc/No/Such", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, errors.BAD_ROUTE.code)


async def test_query_is_sealed_too_and_no_route(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        assert (await sealed.get("/status?a=b")).status_code == 404
    assert all(not request.url.query for request in host.seen)


async def test_time_outs_are_those_of_the_callers_request(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        await sealed.get("/status", timeout=7)
    assert [request.extensions["timeout"]["read"] for request in host.seen] == [7, 7]


async def test_answer_can_be_attested_by_itself(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        answer = await sealed.get("/status", headers={"x-attestation-nonce": "mine"})
    assert len(answer.headers["x-attestation-document"]) > 4000


# --- CH-09: nothing is sent before verification has succeeded, and there is no way round ---


@pytest.mark.parametrize(
    ("demand", "code"),
    [
        ({"roots": ()}, "root-untrusted"),
        ({"roots": Service(url=URL, image=IMAGE).roots}, "root-untrusted"),
        (
            {"image": Measurements(name="other", pcrs=PCRS | {0: PCRS[0][:-1] + b"\0"})},
            "measurement-mismatch",
        ),
        ({"binding": Binding(deployment="other-deployment")}, "binding-mismatch"),
        ({"max_age_ms": -60_001}, "document-too-old"),
    ],
    ids=["no root", "Amazon's root", "another image", "another deployment", "too old"],
)
async def test_ch09_unattested_enclave_gets_no_request(
    world: AttestedWorld, host: Host, demand: dict[str, Any], code: str
) -> None:
    async with connected(world, host, **demand) as sealed:
        for _ in range(2):
            assert await refusal(sealed.post("/rpc/Session/List", json={"secret": 1})) == code
    assert set(host.paths) == {DOCUMENT}
    assert all(b"secret" not in request.content for request in host.seen)


async def test_ch09_replayed_document_is_refused(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as first:
        await first.get("/status")
    old = await host.forward(host.seen[0])

    async def replay(_: httpx.Request) -> httpx.Response:
        return old

    host.instead[DOCUMENT] = replay
    async with connected(world, host) as sealed:
        assert await refusal(sealed.get("/status")) == "nonce-mismatch"


async def test_ch09_document_that_binds_no_channel_key_is_refused(world: AttestedWorld, host: Host) -> None:
    """A genuine document with the right nonce, made for a response and not for a channel."""

    async def other_document(request: httpx.Request) -> httpx.Response:
        nonce = json.loads(request.content)["nonce"]
        document = await world.enclave._nsm.attest(user_data=b"Sequence/1:x", nonce=b64u(nonce))
        return httpx.Response(200, json={"document": encode_b64u(document)})

    host.instead[DOCUMENT] = other_document
    async with connected(world, host) as sealed:
        assert await refusal(sealed.get("/status")) == "binding-malformed"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, content=b"404 page not found"),
        httpx.Response(200, content=b"{}"),
        httpx.Response(200, json={"document": 1}),
        httpx.Response(200, json={"document": "ä"}),
        httpx.Response(200, json={"document": "A"}),
        httpx.Response(200, json=["x"]),
        httpx.Response(502, json=error_body(errors.ENCLAVE_UNREACHABLE)),
    ],
)
async def test_ch09_service_without_a_document_is_refused(
    world: AttestedWorld, host: Host, answer: httpx.Response
) -> None:
    async def respond(_: httpx.Request) -> httpx.Response:
        return answer

    host.instead[DOCUMENT] = respond
    async with connected(world, host) as sealed:
        assert await refusal(sealed.get("/status")) == "input-unreachable"


def test_ch09_there_is_no_switch_to_turn_any_of_it_off() -> None:
    names = {field.name for field in dataclasses.fields(Service)}
    assert names == {"url", "image", "roots", "binding", "max_age_ms", "pin_ms"}
    for transport in (SealedTransport, AsyncSealedTransport):
        assert set(inspect.signature(transport).parameters) == {"service", "outer", "clock"}
    assert Service(url=URL, image=IMAGE).roots[0].name.startswith("AWS")


async def test_requests_for_another_service_go_nowhere(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        for url in ("https://other.example.test/status", "http://wallet.example.test/status", f"{URL}:444/status"):
            assert await refusal(sealed.get(url)) == "channel-elsewhere"
    assert host.seen == []


# --- what the host may do to answers ---


@pytest.mark.parametrize(
    "forged",
    [
        httpx.Response(200, json={"signer": "evil"}),
        httpx.Response(200, headers={"content-type": "application/json"}, content=b"{}"),
        httpx.Response(500, json=error_body(errors.INTERNAL_ERROR)),
        httpx.Response(429, json=error_body(errors.USAGE_LIMIT_EXCEEDED)),
        httpx.Response(409, json=error_body(errors.CHANNEL_REPLAYED)),
        httpx.Response(204),
    ],
)
async def test_ch05_unsealed_answer_is_not_believed(world: AttestedWorld, host: Host, forged: httpx.Response) -> None:
    async def respond(_: httpx.Request) -> httpx.Response:
        return forged

    host.instead[channel.PATH] = respond
    async with connected(world, host) as sealed:
        assert await refusal(sealed.get("/status")) == "channel-unsealed"


async def test_ch05_answer_to_another_request_is_not_believed(world: AttestedWorld, host: Host) -> None:
    kept: list[httpx.Response] = []

    async def swap(request: httpx.Request) -> httpx.Response:
        kept.append(await host.forward(request))
        return kept[0]

    host.instead[channel.PATH] = swap
    async with connected(world, host) as sealed:
        assert (await sealed.get("/status")).status_code == 200
        assert await refusal(sealed.get("/status")) == "channel-unopened"


@pytest.mark.parametrize("damage", [lambda body: body[:-1], lambda body: body[:-1] + bytes([body[-1] ^ 1])])
async def test_ch05_damaged_answer_is_not_believed(
    world: AttestedWorld, host: Host, damage: Callable[[bytes], bytes]
) -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        answer = await host.forward(request)
        return httpx.Response(200, headers=SEALED, content=damage(answer.content))

    host.instead[channel.PATH] = respond
    async with connected(world, host) as sealed:
        assert await refusal(sealed.get("/status")) in ("channel-malformed", "channel-unopened")


async def test_refusal_that_names_itself_oddly_does_not_reach_the_reader(world: AttestedWorld, host: Host) -> None:
    async def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(500, json={"error": "\x1b[31mowned", "code": 1})

    host.instead[channel.PATH] = respond
    async with connected(world, host) as sealed:
        with pytest.raises(AttestationError) as caught:
            await sealed.get("/status")
    assert caught.value.detail == "status 500"


async def test_endless_answer_is_cut_off(world: AttestedWorld, host: Host) -> None:
    taken = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                taken += 65_536
                yield bytes(65_536)

    async def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=SEALED, stream=Endless())

    host.instead[DOCUMENT] = respond
    async with connected(world, host) as sealed:
        assert await refusal(sealed.get("/status")) == "channel-too-large"
    assert taken <= limits.MAX_FRAME_BYTES + 65_536


# --- when keys change ---


async def test_restarted_enclave_is_attested_again_and_asked_again(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        await sealed.get("/status")
        await world.boot()
        assert (await sealed.get("/status")).status_code == 200
    assert host.paths == [DOCUMENT, channel.PATH, channel.PATH, DOCUMENT, channel.PATH]


async def test_host_cannot_have_a_request_opened_twice_by_claiming_that_the_key_is_unknown(
    world: AttestedWorld, host: Host
) -> None:
    """It forwards, drops the answer and claims that the key has changed: the enclave knows the id."""
    dropped: list[httpx.Response] = []

    async def lie_once(request: httpx.Request) -> httpx.Response:
        if not dropped:
            dropped.append(await host.forward(request))
            return httpx.Response(409, json=error_body(errors.CHANNEL_KEY_UNKNOWN))
        return await host.forward(request)

    host.instead[channel.PATH] = lie_once
    async with connected(world, host) as sealed:
        with pytest.raises(AttestationError) as caught:
            await sealed.post("/rpc/Session/List", json={})
    assert (caught.value.code, caught.value.detail) == ("channel-unsealed", "status 409, ChannelReplayed")


async def test_host_that_always_claims_it_is_asked_twice_and_no_more(world: AttestedWorld, host: Host) -> None:
    async def lie(_: httpx.Request) -> httpx.Response:
        return httpx.Response(409, json=error_body(errors.CHANNEL_KEY_UNKNOWN))

    host.instead[channel.PATH] = lie
    async with connected(world, host) as sealed:
        assert await refusal(sealed.get("/status")) == "channel-unsealed"
    assert host.paths == [DOCUMENT, channel.PATH] * 2


async def test_enclave_that_is_replaced_by_another_image_gets_nothing(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host) as sealed:
        await sealed.get("/status")
        world.measured = {**PCRS, 0: PCRS[1]}
        await world.boot()
        host.seen.clear()
        assert await refusal(sealed.post("/rpc/Session/List", json={"secret": 1})) == "measurement-mismatch"
    assert host.paths == [channel.PATH, DOCUMENT]


async def test_pin_ends_with_its_time(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host, pin_ms=60_000) as sealed:
        await sealed.get("/status")
        await world.pass_time(59)
        await sealed.get("/status")
        assert host.paths.count(DOCUMENT) == 1
        await world.pass_time(2)
        await sealed.get("/status")
        assert host.paths.count(DOCUMENT) == 2


async def test_pin_ends_with_the_chain_of_its_document(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host, pin_ms=10**9) as sealed:
        document = (await sealed.get("/status")).extensions["attestation"]
        await world.pass_time((document.not_after_ms - world.clock.wall_ms()) / 1000 + 1)
        await sealed.get("/status")
    assert host.paths.count(DOCUMENT) == 2


async def test_any_image_is_a_choice_that_has_to_be_named(world: AttestedWorld, host: Host) -> None:
    async with connected(world, host, image=AnyImage()) as sealed:
        assert (await sealed.get("/status")).status_code == 200
    with pytest.raises(TypeError):
        Service(url=URL)  # type: ignore[call-arg]


# --- the blocking transport is the same thing ---


def test_blocking_transport_refuses_an_unattested_service() -> None:
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"document": secrets.token_hex(8)})

    transport = SealedTransport(Service(url=URL, image=IMAGE), outer=httpx.MockTransport(respond))
    with httpx.Client(base_url=URL, transport=transport) as sealed, pytest.raises(AttestationError) as caught:
        sealed.post("/rpc/Session/List", json={"secret": 1})
    assert caught.value.code == "cose-malformed"
    assert [request.url.path for request in seen] == [DOCUMENT]


def test_network_errors_stay_those_of_httpx() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    transport = SealedTransport(Service(url=URL, image=IMAGE), outer=httpx.MockTransport(fail))
    with httpx.Client(base_url=URL, transport=transport) as sealed, pytest.raises(httpx.ConnectError):
        sealed.get("/status")
