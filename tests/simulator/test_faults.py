"""The hostile host does harm from a seed, repeats it from the same seed, and finds the defects that it is there for."""

from collections import Counter

import pytest

from protocol.errors import ProtocolError
from protocol.frames import Request, Response
from simulator.faults import HOSTILE_LINK, FaultyLink, LinkEnd, LinkRates, faulty_pair, naming_seed

_FRAMES = [b"frame %02d" % number for number in range(60)]


def _carry(seed: int, rates: LinkRates) -> tuple[list[bytes], FaultyLink]:
    link = FaultyLink(seed, rates)
    arrived = [frame for sent in _FRAMES for frame in link.carry(sent)]
    return arrived + link.settle(), link


def test_calm_link_changes_nothing(seed: int) -> None:
    arrived, link = _carry(seed, LinkRates())
    assert arrived == _FRAMES
    assert link.faults == []


def test_same_seed_does_the_same_harm_and_another_seed_another() -> None:
    first, again, other = (_carry(seed, HOSTILE_LINK) for seed in (1, 1, 2))
    assert first[0] == again[0]
    assert first[1].faults == again[1].faults
    assert first[0] != other[0]


def test_dropped_frames_are_missing_and_the_rest_is_untouched() -> None:
    arrived, link = _carry(3, LinkRates(drop=0.3))
    lost = [fault.step - 1 for fault in link.faults]
    assert arrived == [frame for number, frame in enumerate(_FRAMES) if number not in lost]
    assert lost


def test_repeated_frames_arrive_twice() -> None:
    arrived, link = _carry(4, LinkRates(repeat=0.3))
    counts = Counter(arrived)
    assert {counts[_FRAMES[fault.step - 1]] for fault in link.faults} == {2}
    assert sum(counts.values()) == len(_FRAMES) + len(link.faults) > len(_FRAMES)


@pytest.mark.parametrize("rates", [LinkRates(delay=0.3), LinkRates(delay=0.3, reorder=0.5)])
def test_late_frames_arrive_in_the_end_out_of_order(rates: LinkRates) -> None:
    arrived, _ = _carry(5, rates)
    assert arrived != _FRAMES
    assert sorted(arrived) == _FRAMES


def test_corrupted_frames_differ_in_one_bit() -> None:
    arrived, link = _carry(6, LinkRates(corrupt=0.3))
    altered = [(sent, got) for sent, got in zip(_FRAMES, arrived, strict=True) if sent != got]
    assert len(altered) == len(link.faults) > 0
    for sent, got in altered:
        assert sum((a ^ b).bit_count() for a, b in zip(sent, got, strict=True)) == 1


def test_ends_exchange_messages_through_a_calm_host() -> None:
    client, server = faulty_pair(1, LinkRates())
    client.send(Request(1, "add", {}, b""))
    assert server.receive() == [Request(1, "add", {}, b"")]
    server.send(Response(1, 200))
    assert client.receive() == [Response(1, 200)]


def test_broken_frame_ends_the_connection_until_it_is_made_anew() -> None:
    client, server = faulty_pair(2, LinkRates(corrupt=1.0))
    for number in range(50):
        client.send(Request(number, "add", {}, b""))
    with pytest.raises(ProtocolError):
        server.receive()
    with pytest.raises(ProtocolError, match="frame-after-error"):
        server.receive()
    server.reconnect()
    assert server.receive() == []


def test_failure_inside_a_trial_names_its_seed() -> None:
    with pytest.raises(ZeroDivisionError) as caught, naming_seed(42):
        _ = 1 / 0
    assert caught.value.__notes__ == ["replay with seed 42"]


class _Counter:
    """A server that must add each request once. The planted defect: it does not look at the request's id."""

    def __init__(self, end: LinkEnd, *, defective: bool) -> None:
        self.total = 0
        self._end = end
        self._defective = defective
        self._answered: set[int] = set()

    def serve(self) -> None:
        for message in self._end.receive():
            if isinstance(message, Request) and (self._defective or message.id not in self._answered):
                self._answered.add(message.id)
                self.total += 1


def _trial(seed: int, *, defective: bool) -> None:
    client, end = faulty_pair(seed, LinkRates(drop=0.05, delay=0.1, repeat=0.1, reorder=0.1))
    server = _Counter(end, defective=defective)
    with naming_seed(seed):
        for number in range(20):
            client.send(Request(number, "add", {}, b""))
            server.serve()
        client.settle()
        server.serve()
        assert server.total <= 20, "a request was counted twice"


def test_correct_server_survives_every_seed() -> None:
    for seed in range(200):
        _trial(seed, defective=False)


def test_planted_defect_is_found_and_found_again_with_its_seed() -> None:
    def failure(seed: int) -> list[str]:
        try:
            _trial(seed, defective=True)
        except AssertionError as error:
            return error.__notes__
        return []

    found = next(seed for seed in range(200) if failure(seed))
    assert failure(found) == [f"replay with seed {found}"]
