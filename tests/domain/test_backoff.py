"""Backoff: never longer than the cap, never more than the doubled base, and spread over the whole of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.backoff import backoff_s

tries = st.integers(1, 10**9)
seconds = st.floats(0.001, 1e6)
chance = st.floats(0, 1, exclude_max=True)


@given(tries, seconds, seconds, chance)
def test_a_wait_is_between_nothing_and_the_smaller_of_cap_and_doubled_base(
    n: int, base_s: float, cap_s: float, random: float
) -> None:
    wait_s = backoff_s(n, base_s=base_s, cap_s=cap_s, random=random)

    assert 0 <= wait_s <= cap_s
    assert n > 64 or wait_s <= base_s * 2 ** (n - 1)


@given(st.integers(1, 31), chance)
def test_the_ceiling_doubles_until_the_cap(n: int, random: float) -> None:
    wait_s = backoff_s(n, base_s=1, cap_s=2**30, random=random)

    assert wait_s == min(2 ** (n - 1), 2**30) * random


@given(tries, chance, chance)
def test_the_jitter_is_full(n: int, one: float, other: float) -> None:
    """Between nothing and the ceiling, evenly: who comes back does not come back with everybody."""
    low, high = sorted((one, other))

    assert backoff_s(n, base_s=0.2, cap_s=2, random=0) == 0
    assert backoff_s(n, base_s=0.2, cap_s=2, random=low) <= backoff_s(n, base_s=0.2, cap_s=2, random=high)


@pytest.mark.parametrize(("n", "random"), [(0, 0.5), (-1, 0.5), (1, 1.0), (1, -0.1)])
def test_no_try_and_no_chance_are_bugs_of_ours(n: int, random: float) -> None:
    with pytest.raises(AssertionError):
        backoff_s(n, base_s=1, cap_s=1, random=random)
