"""The frame client: many requests on one connection, each answered once or refused clearly, and routing by key."""

import asyncio
import contextlib
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.ownership import owner_of
from host_proxy.enclave_link import EnclaveLink, WorkerPool, _Session
from host_proxy.errors import Refused
from host_proxy.logging import Log
from host_proxy.looking import Looks
from host_proxy.metrics import Metrics
from host_proxy.routing import routing_key, worker_key
from protocol import cbor, errors, limits
from protocol.addresses import HybridAddress
from protocol.errors import ErrorCode
from protocol.frames import Request, Response, encode
from protocol.workers import worker_of
from tests.host_proxy.conftest import eventually
from tests.host_proxy.guest import Guest, GuestConnection


@pytest.fixture
async def link(guest: Guest, log: Log, metrics: Metrics) -> AsyncIterator[EnclaveLink]:
    link = EnclaveLink(HybridAddress(str(guest.path), 5000), 0, looks=Looks(), log=log, metrics=metrics)
    link.start()
    await eventually(lambda: link.connected)
    yield link
    await link.close()


async def refusal(call: "asyncio.Future[Response] | object") -> ErrorCode:
    with pytest.raises(Refused) as caught:
        await call  # type: ignore[misc]
    return caught.value.error


def only_connection(guest: Guest) -> GuestConnection:
    (connection,) = guest.connections
    return connection


async def test_many_requests_share_one_connection_and_answers_come_in_any_order(
    link: EnclaveLink, guest: Guest
) -> None:
    waiting: list[Request] = []
    everyone = asyncio.Event()

    async def backwards(_: int, request: Request) -> Response:
        waiting.append(request)
        if len(waiting) == 50:
            everyone.set()
        await everyone.wait()
        await asyncio.sleep((50 - int(request.body)) * 0.001)
        return Response(request.id, 200, {}, request.body)

    guest.answer = backwards
    answers = await asyncio.gather(*(link.call("POST /x", {}, b"%d" % number) for number in range(50)))
    assert [answer.body for answer in answers] == [b"%d" % number for number in range(50)]
    assert len(guest.connections) == 1


