"""Frames leave in order: alone at once, and together when a turn brings several (VS-02)."""

import asyncio
from typing import Any

from enclave.frame_writer import FrameWriter
from protocol.frames import FrameConnection, Response


class Transport:
    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def ids(self) -> list[list[int]]:
        """The ids of the frames of each write."""
        return [[message.id for message in FrameConnection().receive(data)] for data in self.writes]


def send(writer: FrameWriter, *ids: int) -> None:
    for id_ in ids:
        writer.send(Response(id_, 200))


async def test_a_frame_that_comes_alone_leaves_at_once() -> None:
    transport: Any = Transport()
    writer = FrameWriter(transport)
    for id_ in range(3):
        send(writer, id_)
        assert transport.ids()[-1] == [id_]
        await asyncio.sleep(0)
    assert transport.ids() == [[0], [1], [2]]


async def test_frames_of_one_turn_leave_together_and_in_order() -> None:
    transport: Any = Transport()
    writer = FrameWriter(transport)
    send(writer, 1, 2, 3)
    await asyncio.sleep(0)
    assert transport.ids() == [[1], [2, 3]], "nobody knew of the others yet"
    send(writer, 4, 5)
    assert len(transport.writes) == 2
    await asyncio.sleep(0)
    assert transport.ids() == [[1], [2, 3], [4, 5]]
    send(writer, 6)
    await asyncio.sleep(0)
    send(writer, 7)
    assert transport.ids()[3:] == [[6], [7]], "quiet again"
