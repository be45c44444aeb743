"""A hostile host in pieces, for tests: seeds, and a link that mistreats frames. Its store is in `hostile_store`.

Trust side: simulator (the host of threats T1 and T9). Everything is decided by one seed: a run with the same seed and
the same calls does the same harm, `faults` says what it was, and `naming_seed` puts the seed into the failure (SM-04).
The pieces know nothing of time or tasks: a frame is late by so many further frames, never by seconds.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from protocol import frames
from protocol.frames import FrameConnection, Request, Response

_MAX_DELAY: Final = 4
"""A delayed frame arrives after at most so many further ones."""


@contextmanager
def naming_seed(seed: int) -> Iterator[None]:
    """Around a trial: a failure inside says how to have it again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"replay with seed {seed}")
        raise


@dataclass(frozen=True, slots=True)
class Fault:
    """One act of the host: the how-manieth call, what was done, and to what."""

    step: int
    kind: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRates:
    """How often a link does what to a frame, each between 0 and 1. All zero is a calm host."""

    drop: float = 0.0
    delay: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0


HOSTILE_LINK: Final = LinkRates(drop=0.05, delay=0.1, repeat=0.1, reorder=0.1, corrupt=0.05)


class FaultyLink:
    """One direction of a connection. Frames go in one by one, and come out as the host pleases."""

    def __init__(self, seed: int, rates: LinkRates = HOSTILE_LINK) -> None:
        self.seed = seed
        self.faults: list[Fault] = []
        self._rates = rates
        self._random = random.Random(seed)
        self._step = 0
        self._held: list[tuple[int, bytes]] = []  # when to let go, and what

    def carry(self, frame: bytes) -> list[bytes]:
        """The frames that arrive now that `frame` has been sent, in the order of their arrival."""
        self._step += 1
        if self._strikes("drop", self._rates.drop):
            return self._due()
        if self._strikes("corrupt", self._rates.corrupt):
            frame = self._corrupted(frame)
        if self._strikes("repeat", self._rates.repeat):
            self._held.append((self._step + self._random.randint(0, _MAX_DELAY), frame))
        if self._strikes("delay", self._rates.delay):
            self._held.append((self._step + self._random.randint(1, _MAX_DELAY), frame))
            return self._due()
        arriving = [*self._due(), frame]
        if self._strikes("reorder", self._rates.reorder):
            self._random.shuffle(arriving)
        return arriving

    def settle(self) -> list[bytes]:
        """Whatever is still held back: the host has become calm."""
        arriving = [frame for _, frame in sorted(self._held, key=lambda held: held[0])]
        self._held.clear()
        return arriving

    def _due(self) -> list[bytes]:
        arriving = [frame for until, frame in self._held if until <= self._step]
        self._held = [held for held in self._held if held[0] > self._step]
        return arriving

    def _strikes(self, kind: str, rate: float) -> bool:
        struck = self._random.random() < rate
        if struck:
            self.faults.append(Fault(self._step, kind, "frame"))
        return struck

    def _corrupted(self, frame: bytes) -> bytes:
        altered = bytearray(frame)
        altered[self._random.randrange(len(altered))] ^= 1 << self._random.randrange(8)
        return bytes(altered)


class LinkEnd:
    """One of two in-memory ends. What arrived in broken framing ends the connection, as it does on a socket."""

    def __init__(self, outgoing: FaultyLink) -> None:
        self.peer: LinkEnd
        self._outgoing = outgoing
        self._connection = FrameConnection()
        self._arrived: list[bytes] = []

    def send(self, message: Request | Response) -> None:
        """Give `message` to the host."""
        self.peer.deliver(self._outgoing.carry(frames.encode(message)))

    def receive(self) -> list[Request | Response]:
        """All messages that have arrived; `ProtocolError` when the connection broke, until `reconnect`."""
        data = b"".join(self._arrived)
        self._arrived.clear()
        return self._connection.receive(data)

    def reconnect(self) -> None:
        """A new connection to the same peer, with nothing in flight to this end."""
        self._connection = FrameConnection()
        self._arrived.clear()

    def settle(self) -> None:
        """Let through everything that the host holds back on the way to the peer."""
        self.peer.deliver(self._outgoing.settle())

    def deliver(self, arriving: list[bytes]) -> None:
        """What the host brings to this end."""
        self._arrived += arriving


def faulty_pair(seed: int, rates: LinkRates = HOSTILE_LINK) -> tuple[LinkEnd, LinkEnd]:
    """Two ends with a hostile host between them; its two directions draw from one seed."""
    drawn = random.Random(seed)
    first, second = (LinkEnd(FaultyLink(drawn.getrandbits(64), rates)) for _ in range(2))
    first.peer, second.peer = second, first
    return first, second