async def test_the_loop_knows_what_is_with_the_enclave(link: EnclaveLink, guest: Guest) -> None:
    gate = asyncio.Event()

    async def held(_: int, request: Request) -> Response:
        await gate.wait()
        return Response(request.id, 200)

    guest.answer = held
    calls = [asyncio.create_task(link.call("POST /x", {}, b"")) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert link._looks._asked == 3
    calls[0].cancel()
    await asyncio.wait(calls[:1])
    assert link._looks._asked == 2
    gate.set()
    await asyncio.gather(*calls[1:])
    assert link._looks._asked == 0


async def test_answers_split_at_every_byte_mean_the_same(link: EnclaveLink, guest: Guest) -> None:
    async def dripping(_: int, request: Request) -> None:
        for byte in encode(Response(request.id, 200, {"a": "b"}, b"body")):
            only_connection(guest).transport.write(bytes([byte]))
            await asyncio.sleep(0)

    guest.answer = dripping
    answer = await link.call("POST /x", {}, b"")
    assert (answer.status, answer.headers, answer.body) == (200, {"a": "b"}, b"body")


async def test_requests_beyond_the_cap_are_busy_at_once_and_the_others_are_answered(
    link: EnclaveLink, guest: Guest
) -> None:
    gate = asyncio.Event()

    async def held(_: int, request: Request) -> Response:
        await gate.wait()
        return Response(request.id, 200)

    guest.answer = held
    calls = [asyncio.ensure_future(link.call("POST /x", {}, b"")) for _ in range(10 * limits.MAX_IN_FLIGHT)]
    await asyncio.sleep(0)
    refused = [call for call in calls if call.done()]
    assert len(calls) - len(refused) == limits.MAX_IN_FLIGHT
    assert {type(call.exception()) for call in refused} == {Refused}
    assert {call.exception().error for call in refused} == {errors.BUSY}  # type: ignore[union-attr]
    gate.set()
    answers = await asyncio.gather(*(call for call in calls if call not in refused))
    assert {answer.status for answer in answers} == {200}


async def test_request_that_no_frame_holds_is_too_large_and_harms_nobody(link: EnclaveLink) -> None:
    assert await refusal(link.call("POST /x", {}, bytes(limits.MAX_FRAME_BYTES))) is errors.REQUEST_TOO_LARGE
    assert (await link.call("POST /x", {}, b"")).status == 200


async def test_deadline_refuses_and_a_late_answer_is_dropped(link: EnclaveLink, guest: Guest) -> None:
    async def late(_: int, request: Request) -> Response:
        if request.body == b"late":
            await asyncio.sleep(0.4)
        return Response(request.id, 200, {}, request.body)

    guest.answer = late
    slow = asyncio.ensure_future(link.call("POST /x", {}, b"late", deadline_s=0.15))
    await asyncio.sleep(0.05)
    assert (await link.call("POST /x", {}, b"quick")).body == b"quick"
    assert await refusal(slow) is errors.DEADLINE_EXCEEDED
    await asyncio.sleep(0.4)
    assert (await link.call("POST /x", {}, b"next")).body == b"next"
    assert len(guest.connections) == 1, "the connection lives on"


async def test_guest_that_says_nothing_for_a_whole_deadline_is_connected_anew(
    link: EnclaveLink, guest: Guest, output: io.StringIO
) -> None:
    async def silence(_: int, __: Request) -> None:
        return None

    guest.answer = silence
    assert await refusal(link.call("POST /x", {}, b"", deadline_s=0.1)) is errors.DEADLINE_EXCEEDED
    await eventually(lambda: '"code": "link-silent"' in output.getvalue())
    await eventually(lambda: link.connected)


async def test_lost_connection_refuses_all_its_requests_and_sends_none_again(link: EnclaveLink, guest: Guest) -> None:
    async def silence(_: int, __: Request) -> None:
        return None

    guest.answer = silence
    calls = [asyncio.ensure_future(link.call("POST /x", {}, b"")) for _ in range(5)]
    await eventually(lambda: len(guest.requests) == 5)
    guest.drop_connections()
    assert {await refusal(call) for call in calls} == {errors.ENCLAVE_UNREACHABLE}
    await eventually(lambda: link.connected)
    assert len(guest.requests) == 5


async def test_link_without_a_connection_refuses_at_once(folder: Path, log: Log, metrics: Metrics) -> None:
    link = EnclaveLink(HybridAddress(str(folder / "nobody"), 5000), 0, looks=Looks(), log=log, metrics=metrics)
    link.start()
    assert await refusal(link.call("POST /x", {}, b"")) is errors.ENCLAVE_UNREACHABLE
    await link.close()


async def test_request_just_after_the_loss_is_unreachable_and_not_busy(link: EnclaveLink, guest: Guest) -> None:
    session = link._session
    assert session is not None
    session.connection_lost(None)  # the task that holds the session has not run yet
    assert not link.connected
    assert await refusal(link.call("POST /x", {}, b"")) is errors.ENCLAVE_UNREACHABLE


async def test_guest_may_come_and_go_many_times(link: EnclaveLink, guest: Guest, output: io.StringIO) -> None:
    for _ in range(20):
        guest.drop_connections()
        with contextlib.suppress(Refused):
            await link.call("POST /x", {}, b"", deadline_s=1)
    await eventually(lambda: link.connected, within_s=10)
    assert (await link.call("POST /x", {}, b"")).status == 200
    lost = [json.loads(line) for line in output.getvalue().splitlines() if '"link.lost"' in line]
    assert len(lost) == 1, "one line for one kind of trouble, not one for each attempt"


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00\x00\x00\x00",
        (limits.MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x01\xff",
        encode(Request(1, "POST /x", {}, b"")),
    ],
)
async def test_guest_that_breaks_the_format_is_cut_off_and_its_requests_refused(
    link: EnclaveLink, guest: Guest, noise: bytes
) -> None:
    async def garbled(_: int, __: Request) -> None:
        only_connection(guest).transport.write(noise)

    guest.answer = garbled
    assert await refusal(link.call("POST /x", {}, b"")) is errors.ENCLAVE_UNREACHABLE


