"""The selector that looks again before it sleeps: it misses nothing, returns when it must, and yields its core."""

import asyncio
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from enclave.polling import PollingSelector, polling_loop


@pytest.fixture
def watched() -> Iterator[tuple[PollingSelector, socket.socket]]:
    ours, theirs = socket.socketpair()
    with PollingSelector() as selector, ours, theirs:
        selector.register(ours, selectors.EVENT_READ)
        yield selector, theirs


def test_what_is_ready_is_returned_at_once(
    watched: tuple[PollingSelector, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    selector, peer = watched
    peer.send(b"x")
    monkeypatch.setattr(os, "sched_yield", lambda: pytest.fail("it looked again"))
    assert len(selector.select(None)) == 1
    assert len(selector.select(0)) == 1


def test_what_comes_while_it_looks_is_found_before_it_sleeps(
    watched: tuple[PollingSelector, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    selector, peer = watched
    monkeypatch.setattr(os, "sched_yield", lambda: peer.send(b"x"))
    asked: list[float | None] = []
    select = selectors.EpollSelector.select

    def recorded(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        asked.append(timeout)
        return select(self, timeout)

    monkeypatch.setattr(selectors.EpollSelector, "select", recorded)
    selector.select(0)  # where a turn begins, and this one is short
    asked.clear()
    assert len(selector.select(None)) == 1
    assert asked == [0, 0], "it never slept"


def test_after_a_long_turn_it_sleeps_at_once(
    watched: tuple[PollingSelector, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    selector, _ = watched
    monkeypatch.setattr(os, "sched_yield", lambda: pytest.fail("it looked again"))
    selector.select(0)
    time.sleep(0.002)
    assert selector.select(0.001) == []


def test_what_comes_later_wakes_it(watched: tuple[PollingSelector, socket.socket]) -> None:
    selector, peer = watched
    threading.Timer(0.05, peer.send, [b"x"]).start()
    assert len(selector.select(5)) == 1


@pytest.mark.parametrize("timeout", [0, -1, 0.0001, 0.02])
def test_nothing_is_waited_for_longer_than_asked(
    watched: tuple[PollingSelector, socket.socket], timeout: float
) -> None:
    start = time.monotonic()
    assert watched[0].select(timeout) == []
    assert time.monotonic() - start >= timeout


def test_loop_runs_timers_sockets_and_threads() -> None:
    async def work() -> list[object]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            loop.call_later(0.01, theirs.send, b"late")
            received = await asyncio.wait_for(loop.sock_recv(ours, 9), 5)
        return [received, await asyncio.to_thread(lambda: "thread")]

    with asyncio.Runner(loop_factory=polling_loop) as runner:
        assert runner.run(work()) == [b"late", "thread"]
