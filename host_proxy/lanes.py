"""Blocking work in a thread of its own, in batches: whoever waits together is served together.

Trust side: host. What asyncio offers hands one job to one thread; a database wants all that wait in one transaction.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from host_proxy.errors import StoreFault
from protocol import limits

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class Lane(Generic[Job, Answer]):
    """A thread that takes all waiting jobs at once. `work` gives an answer or exception for each, or raises for all."""

    def __init__(self, name: str, work: Callable[[list[Job]], list[Answer | Exception]]) -> None:
        self._work = work
        self._queue: queue.SimpleQueue[tuple[Job, asyncio.Future[Answer]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> asyncio.Future[Answer]:
        """The job's answer; `StoreFault("store-busy")` when too many wait already."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        if self._closed or self._waiting >= limits.MAX_STORE_WAITING:
            answer.set_exception(StoreFault("store-closed" if self._closed else "store-busy"))
            return answer
        self._waiting += 1
        self._queue.put((job, answer))
        return answer

    async def close(self) -> None:
        """Returns when all jobs are done and the thread has ended."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                answers = self._work([job for job, _ in batch])
            except Exception as error:  # noqa: BLE001  every caller learns; the thread lives
                answers = [error] * len(batch)
            futures = [answer for _, answer in batch]
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it everybody who waits
                self._loop.call_soon_threadsafe(self._deliver, futures, answers)

    def _next_batch(self) -> list[tuple[Job, asyncio.Future[Answer]]]:
        """At least one job, or nothing when the lane is closed."""
        batch = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == limits.MAX_STORE_BATCH:
                return batch
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._queue.put(None)  # the end, seen too early: once more after this batch
        return batch

    def _deliver(self, futures: list[asyncio.Future[Answer]], answers: list[Answer | Exception]) -> None:
        self._waiting -= len(futures)
        for future, answer in zip(futures, answers, strict=True):
            if future.done():  # the caller gave up
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