async def test_answer_to_nobody_is_dropped(link: EnclaveLink, guest: Guest) -> None:
    async def chatty(_: int, request: Request) -> Response:
        for wrong in (0, request.id + 1, 2**64 - 1):
            only_connection(guest).transport.write(encode(Response(wrong, 200, {}, b"wrong")))
        return Response(request.id, 200, {}, b"right")

    guest.answer = chatty
    assert (await link.call("POST /x", {}, b"")).body == b"right"
    assert (await link.call("POST /x", {}, b"")).body == b"right"


async def test_frame_that_drips_is_cut_off_by_the_clock_of_its_first_byte(
    link: EnclaveLink, guest: Guest, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FRAME_DEADLINE_S", 0.2)

    async def dripping(_: int, request: Request) -> None:
        frame = encode(Response(request.id, 200, {}, bytes(100)))
        with contextlib.suppress(ValueError):
            for byte in frame:
                only_connection(guest).transport.write(bytes([byte]))
                await asyncio.sleep(0.02)

    guest.answer = dripping
    assert await refusal(link.call("POST /x", {}, b"")) is errors.ENCLAVE_UNREACHABLE
    await eventually(lambda: '"code": "link-frame-deadline"' in output.getvalue())


async def test_whole_frames_may_arrive_for_longer_than_the_deadline_of_one(
    link: EnclaveLink, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FRAME_DEADLINE_S", 0.2)
    total = 12

    async def overlapping(_: int, request: Request) -> None:
        # Each piece ends one frame and begins the next, so that a frame is always under way.
        stream = b"".join(encode(Response(0, 200, {}, bytes(50))) for _ in range(total))
        stream += encode(Response(request.id, 200, {}, b"end"))
        size = len(stream) // total
        for start in range(0, len(stream), size):
            only_connection(guest).transport.write(stream[start : start + size])
            await asyncio.sleep(0.05)

    guest.answer = overlapping
    assert (await link.call("POST /x", {}, b"")).body == b"end"


async def test_guest_that_takes_nothing_fills_no_memory(
    link: EnclaveLink, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FRAME_DEADLINE_S", 0.3)
    only_connection(guest).transport.pause_reading()
    calls = [asyncio.ensure_future(link.call("POST /x", {}, bytes(60_000))) for _ in range(200)]
    outcomes = {await refusal(call) for call in calls}
    assert outcomes == {errors.ENCLAVE_UNREACHABLE}
    assert link._session is None or link._session.writable


# --- routing ---


async def test_each_key_reaches_the_worker_that_owns_it(folder: Path, log: Log, metrics: Metrics) -> None:
    guest = await Guest(folder / "many", workers=3).start()
    links = [
        EnclaveLink(HybridAddress(str(guest.path), port), number, looks=Looks(), log=log, metrics=Metrics(workers=3))
        for number, port in enumerate(guest.ports)
    ]
    pool = WorkerPool(links)
    pool.start()
    await eventually(lambda: pool.connected == 3)
    for number in range(30):
        key = f"0x{number:040x}"
        answer = await pool.owner(key).call("POST /x", {}, b"")
        assert json.loads(answer.body)["worker"] == worker_of(key, 3)
    without_key = {json.loads((await pool.owner(None).call("POST /x", {}, b"")).body)["worker"] for _ in range(9)}
    assert without_key == {0, 1, 2}
    await pool.close()
    await guest.stop()


async def test_without_a_key_only_connected_workers_are_asked(folder: Path, log: Log, metrics: Metrics) -> None:
    links = [
        EnclaveLink(HybridAddress(str(folder / "x"), 5000 + n), n, looks=Looks(), log=log, metrics=metrics)
        for n in range(3)
    ]
    pool = WorkerPool(links)
    assert {pool.owner(None) for _ in range(6)} == set(links), "while none is connected, any of them"
    links[1]._session = _Session(Looks())
    assert {pool.owner(None) for _ in range(6)} == {links[1]}


P256 = "0x04" + "ab" * 64
INTENT = {"intent": {"signatures": [{"sessionId": "0x0104" + "Ab" * 64}]}}
WALLET_INTENT = {"intent": {"signatures": [{"sessionId": "0x" + "Cd" * 20}]}}
SEALED = cbor.dumps([1, b"\xab" * 16, bytes(16), bytes(32), b""])


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/rpc/Channel/Sealed", SEALED, "ab" * 16),
        ("/rpc/Channel/Sealed", cbor.dumps([2, b"\xab" * 16]), None),
        ("/rpc/Channel/Sealed", b"\xff", None),
        ("/rpc/WaasAuthenticator/SendIntent", json.dumps(INTENT).encode(), P256),
        ("/rpc/WaasAuthenticator/RegisterSession", json.dumps(WALLET_INTENT).encode(), "0x" + "cd" * 20),
        ("/rpc/WaasAuthenticator/SendIntent", b'{"intent":{"signatures":[]}}', None),
        ("/rpc/WaasAuthenticator/SendIntent", b"{", None),
        ("/rpc/Guard/Sign", b"{}", None),
    ],
)
def test_requests_without_an_auth_key_are_routed_by_what_stands_for_one(
    path: str, body: bytes, key: str | None
) -> None:
    assert worker_key(path, body) == key
    expected = None if key is None else worker_of(key, 7)
    assert owner_of(Request(1, f"POST {path}", {}, body), 7) == expected, "the enclave says the same"


def test_routing_is_the_same_in_every_process() -> None:
    script = "from protocol.workers import worker_of; print([worker_of(f'0x{n:040x}', 7) for n in range(40)])"
    expected = [worker_of(f"0x{n:040x}", 7) for n in range(40)]
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
        )
        assert json.loads(done.stdout) == expected
    assert set(expected) == set(range(7)), "and spreads"


