"""The shared tables by themselves: floors that only rise, one write at a time, counts that run out, and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.errors import BootError, Refusal
from enclave.shared_counters import SharedCounters, Use
from enclave.shared_versions import SharedVersions
from enclave.versions import Step
from enclave.workers import Board
from protocol import errors

# Few ids, which collide in their first place.
IDS = st.builds(
    lambda high, low: high.to_bytes(8, "little") + low.to_bytes(8, "little") + bytes(16),
    st.integers(1, 5),
    st.integers(0, 40),
)
A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))


@given(st.lists(st.tuples(IDS, st.integers(1, 2**64 - 1)), max_size=200))
def test_floor_is_the_highest_version_that_was_seen(seen: list[tuple[bytes, int]]) -> None:
    table, model = SharedVersions(205), dict[bytes, int]()
    for record_id, version in seen:
        table.rise(record_id, version)
        model[record_id] = max(version, model.get(record_id, 0))
    assert {record_id: table.floor(record_id) for record_id in model} == model
    assert len(table) == len(model)
    assert table.floor(b"\x77" * 32) == 0


@given(st.lists(IDS, unique=True, min_size=11, max_size=40))
def test_record_that_finds_no_place_is_refused_and_those_that_have_one_stay(ids: list[bytes]) -> None:
    table = SharedVersions(10)
    for record_id in ids[:10]:
        table.rise(record_id, 5)
    for record_id in ids[10:]:
        with pytest.raises(Refusal) as caught:
            table.rise(record_id, 5)
        assert caught.value.error is errors.BUSY
        with pytest.raises(Refusal):
            table.claim([Step(record_id, 0, 5)])
        assert table.floor(record_id) == 0
    for record_id in ids[:10]:
        table.rise(record_id, 6)
        assert table.claim([Step(record_id, 6, 7)])
    assert {table.floor(record_id) for record_id in ids[:10]} == {6}


def test_record_is_claimed_by_one_until_its_write_ends_however_it_ends() -> None:
    table = SharedVersions(10)
    assert table.claim([Step(A, 0, 1), Step(B, 0, 1)])
    assert not table.claim([Step(B, 0, 2), Step(C, 0, 2)])
    assert table.claim([Step(C, 0, 2)]), "what could not be claimed as a whole was not claimed in part"
    table.release([Step(A, 0, 1), Step(B, 0, 1)])
    assert (table.floor(A), table.floor(B)) == (0, 0)
    assert table.claim([Step(B, 0, 2)])
    assert table.agree([Step(B, 0, 2)])
    table.release([Step(B, 0, 2)])
    assert table.floor(B) == 2


def test_counts_run_out_and_are_taken_all_or_none() -> None:
    counters = SharedCounters(bytes(32))
    one, all_ = Use(("one",), 2, 100), Use(("all",), 3, 50)
    assert [counters.take([one, all_], 0) for _ in range(3)] == [True, True, False]
    assert counters.take([all_], 0), "what was refused was not counted"
    assert not counters.take([all_], 49)
    assert counters.take([all_._replace(until_ms=200)], 50)
    assert not counters.take([one], 99)
    assert counters.take([one._replace(until_ms=300)], 100)


def test_use_that_is_given_back_is_free_but_never_a_later_one() -> None:
    counters = SharedCounters(bytes(32))
    first, later = Use(("login",), 1, 100), Use(("login",), 1, 300)
    assert counters.take([first], 0)
    assert not counters.take([later], 0)
    counters.give_back(first)
    assert counters.take([later], 0)
    counters.give_back(first)
    assert not counters.take([first], 0)


def test_bucket_that_is_full_takes_no_further_name_until_one_runs_out() -> None:
    counters = SharedCounters(bytes(32))
    taken = [number for number in range(60_000) if counters.take([Use((str(number),), 1, 100)], 0)]
    assert 20_000 < len(taken) <= 2048 * 16
    refused = next(number for number in range(60_000) if number not in set(taken))
    assert not counters.take([Use((str(refused),), 1, 100)], 99)
    assert counters.take([Use((str(refused),), 1, 200)], 100)


def test_workers_wait_for_all_and_stop_for_one() -> None:
    board = Board(2)
    board.say_booted(0, b"deployment")
    assert not board.all_booted()
    board.say_booted(1, b"deployment")
    assert board.all_booted()
    board.say_booted(1, b"another deployment")
    with pytest.raises(BootError, match="workers-differ"):
        board.all_booted()
    board.say_halted(1)
    with pytest.raises(BootError, match="worker-halted"):
        board.all_booted()
