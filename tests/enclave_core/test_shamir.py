"""Shares over the scalar field: any t open, fewer say nothing, a wrong one is named (SH-01 to SH-07, SH-10)."""

import itertools
import os

import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave import curve, shamir
from enclave.secret import Secret


def scalar_of(value: int) -> Secret:
    return Secret.take(bytearray(value.to_bytes(32, "big")))


def value_of(secret: Secret) -> int:
    return int.from_bytes(bytes(secret.view), "big")


def chosen(split: shamir.Split, indices: tuple[int, ...]) -> dict[int, Secret]:
    return {index: split.shares[index - 1] for index in indices}


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5), (4, 6)])
def test_every_subset_of_t_shares_combines_to_the_scalar(threshold: int, count: int) -> None:
    scalar = curve.random_scalar(os.urandom)
    split = shamir.split(scalar, threshold, count, os.urandom)
    for indices in itertools.combinations(range(1, count + 1), threshold):
        assert bytes(shamir.combine(chosen(split, indices), split.commitments).view) == bytes(scalar.view)


def test_the_polynomial_is_the_field_s_own_checked_with_plain_integers() -> None:
    split = shamir.split(scalar_of(42), 3, 5, os.urandom)
    points = [(i, value_of(share)) for i, share in enumerate(split.shares, start=1)]
    for subset in itertools.combinations(points, 3):
        total = 0
        for i, y in subset:
            factor = 1
            for j, _ in subset:
                if j != i:
                    factor = factor * j * pow(j - i, -1, curve.ORDER) % curve.ORDER
            total += y * factor
        assert total % curve.ORDER == 42


@pytest.mark.parametrize("given_shares", [1, 3])
def test_fewer_or_more_than_t_shares_are_refused_never_combined(given_shares: int) -> None:
    split = shamir.split(scalar_of(7), 2, 3, os.urandom)
    with pytest.raises(ValueError, match="exactly t"):
        shamir.combine(chosen(split, tuple(range(1, given_shares + 1))), split.commitments)


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (1, 3), (4, 3), (2, 256)])
def test_thresholds_below_two_or_above_n_are_refused(threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="threshold"):
        shamir.split(scalar_of(7), threshold, count, os.urandom)


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_wrong_share_names_its_holder(wrong: int) -> None:
    split = shamir.split(scalar_of(7), 2, 3, os.urandom)
    shares = chosen(split, (1, 2))
    shares[wrong] = curve.random_scalar(os.urandom)
    with pytest.raises(shamir.WrongShare) as caught:
        shamir.combine(shares, split.commitments)
    assert caught.value.indices == (wrong,)


def test_two_swapped_shares_are_both_named() -> None:
    split = shamir.split(scalar_of(7), 2, 3, os.urandom)
    with pytest.raises(shamir.WrongShare) as caught:
        shamir.combine({1: split.shares[1], 2: split.shares[0]}, split.commitments)
    assert set(caught.value.indices) == {1, 2}


def test_a_share_out_of_the_field_is_named() -> None:
    split = shamir.split(scalar_of(7), 2, 3, os.urandom)
    shares = {1: split.shares[0], 2: scalar_of(curve.ORDER)}
    with pytest.raises(shamir.WrongShare) as caught:
        shamir.combine(shares, split.commitments)
    assert caught.value.indices == (2,)


def test_shares_of_two_sets_do_not_mix() -> None:
    one, other = (shamir.split(scalar_of(7), 2, 3, os.urandom) for _ in range(2))
    with pytest.raises(shamir.WrongShare):
        shamir.combine({1: one.shares[0], 2: other.shares[1]}, one.commitments)


@settings(max_examples=50)
@given(st.integers(min_value=1, max_value=curve.ORDER - 1), st.sampled_from([1, 2, 3, 4, 5]))
def test_a_missing_share_is_recomputed_from_t_others(value: int, index: int) -> None:
    split = shamir.split(scalar_of(value), 3, 5, os.urandom)
    others = tuple(i for i in range(1, 6) if i != index)[:3]
    recomputed = shamir.interpolate(chosen(split, others), split.commitments, at=index)
    assert bytes(recomputed.view) == bytes(split.shares[index - 1].view)


def test_each_split_draws_fresh_coefficients_so_a_share_repeats_nothing() -> None:
    """SH-04, SH-07: with t - 1 coefficients drawn anew, a share of the same scalar is a new value each time."""
    scalar, drawn = scalar_of(5), []

    def random(size: int) -> bytes:
        drawn.append(os.urandom(size))
        return drawn[-1]

    values = {value_of(shamir.split(scalar, 3, 5, random).shares[0]) for _ in range(20)}
    assert len(drawn) == len(set(drawn)) == 40
    assert len(values) == 20
    assert 5 not in values


def test_the_commitment_is_the_public_key_that_another_library_computes() -> None:
    scalar = curve.random_scalar(os.urandom)
    expected = PrivateKey(bytes(scalar.view)).public_key.format()
    assert shamir.split(scalar, 2, 3, os.urandom).commitments[0] == expected == curve.public_key(scalar)
