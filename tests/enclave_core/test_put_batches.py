"""Writes on their way to the parent: what shares a frame, what leaves alone, and whose outcome is whose."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from enclave.errors import StoreConflict, StoreError
from enclave.put_batches import PutBatches
from protocol import limits, services
from protocol.frames import Response
from protocol.services import CONFLICT, DURABLE, UNKNOWN, RecordKey, Write


class Parent:
    """Answers as the test says, once it says so."""

    def __init__(self) -> None:
        self.calls: list[list[list[Write]]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.outcome: Callable[[list[Write]], int] = lambda _: DURABLE
        self.response: Response | Exception | None = None
        self.batches = PutBatches(self.send)

    @property
    def sizes(self) -> list[int]:
        """How many puts each call carried."""
        return [len(puts) for puts in self.calls]

    async def send(self, body: bytes) -> Response:
        puts = services.decode_puts(body)
        self.calls.append(puts)
        await self.answers.wait()
        if isinstance(self.response, Exception):
            raise self.response
        return self.response or Response(1, 200, {}, services.encode_outcomes(list(map(self.outcome, puts))))

    async def put(self, *numbers: int, size: int = 1) -> list[Any]:
        """How puts of one turn have ended."""
        return await asyncio.gather(*(self.batches.put([write(n, size)]) for n in numbers), return_exceptions=True)


def write(number: int, size: int = 1) -> Write:
    return Write(RecordKey("nonce", number.to_bytes(32, "big")), number, number + 1, bytes(size))


@pytest.fixture
async def parent() -> Parent:
    return Parent()


async def test_a_put_that_comes_alone_leaves_before_the_turn_ends(parent: Parent) -> None:
    for number in range(3):
        coroutine = parent.batches.put([write(number)])
        with pytest.raises(StopIteration):
            coroutine.send(None)
        assert parent.sizes == [1] * (number + 1)
        await asyncio.sleep(0)


async def test_those_of_one_turn_share_a_frame_and_the_next_turn_gathers_all_of_its(parent: Parent) -> None:
    assert await parent.put(1, 2, 3) == [None] * 3
    assert parent.sizes == [1, 2]
    assert await parent.put(4, 5, 6) == [None] * 3
    assert parent.sizes == [1, 2, 3]
    await parent.put(7)
    await parent.put(8)
    assert parent.sizes == [1, 2, 3, 1, 1]
    coroutine = parent.batches.put([write(9)])
    with pytest.raises(StopIteration):
        coroutine.send(None)  # alone again, and so at once


async def test_each_has_the_outcome_that_is_its_own(parent: Parent) -> None:
    outcomes = {1: DURABLE, 2: CONFLICT, 3: UNKNOWN, 4: DURABLE, 5: CONFLICT}
    parent.outcome = lambda writes: outcomes[writes[0].expected_version]
    found = await parent.put(*outcomes)
    assert [type(end) for end in found] == [type(None), StoreConflict, StoreError, type(None), StoreConflict]
    assert parent.sizes == [1, 4]


async def test_a_frame_holds_as_many_as_the_parent_takes(parent: Parent) -> None:
    numbers = range(2 * limits.MAX_PUTS_PER_CALL + 7)
    assert set(await parent.put(*numbers)) == {None}
    assert max(parent.sizes) == limits.MAX_PUTS_PER_CALL
    assert sum(parent.sizes) == len(numbers)
    sent = [puts[0].expected_version for call in parent.calls for puts in call]
    assert sent == list(numbers)


async def test_full_frames_are_below_the_limit_of_frames(parent: Parent) -> None:
    await parent.put(1, 2)
    writes = [
        write(n, limits.MAX_FRAME_BYTES // 2 // limits.MAX_PUTS_PER_CALL) for n in range(limits.MAX_PUTS_PER_CALL)
    ]
    assert len(services.encode_puts([[each] for each in writes])) < limits.MAX_FRAME_BYTES - 200
    await asyncio.gather(*(parent.batches.put([each]) for each in writes))
    assert parent.sizes[2:] == [limits.MAX_PUTS_PER_CALL]


async def test_a_large_put_leaves_alone(parent: Parent) -> None:
    await parent.put(1, 2)
    assert await parent.put(*range(10), size=limits.MAX_RECORD_BYTES) == [None] * 10
    assert parent.sizes[2:] == [1] * 10


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (StoreError("store-unreachable"), "store-unreachable"),
        (Response(1, 503), "store-refused"),
        (Response(1, 409), "store-refused"),
        (Response(1, 200), "store-malformed"),
        (Response(1, 200, {}, services.encode_outcomes([DURABLE] * 3)), "store-malformed"),
        (Response(1, 200, {}, services.encode_outcomes([DURABLE, 204])), "store-malformed"),
    ],
)
async def test_an_answer_that_says_nothing_leaves_all_of_them_unknown(
    parent: Parent, response: Response | Exception, code: str
) -> None:
    await parent.put(1, 2)
    parent.response = response
    found = await parent.put(3, 4)
    assert parent.sizes[2:] == [2]
    assert [(type(end), end.code) for end in found] == [(StoreError, code)] * 2


async def test_an_error_that_nobody_foresaw_reaches_everybody_who_waits(parent: Parent) -> None:
    await parent.put(1, 2)
    parent.response = ZeroDivisionError()
    async with asyncio.timeout(5):
        assert [type(end) for end in await parent.put(3, 4)] == [ZeroDivisionError] * 2


async def test_a_caller_that_gives_up_harms_nobody_else(parent: Parent) -> None:
    await parent.put(1, 2)
    parent.answers.clear()
    first, second = (asyncio.create_task(parent.batches.put([write(n)])) for n in (3, 4))
    await asyncio.sleep(0.01)
    assert parent.sizes[2:] == [2]
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    parent.answers.set()
    await second
