"""Token buckets: nothing is rounded, and nothing is ever let through beyond the rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.tier import MICRO, TIERS, Rate
from domain.token_bucket import FULL, Bucket, Charged, Wanted, charge, refill, remaining, until_fits_us

HOUR_US = 3600 * MICRO
RATES = some.builds(
    Rate, capacity=some.integers(1, 1000), points=some.integers(1, 1000), every_s=some.sampled_from([1, 7, 60, 3600])
)


def test_a_new_bucket_is_full():
    rate = Rate(10, 1)

    charged = charge(10, [Wanted(FULL, rate)], HOUR_US)

    assert charged.admitted
    assert remaining(charged.buckets[0].missing, rate) == 0


def test_more_than_is_left_is_not_taken_and_takes_nothing():
    rate = Rate(10, 1)
    (half,) = charge(5, [Wanted(FULL, rate)], HOUR_US).buckets

    charged = charge(6, [Wanted(half, rate)], HOUR_US)

    assert charged == Charged(False, (half,))


def test_one_point_an_hour_is_one_point_an_hour_to_the_microsecond():
    rate = Rate(1, 1, every_s=3600)
    (empty,) = charge(1, [Wanted(FULL, rate)], HOUR_US).buckets

    assert not charge(1, [Wanted(empty, rate)], 2 * HOUR_US - 1).admitted
    assert charge(1, [Wanted(empty, rate)], 2 * HOUR_US).admitted
    assert until_fits_us(empty.missing, rate, 1) == HOUR_US


def test_looking_often_at_a_slow_bucket_rounds_nothing_away():
    rate = Rate(1, 1, every_s=3600)
    (bucket,) = charge(1, [Wanted(FULL, rate)], 0).buckets

    for now_us in range(7, HOUR_US, 1_234_567):
        bucket = refill(bucket, rate, now_us)

    assert not charge(1, [Wanted(bucket, rate)], HOUR_US - 1).admitted
    assert charge(1, [Wanted(bucket, rate)], HOUR_US).admitted


def test_both_buckets_are_charged_or_neither():
    full, poor = Rate(10, 1), Rate(2, 1)

    charged = charge(3, [Wanted(FULL, full), Wanted(FULL, poor)], HOUR_US)

    assert not charged.admitted
    assert [bucket.missing for bucket in charged.buckets] == [0, 0]


def test_a_clock_that_was_put_back_brings_nothing():
    rate = Rate(10, 10)
    (empty,) = charge(10, [Wanted(FULL, rate)], HOUR_US).buckets

    assert refill(empty, rate, 0) == empty
    assert refill(refill(empty, rate, 0), rate, HOUR_US + MICRO).missing == 0


def test_a_smaller_tier_leaves_an_empty_bucket_and_not_a_debt():
    large, small = Rate(100, 1), Rate(10, 1)
    (empty,) = charge(100, [Wanted(FULL, large)], HOUR_US).buckets

    assert until_fits_us(refill(empty, small, HOUR_US).missing, small, 1) == MICRO


@pytest.mark.parametrize("rate", [rate for tier in TIERS.values() for rate in (tier.key, tier.partner)])
def test_a_full_bucket_of_every_tier_is_counted_exactly_in_redis(rate):
    assert 2 * rate.whole + rate.points < 2**53


def test_a_rate_that_redis_could_not_count_is_refused():
    with pytest.raises(AssertionError, match="exactly"):
        Rate(2_000_000, 1, every_s=3600)


@given(RATES, some.lists(some.tuples(some.integers(0, 3 * MICRO), some.integers(0, 50)), max_size=40))
def test_no_more_is_admitted_than_the_capacity_and_what_came_back(rate, steps):
    bucket, now_us, taken = FULL, HOUR_US, 0

    for passed_us, cost in steps:
        now_us += passed_us
        admitted, (bucket,) = charge(cost, [Wanted(bucket, rate)], now_us)
        taken += cost if admitted else 0

        assert taken * rate.unit <= rate.whole + (now_us - HOUR_US) * rate.points
        assert 0 <= bucket.missing <= rate.whole


@given(RATES, some.integers(1, 1000), some.integers(0, 10**13))
def test_it_fits_after_the_time_that_was_told_and_not_before(rate, cost, missing):
    cost = min(cost, rate.capacity)
    bucket = Bucket(min(missing, rate.whole), 0)

    wait_us = until_fits_us(bucket.missing, rate, cost)

    assert charge(cost, [Wanted(bucket, rate)], wait_us).admitted
    assert wait_us == 0 or not charge(cost, [Wanted(bucket, rate)], wait_us - 1).admitted
