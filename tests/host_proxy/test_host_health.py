"""`/health`: the enclave's words and the host's own state, and how many more holders may fail."""

import asyncio
from typing import Any

import httpx
import pytest

from host_proxy import health
from host_proxy.errors import StoreFault
from protocol import limits
from protocol.frames import Request, Response
from tests.host_proxy.conftest import Running, StartHost, eventually
from tests.host_proxy.guest import HEALTHY, Answer, Guest, json_response


def says(status: int, value: object) -> Answer:
    async def answer(_: int, request: Request) -> Response:
        return json_response(request, status, value)

    return answer


def with_holders(available: int, failing: dict[str, str], *, serving: bool = True) -> dict[str, Any]:
    holders = {"available": available, "threshold": 2, "may_fail": max(0, available - 2), "failing": failing}
    return HEALTHY | {"serving": serving, "holders": holders}


async def settled(running: Running, expected: str) -> httpx.Response:
    async def reached() -> bool:
        return (await running.client.get("/health")).json()["status"] == expected  # type: ignore[no-any-return]

    await eventually(reached)
    return await running.client.get("/health")


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_FRESH_S", 0.0)
    monkeypatch.setattr(health, "_FRESH_WHILE_DOWN_S", 0.0)


async def test_whole_host_is_ok(start_host: StartHost) -> None:
    running = await start_host()
    answer = await settled(running, "ok")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "status": "ok",
        "serving": True,
        "phase": "serving",
        "reason": "",
        "clock": "trusted",
        "holders": {"available": 3, "threshold": 2, "may_fail": 1, "failing": {}},
        "store": "ok",
        "workers": 1,
        "workers_connected": 1,
        "enclave": "running",
    }


async def test_one_holder_down_is_degraded_and_says_that_no_more_may_fail(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    guest.answer = says(200, with_holders(2, {"holder-b": "kms-unreachable"}))
    answer = await settled(running, "degraded")
    assert answer.status_code == 200
    assert answer.json()["holders"]["may_fail"] == 0
    assert answer.json()["holders"]["failing"] == {"holder-b": "kms-unreachable"}


async def test_two_holders_down_is_down_before_a_user_notices(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    guest.answer = says(503, with_holders(1, {"holder-a": "kms-unreachable", "holder-b": "kms-refused"}))
    answer = await settled(running, "down")
    assert answer.status_code == 503
    assert answer.json()["serving"] is False
    assert len(answer.json()["holders"]["failing"]) == 2


@pytest.mark.parametrize(
    ("status", "value"),
    [
        (503, HEALTHY),
        (200, HEALTHY | {"serving": False, "phase": "booting"}),
        (200, HEALTHY | {"serving": "yes"}),
        (200, HEALTHY | {"phase": "x" * 65}),
        (200, HEALTHY | {"holders": {"available": -1}}),
        (200, []),
        (200, None),
        (404, {}),
    ],
)
async def test_enclave_that_is_not_well_or_talks_nonsense_is_down(
    start_host: StartHost, guest: Guest, status: int, value: object
) -> None:
    running = await start_host()
    guest.answer = says(status, value)
    assert (await settled(running, "down")).status_code == 503


async def test_enclave_that_answers_no_text_is_down(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()

    async def answer(_: int, request: Request) -> Response:
        return Response(request.id, 200, {}, b'{"serving":true,"phase":"\xa1"}')

    guest.answer = answer
    assert (await settled(running, "down")).status_code == 503


async def test_members_of_newer_images_are_ignored(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    guest.answer = says(200, HEALTHY | {"novelty": [1]})
    await settled(running, "ok")


async def test_lost_enclave_is_down_and_counted_as_not_connected(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    await guest.stop()
    answer = await settled(running, "down")
    assert (answer.json()["phase"], answer.json()["workers_connected"]) == ("unreachable", 0)
    assert running.metrics.registry.get_sample_value("chancery_enclave_link_up", {"worker": "0"}) == 0


async def test_silent_enclave_is_down_after_the_deadline(
    start_host: StartHost, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEALTH_DEADLINE_S", 0.1)

    async def silence(_: int, __: Request) -> None:
        return None

    running = await start_host()
    guest.answer = silence
    await settled(running, "down")


async def test_store_that_fails_is_down_and_named(start_host: StartHost) -> None:
    class Broken:
        async def check(self) -> None:
            raise StoreFault("store-write")

        async def close(self) -> None:
            return None

    running = await start_host(ports={"store": Broken()})
    answer = await settled(running, "down")
    assert (answer.status_code, answer.json()["store"]) == (503, "store-write")


async def test_host_is_as_well_as_its_worst_worker(start_host: StartHost, guest: Guest) -> None:
    guest.ports = range(5000, 5003)

    async def differing(worker: int, request: Request) -> Response:
        healths = [HEALTHY, with_holders(2, {"holder-c": "kms-deadline"}), HEALTHY]
        return json_response(request, 200, healths[worker])

    guest.answer = differing
    running = await start_host()
    answer = await settled(running, "degraded")
    assert (answer.json()["workers"], answer.json()["holders"]["may_fail"]) == (3, 0)


async def test_flood_of_questions_is_one_question_to_the_enclave(
    start_host: StartHost, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DO-02."""
    asked = 0

    async def counting(_: int, request: Request) -> Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)
        return json_response(request, 200, HEALTHY)

    running = await start_host()
    await settled(running, "ok")
    guest.answer = counting
    monkeypatch.setattr(health, "_FRESH_S", 60.0)
    running.host._health._report = None
    answers = await asyncio.gather(*(running.client.get("/health") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert asked == 1


async def test_metrics_follow_health(start_host: StartHost, guest: Guest) -> None:
    running = await start_host()
    await settled(running, "ok")
    value = running.metrics.registry.get_sample_value
    assert (value("chancery_serving"), value("chancery_holders_may_fail")) == (1, 1)
    guest.answer = says(200, with_holders(2, {"a": "b"}))
    await settled(running, "degraded")
    assert value("chancery_holders_may_fail") == 0
