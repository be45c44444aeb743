"""Random and damaged bytes into each parser give a value or one error family, and quickly (DO-01, DO-07)."""

from collections.abc import Sequence
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutate
from tests.fuzz.target import Target, TooSlow, exercise
from tests.fuzz.targets import TARGETS


@cache
def seeds(name: str) -> Sequence[bytes]:
    return TARGETS[name].seeds()


@pytest.mark.parametrize("name", TARGETS)
def test_right_input_is_taken(name: str) -> None:
    """Damage to what is refused from the start would show nothing."""
    assert [seed for seed in seeds(name) if not exercise(TARGETS[name], seed)] == []


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_input_gives_a_value_or_one_error_family(name: str, data: st.DataObject) -> None:
    good = seeds(name)
    if good and data.draw(st.integers(0, 3)):
        rng = Random(data.draw(st.integers(0, 2**64 - 1)))
        exercise(TARGETS[name], mutate(rng.choice(good), rng, good))
    else:
        exercise(TARGETS[name], data.draw(st.binary(max_size=200)))


def test_other_exception_and_slowness_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        exercise(Target(fail, (ValueError,), list), b"")
    monkeypatch.setattr("tests.fuzz.target.MAX_S", 0.0)
    with pytest.raises(TooSlow):
        exercise(Target(lambda data: sum(range(1000)), (), list), b"")