LONGEST = "0x" + "A" * (limits.MAX_AUTH_KEY_CHARS - 2)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"params":{},"authKey":{"keyType":"x","address":"0xAbC"},"signature":"0x"}', "0xabc"),
        (b'{"authKey":{"address":"0XABC"}}', "0xabc"),
        (json.dumps({"authKey": {"address": LONGEST}}).encode(), LONGEST.lower()),
        (json.dumps({"authKey": {"address": LONGEST + "a"}}).encode(), None),
        (b'{"authKey":{"address":7}}', None),
        (b'{"authKey":null}', None),
        (b'{"authKey":{}}', None),
        (b"{}", None),
        (b"[]", None),
        (b"", None),
        (b"{", None),
        (b'{"authKey":{"address":"\xff"}}', None),
        (b'{"authKey":{"address":"\\ud800"}}', None),
        (b'{"x":' + b"[" * 60_000 + b"]" * 60_000 + b"}", None),
        (b'{"params":{"authKey":{"address":"0x01"}}}', None),
    ],
)
def test_routing_key_is_read_leniently_and_bounded(body: bytes, key: str | None) -> None:
    assert routing_key(body) == key


@given(st.binary(max_size=300))
def test_any_body_has_a_key_or_none(body: bytes) -> None:
    key = routing_key(body)
    assert key is None or 0 <= worker_of(key, 5) < 5


def test_deadline_of_a_request_is_the_tables() -> None:
    assert EnclaveLink.call.__kwdefaults__ == {"deadline_s": limits.REQUEST_DEADLINE_S}
