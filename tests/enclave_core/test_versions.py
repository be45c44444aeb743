"""The table of seen versions: a map whose values only rise, small, and right however ids fall."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.versions import SeenVersions, _Shard

# Few ids, of which many share a shard and a place in it.
IDS = st.builds(
    lambda high, low, rest: high.to_bytes(8, "little") + low.to_bytes(8, "little") + rest,
    st.sampled_from([0, 1024, 2048, 5]),
    st.integers(0, 40),
    st.just(bytes(16)),
)


@given(st.lists(st.tuples(IDS, st.integers(1, 2**64 - 1)), max_size=200))
def test_floor_is_the_highest_version_that_was_seen(seen: list[tuple[bytes, int]]) -> None:
    table, model = SeenVersions(), dict[bytes, int]()
    for record_id, version in seen:
        table.rise(record_id, version)
        model[record_id] = max(version, model.get(record_id, 0))
        assert table.floor(record_id) == model[record_id]
    assert {record_id: table.floor(record_id) for record_id in model} == model


def test_record_that_was_not_seen_has_no_floor() -> None:
    table = SeenVersions()
    table.rise(bytes(15) + b"\x01" + bytes(16), 7)
    assert table.floor(bytes(32)) == 0


@pytest.mark.parametrize("byte", range(16))
def test_each_of_the_first_sixteen_bytes_tells_records_apart(byte: int) -> None:
    table = SeenVersions()
    table.rise(bytes(32), 7)
    assert table.floor(bytes(byte) + b"\x80" + bytes(31 - byte)) == 0


def test_a_hundred_thousand_records_take_less_than_seventy_bytes_each() -> None:
    table, source, count = SeenVersions(), random.Random(5), 100_000
    ids = [source.randbytes(32) for _ in range(count)]
    for number, record_id in enumerate(ids, start=1):
        table.rise(record_id, number)
    assert [table.floor(record_id) for record_id in ids] == list(range(1, count + 1))
    assert table.size_bytes < 70 * count


def test_shard_is_never_full() -> None:
    """A full one would be searched without end."""
    shard = _Shard()
    for number in range(1, 5000):
        shard.put(number, number * 7, number)
        assert shard._count * 4 <= (shard._mask + 1) * 3
