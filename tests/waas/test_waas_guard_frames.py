"""From the instrument's port to a guard's host and back: frames, then HTTP, bounded on both."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from enclave import parent as parent_module
from enclave.errors import GuardError
from enclave.parent import ParentServices
from host_proxy import guard_links
from host_proxy.config import Enclave as EnclaveConfig
from host_proxy.config import GuardConfig, HostConfig, validate_config
from host_proxy.errors import ConfigError
from host_proxy.guard_links import GuardLinks
from protocol import cbor, guarding, limits
from protocol.errors import ProtocolError
from tests.host_proxy.parent_services import parent_services

GUARD, STRANGER = b"\x11" * 20, b"\x22" * 20
URL = "http://guard.example:8080"


class Parent:
    """A host's services with one guard, and the enclave's end of them."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answer: Callable[[httpx.Request], Any] = lambda _: httpx.Response(200, content=b"{}")
        self.port: ParentServices

    async def respond(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answer(request)
        found: httpx.Response = await answer if asyncio.iscoroutine(answer) else answer
        return found


@pytest.fixture
async def parent() -> AsyncIterator[Parent]:
    made = Parent()
    http = httpx.AsyncClient(transport=httpx.MockTransport(made.respond))
    async with parent_services(guards=GuardLinks({GUARD: URL + "/"}, http)) as made.port:
        yield made
    await http.aclose()


async def code_of(awaited: Any) -> str:
    try:
        await awaited
    except GuardError as error:
        return error.code
    return "accepted"


async def test_request_arrives_as_it_is_and_so_does_the_answer(parent: Parent) -> None:
    parent.answer = lambda _: httpx.Response(403, content=b'{"cause":"no"}')
    assert await parent.port.ask(GUARD, b'{"a":1}') == (403, b'{"cause":"no"}')
    [asked] = parent.asked
    assert (str(asked.url), asked.method, asked.content) == (URL + guarding.GUARD_PATH, "POST", b'{"a":1}')
    assert asked.headers["content-type"] == "application/json"


async def test_guard_that_the_host_does_not_know_is_unknown(parent: Parent) -> None:
    assert await code_of(parent.port.ask(STRANGER, b"{}")) == "guard-unknown"
    assert parent.asked == []


async def test_answer_at_the_cap_passes_and_one_byte_more_is_refused(parent: Parent) -> None:
    parent.answer = lambda _: httpx.Response(200, content=b" " * limits.MAX_GUARD_ANSWER_BYTES)
    assert len((await parent.port.ask(GUARD, b"{}"))[1]) == limits.MAX_GUARD_ANSWER_BYTES
    parent.answer = lambda _: httpx.Response(200, content=b" " * (limits.MAX_GUARD_ANSWER_BYTES + 1))
    assert await code_of(parent.port.ask(GUARD, b"{}")) == "guard-unreachable"
    with pytest.raises(ProtocolError):
        guarding.decode_guard_answer(cbor.dumps([200, bytes(limits.MAX_GUARD_ANSWER_BYTES + 1)]))


async def test_guard_that_does_not_answer_is_unreachable_after_the_deadline(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_links.limits, "GUARD_DEADLINE_S", 0.05)

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    parent.answer = never
    assert await code_of(parent.port.ask(GUARD, b"{}")) == "guard-unreachable"

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    parent.answer = refuse
    assert await code_of(parent.port.ask(GUARD, b"{}")) == "guard-unreachable"


async def test_host_that_does_not_answer_is_unreachable_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_module.limits, "GUARD_ANSWER_DEADLINE_S", 0.05)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def dial(_: int) -> socket.socket:
        return ours

    assert await code_of(ParentServices(dial).ask(GUARD, b"{}")) == "guard-unreachable"
    theirs.close()


def test_formats_are_written_and_read_back() -> None:
    assert guarding.decode_guard_request(guarding.encode_guard_request(GUARD, b"{}")) == (GUARD, b"{}")
    assert guarding.decode_guard_answer(guarding.encode_guard_answer(200, b"{}")) == (200, b"{}")


@pytest.mark.parametrize(
    "body",
    [[], [GUARD], [GUARD[1:], b"{}"], [GUARD, "{}"], [GUARD, b"{}", 1], [GUARD, bytes(limits.MAX_BODY_BYTES + 1)]],
)
def test_requests_of_another_form_are_refused(body: Any) -> None:
    with pytest.raises(ProtocolError):
        guarding.decode_guard_request(cbor.dumps(body))


@pytest.mark.parametrize("body", [[], [200], [True, b"{}"], [99, b"{}"], [600, b"{}"], [200, "{}"], [200, b"{}", 1]])
def test_answers_of_another_form_are_refused(body: Any) -> None:
    with pytest.raises(ProtocolError):
        guarding.decode_guard_answer(cbor.dumps(body))


def test_host_names_each_guard_once() -> None:
    first = GuardConfig(address="0x" + "11" * 20, url=URL)
    host = HostConfig(version=1, enclave=EnclaveConfig(address="vsock://16:5000"), store="store", guards=(first,))
    validate_config(host)
    twice = (first, GuardConfig(address="0x" + "11" * 20, url="http://other.example"))
    with pytest.raises(ConfigError, match="config-guards-alike"):
        validate_config(HostConfig(version=1, enclave=host.enclave, store="store", guards=twice))
