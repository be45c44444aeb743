"""Sealed shares open in their own place only; a missing one is mended from t others (SH-03, KM-10)."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from enclave import curve
from enclave.errors import Refusal
from enclave.generations import Generation, Generations
from enclave.holders import HolderKeys
from enclave.shards import Owner, Shards, ShardSet, read_shard_set
from protocol import errors
from tests.appliance import FakeClock, FakeKms, config

OWNER = Owner("wallet", "@123", b"w" * 32, b"h" * 32)
VERSION = 7


@pytest.fixture
async def generations() -> AsyncIterator[Generations]:
    settings, kms, clock = config(), FakeKms(), FakeClock()

    def make(generation: int) -> HolderKeys:
        shape = {"holders": settings.holders, "threshold": 2, "clock": clock, "lease_s": 300}
        return HolderKeys(kms, deployment="test", generation=generation, **shape)

    made = Generations(make)
    keys, first = await made.found()
    made.use(keys, [first])
    yield made
    made.close()


@pytest.fixture
def shards(generations: Generations) -> Shards:
    return Shards(generations, "test", os.urandom)


async def split(shards: Shards) -> tuple[bytes, ShardSet]:
    with curve.random_scalar(os.urandom) as scalar:
        return bytes(scalar.view), await shards.split(scalar, OWNER, VERSION)


async def refused(shards: Shards, made: ShardSet, owner: Owner = OWNER) -> errors.ErrorCode:
    with pytest.raises(Refusal) as caught:
        await shards.open(made, owner)
    return caught.value.error


async def test_what_was_split_opens_again(shards: Shards) -> None:
    scalar, made = await split(shards)
    stored = read_shard_set(made.body(), threshold=2, count=3)
    assert bytes((await shards.open(stored, OWNER)).view) == scalar


@pytest.mark.parametrize(
    "change", [{"purpose": "identity"}, {"scope": "@124"}, {"id": b"x" * 32}, {"identity_hash": b"x" * 32}]
)
async def test_a_share_opens_for_no_other_owner(shards: Shards, change: dict[str, object]) -> None:
    _, made = await split(shards)
    assert await refused(shards, made, replace(OWNER, **change)) is errors.HOLDERS_UNAVAILABLE  # type: ignore[arg-type]


async def test_a_share_opens_in_no_other_seat_version_generation_or_deployment(
    shards: Shards, generations: Generations
) -> None:
    _, made = await split(shards)
    first, second, third = made.shares
    assert first is not None
    assert second is not None
    assert third is not None
    for moved in (
        replace(made, shares=(second, first, None)),
        replace(made, shares=(None, third, second)),
        replace(made, shares=(replace(first, record_version=8), replace(second, record_version=8), None)),
        replace(made, generation=2),
    ):
        assert await refused(shards, moved) is errors.HOLDERS_UNAVAILABLE
    assert await refused(Shards(generations, "another", os.urandom), made) is errors.HOLDERS_UNAVAILABLE


async def test_one_share_less_than_the_threshold_never_opens(shards: Shards) -> None:
    _, made = await split(shards)
    assert await refused(shards, replace(made, shares=(made.shares[0], None, None))) is errors.HOLDERS_UNAVAILABLE


async def test_a_spoiled_share_is_left_out_and_its_holder_named(shards: Shards, generations: Generations) -> None:
    scalar, made = await split(shards)
    first = made.shares[0]
    assert first is not None
    spoiled = replace(first, sealed=first.sealed[:-1] + bytes([first.sealed[-1] ^ 1]))
    opened = await shards.open(replace(made, shares=(spoiled, *made.shares[1:])), OWNER)
    assert bytes(opened.view) == scalar
    assert generations.current.health().failing == {"alpha": "holder-wrong-share"}


async def test_commitments_of_another_set_are_refused(shards: Shards) -> None:
    _, made = await split(shards)
    _, other = await split(shards)
    assert await refused(shards, replace(made, commitments=other.commitments)) is errors.HOLDERS_UNAVAILABLE


async def test_a_missing_share_is_mended_and_then_serves(shards: Shards) -> None:
    scalar, made = await split(shards)
    mended = await shards.renew(replace(made, shares=(None, *made.shares[1:])), OWNER, VERSION + 1)
    assert mended.shares[1:] == made.shares[1:]
    opened = await shards.open(replace(mended, shares=(mended.shares[0], mended.shares[1], None)), OWNER)
    assert bytes(opened.view) == scalar
    assert await shards.renew(made, OWNER, VERSION + 1) is made


async def rotated(generations: Generations) -> None:
    """A second generation on top of the first."""
    first = Generation(tuple(seat.wrapped for seat in generations.current._seats.values() if seat.wrapped), 1000)
    keys, second = await generations.provision(2)
    generations.use(keys, [first, second])
    assert generations.current.generation == 2


async def test_an_earlier_generation_still_opens_and_is_split_anew(shards: Shards, generations: Generations) -> None:
    scalar, made = await split(shards)
    await rotated(generations)
    assert bytes((await shards.open(made, OWNER)).view) == scalar
    renewed = await shards.renew(made, OWNER, VERSION + 1)
    assert (made.generation, renewed.generation) == (1, 2)
    assert renewed.public_key == made.public_key
    assert renewed.commitments[1:] != made.commitments[1:], "another polynomial: old and new shares do not mix"
    assert bytes((await shards.open(renewed, OWNER)).view) == scalar
    assert await shards.renew(renewed, OWNER, VERSION + 2) is renewed


async def test_shares_of_two_generations_do_not_mix(shards: Shards, generations: Generations) -> None:
    _, made = await split(shards)
    await rotated(generations)
    renewed = await shards.renew(made, OWNER, VERSION)
    mixed = replace(renewed, shares=(made.shares[0], renewed.shares[1], None))
    assert await refused(shards, mixed) is errors.HOLDERS_UNAVAILABLE


async def test_a_retired_generation_opens_no_more(shards: Shards, generations: Generations) -> None:
    _, made = await split(shards)
    await rotated(generations)
    current = generations.current
    generations.adopt([Generation(tuple(seat.wrapped for seat in current._seats.values() if seat.wrapped))])
    assert await refused(shards, made) is errors.HOLDERS_UNAVAILABLE
