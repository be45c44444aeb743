"""What hashing costs beside the raw keccak calls in it, in one run; the benchmark's own limits."""

from benchmarks import bench_wallet


def test_hashing_costs_at_most_four_times_its_raw_keccak_calls() -> None:
    figures = bench_wallet.measure(0.3)
    judged = {figure.name: figure.value for figure in figures if figure.holds is not None}
    assert len(judged) == 2
    assert max(judged.values()) <= bench_wallet.AT_MOST
    # A signer's leaf is one hash and a branch another; a call is two, and the rest of a payload six.
    assert [name.split()[2] for name in judged] == [str(2 * bench_wallet.LEAVES - 1), str(2 * bench_wallet.CALLS + 6)]
